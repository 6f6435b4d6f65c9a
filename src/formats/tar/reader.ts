/** Reads a tar stream: ustar, PAX and GNU headers as GNU tar, bsdtar and compose write them. */
import { FormatError } from '../../errors.ts';
import {
  BLOCK,
  CHECKSUM,
  CHECKSUM_SIZE,
  DEV_SIZE,
  DEVMAJOR,
  DEVMINOR,
  GID,
  headerChecksum,
  ID_SIZE,
  LINKNAME,
  LINKNAME_SIZE,
  MAGIC,
  MODE,
  MODE_SIZE,
  MTIME,
  MTIME_SIZE,
  NAME,
  NAME_SIZE,
  PREFIX,
  PREFIX_SIZE,
  padding,
  SIZE,
  SIZE_SIZE,
  TYPE,
  TYPEFLAG,
  UID,
} from './layout.ts';
import { readNumber } from './number.ts';
import { decodePax } from './pax.ts';
import { ByteQueue } from './queue.ts';

export interface TarEntry {
  readonly name: Uint8Array;
  readonly type: 'file' | 'hardLink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Length of the file once its holes are filled. */
  readonly size: number;
  readonly linkName: Uint8Array | undefined;
  readonly device: { readonly major: number; readonly minor: number };
  readonly xattrs: readonly { readonly name: Uint8Array; readonly value: Uint8Array }[];
  /** Keys of attributes in the records of other tools, which are not among `xattrs`: `RHT.security.selinux`, `SCHILY.acl.access` … */
  readonly otherXattrs: readonly string[];
  /** The runs that are stored, for a file with holes. */
  readonly sparse: readonly { readonly offset: number; readonly length: number }[] | undefined;
  /** What is stored of the file, in order, without its holes. Valid until the next entry is asked for. */
  body(): AsyncGenerator<Uint8Array>;
  /** The whole file, holes filled. @throws FormatError `tar.too-long` beyond `limit` bytes */
  content(limit: number): Promise<Uint8Array>;
}

/** Largest extended header or long name taken: Linux allows 64 KiB for one attribute and for all names of them. */
const MAX_HEADER_BODY = 4 * 1024 * 1024;
const MAX_SPARSE_RUNS = 1_000_000;
const XATTR = 'SCHILY.xattr.';
const OTHER_XATTR = /^(?:LIBARCHIVE\.xattr\.|RHT\.security\.|SCHILY\.acl\.)/;
const SECOND = 1_000_000_000n;

type Records = Map<string, Uint8Array>;

/**
 * The entries of a tar stream, in order. What is not read of an entry is passed over. Zero blocks end the archive.
 * @throws FormatError `tar.damaged`, `tar.truncated`, `tar.unsupported`
 */
export async function* readTar(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const queue = new ByteQueue(chunks);
  const global: Records = new Map();
  let local: Records = new Map();
  for (;;) {
    const header = await queue.take(BLOCK);
    if (header.length === 0) return;
    if (header.length < BLOCK) throw truncated();
    if (header.every((byte) => byte === 0)) return;
    checkHeader(header);
    const size = number(header, SIZE, SIZE_SIZE, 'size');
    switch (header[TYPEFLAG]) {
      case TYPE.paxGlobal:
        for (const [key, value] of await readRecords(queue, size)) global.set(key, value);
        continue;
      case TYPE.paxExtended:
        for (const [key, value] of await readRecords(queue, size)) local.set(key, value);
        continue;
      case TYPE.gnuLongName:
        local.set('path', endAtNul(await headerBody(queue, size)));
        continue;
      case TYPE.gnuLongLink:
        local.set('linkpath', endAtNul(await headerBody(queue, size)));
        continue;
    }
    yield* readMember(queue, header, size, new Map([...global, ...local]));
    local = new Map();
  }
}

