/** Reads cpio archives of the "newc" form, one or several with zeros between them, as the kernel does. */
import { FormatError } from '../errors.ts';
import { CPIO_ALIGNMENT } from './cpio.ts';

export interface CpioEntry {
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: number;
  readonly links: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** A view of the archive. */
  readonly content: Uint8Array;
}

/** Of a member, before its name. */
export const HEADER_LENGTH = 110;
const FIELD = 8;
const MAX_NAME = 4096;
/** newc, and newc with a sum over the content. */
const MAGICS = ['070701', '070702'];
/** Name of the member that ends an archive. */
export const TRAILER = 'TRAILER!!!';
/** By the highest four bits of st_mode. */
const KINDS: Readonly<Record<number, CpioEntry['kind']>> = { 4: 'directory', 8: 'file', 10: 'symlink' };
const latin1 = new TextDecoder('latin1');
const utf8 = new TextDecoder();

/**
 * The members of the archives in `bytes`, trailers left out.
 * @throws FormatError `cpio.not-cpio`, `cpio.truncated`, `cpio.damaged`
 */
export function readCpio(bytes: Uint8Array): CpioEntry[] {
  const entries: CpioEntry[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] === 0) {
      at++;
      continue;
    }
    if (!isCpio(bytes, at)) throw notCpio(at);
    const { entry, end } = member(bytes, at);
    if (entry.path !== TRAILER) entries.push(entry);
    at = end;
  }
  return entries;
}

/**
 * The members of the one archive that begins at `at`, and where it ends: after its trailer, or with the bytes. What follows
 * may be another archive, or a compressed one, as in an initial file system with microcode in front.
 * @throws as `readCpio`
 */
export function readCpioArchive(
  bytes: Uint8Array,
  at = 0,
): { readonly entries: readonly CpioEntry[]; readonly end: number } {
  const entries: CpioEntry[] = [];
  let position = at;
  while (position < bytes.length) {
    if (!isCpio(bytes, position)) throw notCpio(position);
    const { entry, end } = member(bytes, position);
    position = end;
    if (entry.path === TRAILER) break;
    entries.push(entry);
  }
  return { entries, end: Math.min(position, bytes.length) };
}

/** Whether a member of an archive begins at `at`. */
export function isCpio(bytes: Uint8Array, at: number): boolean {
  return at % CPIO_ALIGNMENT === 0 && MAGICS.includes(latin1.decode(bytes.subarray(at, at + 6)));
}

function notCpio(at: number): FormatError {
  return new FormatError('cpio.not-cpio', `Cannot read the cpio archive: no member begins at byte ${at}`);
}

function member(bytes: Uint8Array, at: number): { entry: CpioEntry; end: number } {
  const take = (from: number, length: number): Uint8Array => {
    if (from + length > bytes.length) {
      throw new FormatError('cpio.truncated', `Cannot read the cpio archive: it ends within the member at byte ${at}`);
    }
    return bytes.subarray(from, from + length);
  };
  take(at, HEADER_LENGTH);
  const { size, nameSize, mode, field } = cpioHeader(bytes, at, at);
  const path = cpioName(take(at + HEADER_LENGTH, nameSize), at);
  const contentAt = aligned(at + HEADER_LENGTH + nameSize);
  const entry = {
    path,
    kind: KINDS[mode >>> 12] ?? 'other',
    mode: mode & 0o7777,
    uid: field(2),
    gid: field(3),
    inode: field(0),
    links: field(4),
    mtime: field(5),
    content: take(contentAt, size),
  } as const;
  return { entry, end: aligned(contentAt + size) };
}

/**
 * What the header at `at` says. `field` gives another of its numbers by its index.
 * @param place of the member, for the error
 * @throws FormatError `cpio.damaged`
 */
export function cpioHeader(
  bytes: Uint8Array,
  at: number,
  place: number,
): { readonly size: number; readonly nameSize: number; readonly mode: number; field(index: number): number } {
  const digits = latin1.decode(bytes.subarray(at, at + HEADER_LENGTH)).slice(6);
  if (!/^[0-9a-f]+$/i.test(digits)) throw damaged(place, 'its header is not hexadecimal');
  const field = (index: number): number => Number.parseInt(digits.slice(index * FIELD, (index + 1) * FIELD), 16);
  const [size, nameSize, mode] = [field(6), field(11), field(1)];
  if (nameSize === 0 || nameSize > MAX_NAME) throw damaged(place, `its name has ${nameSize} bytes`);
  return { size, nameSize, mode, field };
}

/** The name in the bytes after a header. @param place of the member, for the error @throws FormatError `cpio.damaged` */
export function cpioName(bytes: Uint8Array, place: number): string {
  if (bytes.indexOf(0) !== bytes.length - 1) throw damaged(place, 'its name does not end where it should');
  return utf8.decode(bytes.subarray(0, -1));
}

function aligned(at: number): number {
  return Math.ceil(at / CPIO_ALIGNMENT) * CPIO_ALIGNMENT;
}

function damaged(at: number, why: string): FormatError {
  return new FormatError('cpio.damaged', `Cannot read the member at byte ${at} of the cpio archive: ${why}`);
}
