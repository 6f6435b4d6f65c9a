/**
 * Tar headers as curtin's GNU tar restores them (`--xattrs --xattrs-include=* -Sxp --numeric-owner`): ustar, with a PAX
 * extended header only where ustar cannot say it. Extended attributes of every namespace are `SCHILY.xattr.*` with their
 * bytes as they are: `SCHILY.acl.*` and `RHT.security.selinux` are ignored with those flags.
 */
import { Slab } from '../slab.ts';
import {
  BLOCK,
  CHECKSUM,
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
  padding,
  RECORD,
  SIZE,
  SIZE_SIZE,
  TYPE,
  TYPEFLAG,
  UID,
} from './layout.ts';
import { octalLimit, writeNumber } from './number.ts';
import { encodePax, escapeKey, type PaxRecord, paxRecord } from './pax.ts';

/** One archive member. */
export interface TarMember {
  /** Name in the archive as bytes; a directory's ends with a slash. */
  readonly name: Uint8Array;
  readonly type: 'file' | 'hardLink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Length of a `file`, bytes, holes included. */
  readonly size: number;
  /** Target of `hardLink` and `symlink`. */
  readonly linkName?: Uint8Array | undefined;
  readonly device?: { readonly major: number; readonly minor: number } | undefined;
  readonly xattrs?: readonly { readonly name: Uint8Array; readonly value: Uint8Array }[];
  /** Runs of data of a file with holes, in order; the file is then stored as GNU sparse 1.0. */
  readonly sparse?: readonly { readonly offset: number; readonly length: number }[] | undefined;
}

const SECOND = 1_000_000_000n;
const USTAR = Uint8Array.of(0x75, 0x73, 0x74, 0x61, 0x72, 0x00, 0x30, 0x30);
const XATTR_PREFIX = new TextEncoder().encode('SCHILY.xattr.');
const PAX_FOLDER = new TextEncoder().encode('./PaxHeaders/');
const SPARSE_FOLDER = new TextEncoder().encode('./GNUSparseFile.0/');
const SLASH = 0x2f;
const encoder = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

const headers = new Slab();

/** Everything that comes before a member's data: PAX header if one is needed, ustar header, and the map of a sparse file. */
export function memberHeader(member: TarMember): Uint8Array {
  const map = member.sparse === undefined ? undefined : sparseMap(member.size, member.sparse);
  const records = paxRecords(member);
  const stored = storedSize(member, map);
  const name = map === undefined ? member.name : concat(SPARSE_FOLDER, baseName(member.name));
  if (stored > octalLimit(SIZE_SIZE)) records.push(paxRecord('size', String(stored)));
  if (records.length === 0) {
    const header = headers.take(BLOCK);
    writeHeader(header, 0, member, name, stored);
    return header;
  }
  const body = encodePax(records);
  const paxBlocks = BLOCK + body.length + padding(body.length);
  const bytes = headers.take(paxBlocks + BLOCK + (map?.length ?? 0));
  writePaxHeader(bytes, member, body.length);
  bytes.set(body, BLOCK);
  writeHeader(bytes, paxBlocks, member, name, stored);
  if (map !== undefined) bytes.set(map, paxBlocks + BLOCK);
  return bytes;
}

/** The end of an archive after `written` bytes: two zero blocks and zeros up to a whole record. */
export function archiveEnd(written: number): number {
  const end = written + 2 * BLOCK;
  return 2 * BLOCK + ((RECORD - (end % RECORD)) % RECORD);
}

function storedSize(member: TarMember, map: Uint8Array | undefined): number {
  if (member.type !== 'file') return 0;
  if (map === undefined) return member.size;
  return (member.sparse ?? []).reduce((sum, run) => sum + run.length, map.length);
}