async function* readMember(
  queue: ByteQueue,
  header: Uint8Array,
  headerSize: number,
  records: Records,
): AsyncGenerator<TarEntry> {
  const type = typeOf(header[TYPEFLAG] ?? 0);
  const hasBody = type === 'file';
  const stored = hasBody ? (decimal(records, 'size') ?? headerSize) : 0;
  const body = new Body(queue, stored);
  const sparse = await sparseRuns(records, body);
  const size = sparse === undefined ? stored : (decimal(records, 'GNU.sparse.realsize') ?? stored);
  const last = sparse?.at(-1);
  if (last !== undefined && last.offset + last.length > size)
    throw damaged('a sparse run lies past the end of its file');
  const left = body.left;
  if (sparse !== undefined && sparse.reduce((sum, run) => sum + run.length, 0) !== left) {
    throw damaged('the runs of a sparse file do not add up to what is stored');
  }
  const entry: TarEntry = {
    name: records.get('GNU.sparse.name') ?? records.get('path') ?? ustarName(header),
    type,
    mode: number(header, MODE, MODE_SIZE, 'mode') & 0o7777,
    uid: decimal(records, 'uid') ?? number(header, UID, ID_SIZE, 'uid'),
    gid: decimal(records, 'gid') ?? number(header, GID, ID_SIZE, 'gid'),
    mtime: paxTime(records) ?? BigInt(number(header, MTIME, MTIME_SIZE, 'mtime')) * SECOND,
    size,
    linkName:
      type === 'hardLink' || type === 'symlink'
        ? (records.get('linkpath') ?? text(header, LINKNAME, LINKNAME_SIZE))
        : undefined,
    device: { major: readNumber(header, DEVMAJOR, DEV_SIZE) || 0, minor: readNumber(header, DEVMINOR, DEV_SIZE) || 0 },
    xattrs: xattrsOf(records),
    otherXattrs: [...records.keys()].filter((key) => OTHER_XATTR.test(key)),
    sparse,
    body: () => body.chunks(),
    content: (limit) => content(body, size, sparse, limit),
  };
  yield entry;
  await body.finish();
}

async function content(body: Body, size: number, sparse: TarEntry['sparse'], limit: number): Promise<Uint8Array> {
  if (size > limit)
    throw new FormatError('tar.too-long', `Cannot read a file of ${size} bytes whole: ${limit} are allowed`);
  const whole = new Uint8Array(size);
  const runs = [...(sparse ?? [{ offset: 0, length: size }])];
  let done = 0;
  for await (const chunk of body.chunks()) {
    for (let at = 0; at < chunk.length; ) {
      const run = runs[0];
      if (run === undefined) throw damaged('more is stored of a file than its runs hold');
      const take = Math.min(chunk.length - at, run.length - done);
      whole.set(chunk.subarray(at, at + take), run.offset + done);
      at += take;
      done += take;
      if (done === run.length) {
        runs.shift();
        done = 0;
      }
    }
  }
  return whole;
}

/** The stored bytes of one member, and the padding after them. */
class Body {
  readonly #queue: ByteQueue;
  readonly #padding: number;
  left: number;

  constructor(queue: ByteQueue, size: number) {
    this.#queue = queue;
    this.left = size;
    this.#padding = padding(size);
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    while (this.left > 0) {
      const chunk = await this.#queue.some(this.left);
      if (chunk.length === 0) throw truncated();
      this.left -= chunk.length;
      yield chunk;
    }
  }

  async take(length: number): Promise<Uint8Array> {
    if (length > this.left) throw damaged('a sparse map is longer than its file');
    const bytes = await this.#queue.take(length);
    if (bytes.length < length) throw truncated();
    this.left -= length;
    return bytes;
  }

