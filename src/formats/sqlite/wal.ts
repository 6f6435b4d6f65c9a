/** The write-ahead log of SQLite (SQLite, "WAL-mode File Format"). */

/** The last bit tells the byte order of the words that are summed. */
const MAGIC = 0x377f0682;
const VERSION = 3_007_000;
const HEADER = { version: 4, pageSize: 8, salt: 16, checksum: 24, length: 32 } as const;
const FRAME = { page: 0, commit: 4, salt: 8, checksum: 16, length: 24 } as const;
/** A frame's checksum covers this much of its header, and the page. */
const FRAME_SUMMED = 8;

export interface Wal {
  readonly pageSize: number;
  /** The last committed form of each page. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
  /** Pages of the database after the last commit. */
  readonly count: number;
}

type Sum = readonly [number, number];

/**
 * What a log commits; undefined when that is nothing. As SQLite does, it ends without an error at the first frame that is
 * torn or left from an earlier use of the file.
 */
export function readWal(bytes: Uint8Array): Wal | undefined {
  if (bytes.length < HEADER.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const magic = view.getUint32(0);
  const pageSize = view.getUint32(HEADER.pageSize);
  const known = (magic | 1) >>> 0 === (MAGIC | 1) && view.getUint32(HEADER.version) === VERSION;
  if (!known || pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  const little = magic === MAGIC;
  const stored = (at: number): Sum => [view.getUint32(at), view.getUint32(at + 4)];
  const same = (a: Sum, b: Sum): boolean => a[0] === b[0] && a[1] === b[1];
  let sum = add([0, 0], view, 0, HEADER.checksum, little);
  if (!same(sum, stored(HEADER.checksum))) return undefined;

  const pages = new Map<number, Uint8Array>();
  let open = new Map<number, Uint8Array>();
  let count = 0;
  const step = FRAME.length + pageSize;
  for (let at: number = HEADER.length; at + step <= bytes.length; at += step) {
    if (!same(stored(at + FRAME.salt), stored(HEADER.salt))) break;
    sum = add(sum, view, at, FRAME_SUMMED, little);
    sum = add(sum, view, at + FRAME.length, pageSize, little);
    if (!same(sum, stored(at + FRAME.checksum))) break;
    open.set(view.getUint32(at + FRAME.page), bytes.subarray(at + FRAME.length, at + step));
    const commit = view.getUint32(at + FRAME.commit);
    if (commit === 0) continue;
    for (const [number, page] of open) pages.set(number, page);
    open = new Map();
    count = commit;
  }
  return pages.size === 0 ? undefined : { pageSize, pages, count };
}

/** Two sums of 32 bits over pairs of words, each of which takes in the other. */
function add([first, second]: Sum, view: DataView, start: number, length: number, little: boolean): Sum {
  let a = first;
  let b = second;
  for (let at = start; at < start + length; at += 8) {
    a = (a + view.getUint32(at, little) + b) >>> 0;
    b = (b + view.getUint32(at + 4, little) + a) >>> 0;
  }
  return [a, b];
}
