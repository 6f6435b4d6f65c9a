/** Rock Ridge (RRIP 1.09 to 1.12) as it is read from the system use areas of directory records (SUSP 1.12). */
import { concat } from './concat.ts';
import { isoDamaged, longDate, shortDate } from './iso9660-records.ts';

/** What the system use entries of one record say. */
export interface SystemUse {
  /** SP: the areas carry entries, after so many bytes that are skipped. */
  readonly skip?: number;
  /** A Rock Ridge extension was announced, or its attributes are there. */
  readonly rockRidge: boolean;
  readonly name?: Uint8Array;
  /** st_mode, with the type of the file. */
  readonly mode?: number;
  readonly links?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Nanoseconds since 1970. */
  readonly mtime?: bigint;
  readonly target?: Uint8Array;
  readonly device?: { readonly major: number; readonly minor: number };
  /** CL: the directory was moved to this logical block for it lay too deep. */
  readonly childLink?: number;
  /** RE: this directory is one that was moved, and shown elsewhere. */
  readonly relocated: boolean;
  /** ZF: the content is compressed with zisofs. */
  readonly compressed: boolean;
}

/** Bytes of a continuation area. */
export type ReadArea = (block: number, offset: number, length: number) => Promise<Uint8Array>;

/** Bounds of Linux (fs/isofs/rock.c) for hops; four times PATH_MAX for what they may hold. */
const MAX_CONTINUATIONS = 32;
const MAX_AREA = 16 * 1024;
const ENTRY_HEAD = 4;
const RR_IDS = ['RRIP_1991A', 'IEEE_P1282', 'IEEE_1282'];

const NM_CONTINUE = 0x01;
const SL_CONTINUE = 0x01;
const COMPONENT = { continue: 0x01, current: 0x02, parent: 0x04, root: 0x08 } as const;
const TF = { creation: 0x01, modify: 0x02, long: 0x80 } as const;

type Draft = { -readonly [Key in keyof SystemUse]: SystemUse[Key] };

/**
 * Reads the entries in `use` and where they go on. `skip` is what SP said.
 * @throws FormatError `iso9660.damaged` when they go on without end, or a name or target is longer than Linux allows
 */
export async function readSystemUse(use: Uint8Array, skip: number, readArea: ReadArea): Promise<SystemUse> {
  const draft: Draft = { rockRidge: false, relocated: false, compressed: false };
  const name: Uint8Array[] = [];
  const link = new LinkTarget();
  let area: Uint8Array | undefined = use.subarray(skip);
  for (let hops = 0, total = 0; area !== undefined; hops++) {
    total += area.length;
    if (hops > MAX_CONTINUATIONS || total > MAX_AREA) throw isoDamaged('Rock Ridge', 'its entries go on without end');
    const next = parseArea(area, draft, name, link);
    area = next === undefined ? undefined : await readArea(next.block, next.offset, Math.min(next.length, MAX_AREA));
  }
  if (name.length > 0) draft.name = concat(name);
  if (link.seen) draft.target = link.text();
  return draft;
}

interface Continuation {
  readonly block: number;
  readonly offset: number;
  readonly length: number;
}

function parseArea(area: Uint8Array, draft: Draft, name: Uint8Array[], link: LinkTarget): Continuation | undefined {
  const view = new DataView(area.buffer, area.byteOffset, area.length);
  let next: Continuation | undefined;
  for (let at = 0; at + ENTRY_HEAD <= area.length; ) {
    const length = area[at + 2] ?? 0;
    if (length < ENTRY_HEAD || at + length > area.length) break;
    const signature = String.fromCharCode(area[at] ?? 0, area[at + 1] ?? 0);
    const number = (offset: number): number => (offset + 4 <= length ? view.getUint32(at + offset, true) : 0);
    const body = area.subarray(at + ENTRY_HEAD, at + length);
    if (signature === 'ST') break;
    if (signature === 'CE') next = { block: number(4), offset: number(12), length: number(20) };
    else if (signature === 'SP' && body[0] === 0xbe && body[1] === 0xef) draft.skip = body[2] ?? 0;
    else if (signature === 'ER') draft.rockRidge ||= RR_IDS.includes(ascii(body.subarray(4, 4 + (body[0] ?? 0))));
    else if (signature === 'RE') draft.relocated = true;
    else if (signature === 'CL') draft.childLink = number(4);
    else if (signature === 'ZF') draft.compressed = true;
    else if (signature === 'NM' && ((body[0] ?? 0) & ~NM_CONTINUE) === 0) name.push(body.subarray(1));
    else if (signature === 'SL') link.add(body);
    else if (signature === 'PN') draft.device = device(number(4), number(12));
    else if (signature === 'TF') readTimes(body, draft);
    else if (signature === 'PX') {
      draft.rockRidge = true;
      Object.assign(draft, { mode: number(4), links: number(12), uid: number(20), gid: number(28) });
    }
    at += length;
  }
  return next;
}

/** PN holds the halves of a 64-bit dev_t; writers put either major and minor, or a 16-bit dev_t in the low half. */
function device(high: number, low: number): { major: number; minor: number } {
  if (high === 0 && (low & ~0xff) !== 0) return { major: low >>> 8, minor: low & 0xff };
  return { major: high, minor: low };
}

function readTimes(body: Uint8Array, draft: Draft): void {
  const flags = body[0] ?? 0;
  if ((flags & TF.modify) === 0) return;
  const width = (flags & TF.long) === 0 ? 7 : 17;
  const at = 1 + ((flags & TF.creation) === 0 ? 0 : width);
  if (at + width > body.length) return;
  const stamp = body.subarray(at, at + width);
  draft.mtime = width === 7 ? shortDate(stamp) : longDate(stamp);
}

/** The target of a symbolic link, put together from the components of its SL entries. */
class LinkTarget {
  seen = false;
  readonly #parts: Uint8Array[] = [];
  #open = false;
  #absolute = false;

  add(body: Uint8Array): void {
    this.seen = true;
    const more = ((body[0] ?? 0) & SL_CONTINUE) !== 0;
    for (let at = 1; at + 2 <= body.length; ) {
      const flags = body[at] ?? 0;
      const end = at + 2 + (body[at + 1] ?? 0);
      if (end > body.length) break;
      this.#component(flags, body.subarray(at + 2, end));
      at = end;
    }
    if (!more) this.#open = false;
  }

  #component(flags: number, bytes: Uint8Array): void {
    if ((flags & COMPONENT.root) !== 0) {
      this.#parts.length = 0;
      this.#absolute = true;
      this.#open = false;
      return;
    }
    const part = (flags & COMPONENT.current) !== 0 ? DOT : (flags & COMPONENT.parent) !== 0 ? DOT_DOT : bytes;
    const before = this.#open ? this.#parts.pop() : undefined;
    this.#parts.push(before === undefined ? part : concat([before, part]));
    this.#open = (flags & COMPONENT.continue) !== 0;
  }

  text(): Uint8Array {
    const slash = Uint8Array.of(0x2f);
    const joined = this.#parts.flatMap((part, at) => (at === 0 ? [part] : [slash, part]));
    return concat(this.#absolute ? [slash, ...joined] : joined);
  }
}

const DOT = Uint8Array.of(0x2e);
const DOT_DOT = Uint8Array.of(0x2e, 0x2e);

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