  async finish(): Promise<void> {
    for await (const _ of this.chunks()) {
      // Passed over.
    }
    if ((await this.#queue.take(this.#padding)).length < this.#padding) throw truncated();
  }
}

/** GNU sparse 1.0: the map stands in front of the data, decimal numbers a line each, padded to a block. */
async function sparseRuns(records: Records, body: Body): Promise<{ offset: number; length: number }[] | undefined> {
  const major = decimal(records, 'GNU.sparse.major');
  if (major === undefined) {
    if (!records.has('GNU.sparse.map') && !records.has('GNU.sparse.size')) return undefined;
    throw unsupported('a sparse file in PAX format 0');
  }
  if (major !== 1) throw unsupported(`a sparse file in PAX format ${major}`);
  let buffered = '';
  const line = async (): Promise<number> => {
    while (!buffered.includes('\n')) {
      if (buffered.length > 32) throw damaged('a sparse map is not made of numbers');
      buffered += new TextDecoder('latin1').decode(await body.take(BLOCK));
    }
    const end = buffered.indexOf('\n');
    const word = buffered.slice(0, end);
    buffered = buffered.slice(end + 1);
    if (!/^\d{1,16}$/.test(word)) throw damaged('a sparse map is not made of numbers');
    return Number(word);
  };
  const count = await line();
  if (count > MAX_SPARSE_RUNS) throw damaged(`a sparse map has ${count} runs`);
  const runs: { offset: number; length: number }[] = [];
  let end = 0;
  for (let i = 0; i < count; i++) {
    const offset = await line();
    const length = await line();
    if (offset < end) throw damaged('the runs of a sparse map overlap');
    end = offset + length;
    if (length > 0) runs.push({ offset, length });
  }
  return runs;
}

async function readRecords(queue: ByteQueue, size: number): Promise<Records> {
  const records = decodePax(await headerBody(queue, size));
  if (records === undefined) throw damaged('an extended header does not follow its grammar');
  const latin1 = new TextDecoder('latin1');
  return new Map(records.map(({ key, value }) => [latin1.decode(key), value]));
}

async function headerBody(queue: ByteQueue, size: number): Promise<Uint8Array> {
  if (size > MAX_HEADER_BODY) throw damaged(`an extended header has ${size} bytes`);
  const body = await queue.take(size);
  const rest = await queue.take(padding(size));
  if (body.length < size || rest.length < padding(size)) throw truncated();
  return body;
}

function checkHeader(header: Uint8Array): void {
  if (readNumber(header, CHECKSUM, CHECKSUM_SIZE) !== headerChecksum(header))
    throw damaged('a header has a wrong checksum');
}

function typeOf(flag: number): TarEntry['type'] {
  for (const type of ['hardLink', 'symlink', 'character', 'block', 'directory', 'fifo'] as const) {
    if (TYPE[type] === flag) return type;
  }
  if (flag === TYPE.file || flag === TYPE.oldFile || flag === TYPE.contiguous) return 'file';
  throw unsupported(`a member of type "${String.fromCharCode(flag)}"`);
}

function ustarName(header: Uint8Array): Uint8Array {
  const name = text(header, NAME, NAME_SIZE);
  const posix = header[MAGIC + 5] === 0 && header[MAGIC] === 0x75;
  const prefix = posix ? text(header, PREFIX, PREFIX_SIZE) : new Uint8Array(0);
  return prefix.length === 0 ? name : Uint8Array.of(...prefix, 0x2f, ...name);
}

function text(header: Uint8Array, at: number, length: number): Uint8Array {
  return endAtNul(header.slice(at, at + length));
}

function endAtNul(bytes: Uint8Array): Uint8Array {
  const nul = bytes.indexOf(0);
  return nul < 0 ? bytes : bytes.slice(0, nul);
}

function number(header: Uint8Array, at: number, width: number, what: string): number {
  const value = readNumber(header, at, width);
  if (Number.isNaN(value) || (value < 0 && what !== 'mtime')) throw damaged(`a header's ${what} is no number`);
  return value;
}

function decimal(records: Records, key: string): number | undefined {
  const bytes = records.get(key);
  if (bytes === undefined) return undefined;
  const word = new TextDecoder('latin1').decode(bytes);
  const value = Number(word);
  if (!/^\d{1,16}$/.test(word) || !Number.isSafeInteger(value)) throw damaged(`${key} is no number`);
  return value;
}

function paxTime(records: Records): bigint | undefined {
  const bytes = records.get('mtime');
  if (bytes === undefined) return undefined;
  const match = /^(-?)(\d{1,18})(?:\.(\d{1,30}))?$/.exec(new TextDecoder('latin1').decode(bytes));
  if (match === null) throw damaged('mtime is no time');
  const fraction = BigInt((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  const magnitude = BigInt(match[2] ?? 0) * SECOND + fraction;
  return match[1] === '-' ? -magnitude : magnitude;
}

function xattrsOf(records: Records): { name: Uint8Array; value: Uint8Array }[] {
  const found: { name: Uint8Array; value: Uint8Array }[] = [];
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR)) continue;
    const name = key.slice(XATTR.length).replace(/%25|%3D/g, (code) => (code === '%25' ? '%' : '='));
    found.push({ name: Uint8Array.from(name, (character) => character.charCodeAt(0)), value });
  }
  return found;
}

function damaged(why: string): FormatError {
  return new FormatError('tar.damaged', `Cannot read the archive: ${why}`, { hint: 'Compare it with SHA256SUMS.' });
}

function truncated(): FormatError {
  return new FormatError('tar.truncated', 'Cannot read the archive: it ends in the middle of a member', {
    hint: 'It was cut short; compare it with SHA256SUMS.',
  });
}

function unsupported(what: string): FormatError {
  return new FormatError('tar.unsupported', `Cannot read the archive: it has ${what}`);
}