function paxRecords(member: TarMember): PaxRecord[] {
  const records: PaxRecord[] = [];
  const sparse = member.sparse !== undefined;
  const longName = member.name.length > NAME_SIZE && !sparse;
  const longLink = (member.linkName?.length ?? 0) > LINKNAME_SIZE;
  const link = member.linkName ?? new Uint8Array(0);
  // Without it bsdtar takes a long name for UTF-8 and cannot convert the bytes; GNU tar warns of the keyword and goes on.
  if (((longName || sparse) && !isUtf8(member.name)) || (longLink && !isUtf8(link))) {
    records.push(paxRecord('hdrcharset', 'BINARY'));
  }
  if (sparse) {
    records.push(paxRecord('GNU.sparse.major', '1'), paxRecord('GNU.sparse.minor', '0'));
    records.push(paxRecord('GNU.sparse.name', member.name), paxRecord('GNU.sparse.realsize', String(member.size)));
  }
  if (longName) records.push(paxRecord('path', member.name));
  if (longLink) records.push(paxRecord('linkpath', link));
  const limit = octalLimit(ID_SIZE);
  if (member.uid > limit) records.push(paxRecord('uid', String(member.uid)));
  if (member.gid > limit) records.push(paxRecord('gid', String(member.gid)));
  const seconds = member.mtime / SECOND;
  if (member.mtime % SECOND !== 0n || member.mtime < 0n || seconds > BigInt(octalLimit(MTIME_SIZE))) {
    records.push(paxRecord('mtime', decimalTime(member.mtime)));
  }
  for (const { name, value } of member.xattrs ?? [])
    records.push(paxRecord(concat(XATTR_PREFIX, escapeKey(name)), value));
  return records;
}

/** Nanoseconds as decimal seconds without trailing zeros, the sign in front: -1.5 s is "-1.5". */
export function decimalTime(nanoseconds: bigint): string {
  const sign = nanoseconds < 0n ? '-' : '';
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(magnitude % SECOND)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${sign}${magnitude / SECOND}${fraction ? `.${fraction}` : ''}`;
}

function writeHeader(into: Uint8Array, at: number, member: TarMember, name: Uint8Array, size: number): void {
  const header = into.subarray(at, at + BLOCK);
  header.set(name.subarray(0, NAME_SIZE), NAME);
  writeNumber(header, MODE, MODE_SIZE, member.mode);
  writeNumber(header, UID, ID_SIZE, Math.min(member.uid, octalLimit(ID_SIZE)));
  writeNumber(header, GID, ID_SIZE, Math.min(member.gid, octalLimit(ID_SIZE)));
  writeNumber(header, SIZE, SIZE_SIZE, size > octalLimit(SIZE_SIZE) ? 0 : size);
  const seconds = member.mtime < 0n ? 0 : Number(member.mtime / SECOND);
  writeNumber(header, MTIME, MTIME_SIZE, Math.min(seconds, octalLimit(MTIME_SIZE)));
  header[TYPEFLAG] = TYPE[member.type];
  if (member.linkName !== undefined) header.set(member.linkName.subarray(0, LINKNAME_SIZE), LINKNAME);
  header.set(USTAR, MAGIC);
  if (member.device !== undefined) {
    writeNumber(header, DEVMAJOR, DEV_SIZE, member.device.major);
    writeNumber(header, DEVMINOR, DEV_SIZE, member.device.minor);
  }
  sealHeader(header);
}

function writePaxHeader(into: Uint8Array, member: TarMember, size: number): void {
  const header = into.subarray(0, BLOCK);
  header.set(concat(PAX_FOLDER, baseName(member.name)).subarray(0, NAME_SIZE), NAME);
  writeNumber(header, MODE, MODE_SIZE, 0o644);
  writeNumber(header, UID, ID_SIZE, 0);
  writeNumber(header, GID, ID_SIZE, 0);
  writeNumber(header, SIZE, SIZE_SIZE, size);
  writeNumber(header, MTIME, MTIME_SIZE, 0);
  header[TYPEFLAG] = TYPE.paxExtended;
  header.set(USTAR, MAGIC);
  sealHeader(header);
}

function sealHeader(header: Uint8Array): void {
  // Six digits, NUL, space: the form every tar since v7 writes.
  writeNumber(header, CHECKSUM, 7, headerChecksum(header));
  header[CHECKSUM + 7] = 0x20;
}

/** The map in front of a sparse file's data: count, then offset and length of each run, decimal, a line each. */
function sparseMap(size: number, runs: readonly { readonly offset: number; readonly length: number }[]): Uint8Array {
  const last = runs.at(-1);
  const all = last !== undefined && last.offset + last.length === size ? runs : [...runs, { offset: size, length: 0 }];
  const text = encoder.encode(`${all.length}\n${all.map((run) => `${run.offset}\n${run.length}\n`).join('')}`);
  const map = new Uint8Array(text.length + padding(text.length));
  map.set(text);
  return map;
}

function baseName(name: Uint8Array): Uint8Array {
  const end = name.at(-1) === SLASH ? name.length - 1 : name.length;
  return name.subarray(name.lastIndexOf(SLASH, end - 1) + 1, end);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictUtf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
