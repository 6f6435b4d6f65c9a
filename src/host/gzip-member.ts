import zlib from 'node:zlib';
import { crc32 } from '../formats/crc32.ts';
import { LIBDEFLATE, loadNativeLibrary } from './native-library.ts';

/** How much of the input a member of a gzip file took, and how much came of it. */
export interface GzipMember {
  readonly read: number;
  readonly written: number;
}

/**
 * Unpacks the one member that `stored` begins with into `room`, its CRC compared. Undefined where it is damaged, ends after
 * `stored` or does not fit into `room`: which of them, only a reader of the whole file can tell.
 */
export type GunzipMember = (stored: Uint8Array, room: Uint8Array) => GzipMember | undefined;

/**
 * By libdeflate, else by Node's zlib.
 * @param options.withoutLibraries uses what Node brings only. @default false
 */
export async function openGunzipMember(options: { readonly withoutLibraries?: boolean } = {}): Promise<GunzipMember> {
  if (options.withoutLibraries === true) return byZlib;
  return (await byLibdeflate().catch(() => undefined)) ?? byZlib;
}

async function byLibdeflate(): Promise<GunzipMember> {
  const { library, pointerSize } = await loadNativeLibrary(LIBDEFLATE);
  if (pointerSize !== 8) throw new Error('libdeflate is called on 64-bit hosts only');
  const allocate = library.func('void *libdeflate_alloc_decompressor()');
  const gunzip = library.func(
    'int libdeflate_gzip_decompress_ex(void *d, void *in, size_t n, void *out, size_t room, void *read, void *written)',
  );
  const decompressor = allocate() as unknown;
  if (decompressor === null) throw new RangeError('libdeflate has no memory for a decompressor');
  const lengths = [new BigUint64Array(1), new BigUint64Array(1)] as const;
  return (stored, room) => {
    const [read, written] = lengths;
    const failed = gunzip(decompressor, stored, stored.length, room, room.length, read, written) !== 0;
    return failed ? undefined : { read: Number(read[0]), written: Number(written[0]) };
  };
}

/** Flags of a header (RFC 1952, section 2.3.1). */
const [HEADER_CRC, EXTRA, NAME, COMMENT] = [2, 4, 8, 16];
const HEADER = 10;
const TRAILER = 8;

function byZlib(stored: Uint8Array, room: Uint8Array): GzipMember | undefined {
  const start = headerLength(stored);
  if (start === undefined) return undefined;
  try {
    const options = { info: true, maxOutputLength: room.length };
    const answer = zlib.inflateRawSync(stored.subarray(start), options) as unknown as {
      readonly buffer: Uint8Array;
      readonly engine: { readonly bytesWritten: number };
    };
    const end = start + answer.engine.bytesWritten;
    if (end + TRAILER > stored.length) return undefined;
    const trailer = new DataView(stored.buffer, stored.byteOffset + end, TRAILER);
    if (trailer.getUint32(0, true) !== crc32(answer.buffer)) return undefined;
    room.set(answer.buffer);
    return { read: end + TRAILER, written: answer.buffer.length };
  } catch {
    return undefined;
  }
}

function headerLength(bytes: Uint8Array): number | undefined {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8) return undefined;
  const flags = bytes[3] ?? 0;
  let at = HEADER;
  if ((flags & EXTRA) !== 0) at += 2 + (bytes[at] ?? 0) + (bytes[at + 1] ?? 0) * 256;
  for (const flag of [NAME, COMMENT]) {
    if ((flags & flag) === 0) continue;
    const end = bytes.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  return (flags & HEADER_CRC) === 0 ? at : at + 2;
}
