/** rpm's own database, "ndb": a table of slots and the blobs they name, in blocks of 16 bytes (rpm, ndb/rpmpkg.c). */

import { FormatError } from '../../errors.ts';

/** "RpmP", the first four bytes; numbers are little-endian. */
export const NDB_MAGIC = 0x506d7052;
const SLOT_MAGIC = 0x746f6c53;
const BLOB_MAGIC = 0x53626c42;
const TAIL_MAGIC = 0x45626c42;

const BLOCK = 16;
const SLOT = 16;
const PAGE = 4096;
const BLOB_HEAD = 16;
const BLOB_TAIL = 12;
/** The header takes the place of the first slots. */
const HEADER = { version: 4, slotPages: 12, length: 32 } as const;

/** The blobs of a `Packages.db`, as they lie. @throws FormatError `ndb.damaged`, `ndb.unsupported` */
export function* ndbBlobs(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < HEADER.length || view.getUint32(0, true) !== NDB_MAGIC) throw damaged('it has no header');
  const version = view.getUint32(HEADER.version, true);
  if (version !== 0) {
    throw new FormatError('ndb.unsupported', `Cannot read the rpm database: ndb of version ${version} is not known`);
  }
  const slotsEnd = view.getUint32(HEADER.slotPages, true) * PAGE;
  if (slotsEnd > bytes.length) throw damaged('its slots lie past its end');
  const taken = new Set<number>();
  for (let at = HEADER.length; at < slotsEnd; at += SLOT) {
    if (view.getUint32(at, true) !== SLOT_MAGIC) throw damaged(`byte ${at} holds no slot`);
    const index = view.getUint32(at + 4, true);
    const start = view.getUint32(at + 8, true) * BLOCK;
    const length = view.getUint32(at + 12, true) * BLOCK;
    if (start === 0) continue;
    if (start < slotsEnd || start + length > bytes.length) throw damaged(`package ${index} lies past its end`);
    if (taken.has(start)) throw damaged(`two packages lie at byte ${start}`);
    taken.add(start);
    yield blobAt(bytes.subarray(start, start + length), index);
  }
}

/** Head (magic, index, generation, length), data, zeros up to a block, tail (Adler-32 of all before, length, magic). */
function blobAt(record: Uint8Array, index: number): Uint8Array {
  if (record.length < BLOB_HEAD + BLOB_TAIL) throw damaged(`package ${index} has no room`);
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  const length = view.getUint32(12, true);
  const tail = record.length - BLOB_TAIL;
  const blocks = Math.ceil((BLOB_HEAD + length + BLOB_TAIL) / BLOCK);
  if (
    view.getUint32(0, true) !== BLOB_MAGIC ||
    view.getUint32(4, true) !== index ||
    blocks * BLOCK !== record.length ||
    view.getUint32(tail + 4, true) !== length ||
    view.getUint32(tail + 8, true) !== TAIL_MAGIC
  ) {
    throw damaged(`package ${index} is not where its slot says`);
  }
  if (adler32(record.subarray(0, tail)) !== view.getUint32(tail, true)) {
    throw damaged(`the checksum of package ${index} is wrong`);
  }
  return record.subarray(BLOB_HEAD, BLOB_HEAD + length);
}

const ADLER_MODULUS = 65_521;
/** Bytes after which the sums of 32 bits must be reduced at the latest (RFC 1950, section 9). */
const ADLER_RUN = 5552;

/** Adler-32 of RFC 1950. */
export function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + ADLER_RUN);
    for (; at < end; at++) {
      a += bytes[at] ?? 0;
      b += a;
    }
    a %= ADLER_MODULUS;
    b %= ADLER_MODULUS;
  }
  return ((b << 16) | a) >>> 0;
}

function damaged(why: string): FormatError {
  return new FormatError('ndb.damaged', `Cannot read the rpm database: Packages.db is damaged: ${why}`, {
    hint: 'Run "rpmdb --rebuilddb" in the guest and pack again.',
  });
}
