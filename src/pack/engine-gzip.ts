import { gzipSync } from 'node:zlib';
import { LIBDEFLATE, loadedBuild, loadNativeLibrary } from '../host/native-library.ts';
import type { Engine } from './codec.ts';
import { isIncompressible } from './incompressible.ts';
import { joined } from './joined.ts';

/** Bytes of output in a gzip member where nothing else is asked for. */
export const GZIP_CHUNK = 1024 * 1024;

/** RFC 1952: byte 9 tells the operating system; 255 is "unknown", what libdeflate writes. */
export const GZIP_OS = 9;
export const OS_UNKNOWN = 255;

/** Levels that store a chunk that is compressed already; those above try everything, and 0 stores all. */
const storesSome = (level: number): boolean => level >= 1 && level <= 9;

/** Node's own zlib, which has no level above 9. */
export function zlibEngine(level: number, chunk = GZIP_CHUNK): Engine {
  const most = Math.min(9, level);
  return {
    name: 'zlib',
    codec: 'gzip',
    version: `zlib ${process.versions.zlib}`,
    level: most,
    chunk,
    member: (parts, length) => {
      const input = joined(parts, length);
      const stored = storesSome(most) && isIncompressible(input, (piece) => gzipSync(piece, { level: 1 }).length);
      const member = new Uint8Array(gzipSync(input, { level: stored ? 0 : most, memLevel: 9 }));
      member[GZIP_OS] = OS_UNKNOWN;
      return member;
    },
    close: () => {},
  };
}

/** @throws Error where koffi or the library is missing */
export async function libdeflateEngine(level: number, chunk = GZIP_CHUNK): Promise<Engine> {
  const { library } = await loadNativeLibrary(LIBDEFLATE);
  const allocate = library.func('void *libdeflate_alloc_compressor(int level)');
  const free = library.func('void libdeflate_free_compressor(void *c)');
  const bound = library.func('size_t libdeflate_gzip_compress_bound(void *c, size_t n)');
  const compress = library.func('size_t libdeflate_gzip_compress(void *c, void *in, size_t n, void *out, size_t room)');
  const compressors = new Map<number, unknown>();
  const compressorOf = (wanted: number): unknown => {
    const known = compressors.get(wanted);
    if (known !== undefined) return known;
    const made = allocate(wanted) as unknown;
    if (made === null) throw new RangeError(`libdeflate has no memory for level ${wanted}`);
    compressors.set(wanted, made);
    return made;
  };
  const quickly = (piece: Uint8Array): number => {
    const quick = compressorOf(1);
    const into = ownRoom(Number(bound(quick, piece.length)));
    return Number(compress(quick, piece, piece.length, into, into.length));
  };
  let room = new Uint8Array(0);
  const ownRoom = (most: number): Uint8Array => {
    if (room.length < most) room = new Uint8Array(most);
    return room;
  };
  return {
    name: 'libdeflate',
    codec: 'gzip',
    get version() {
      return loadedBuild('libdeflate 0', LIBDEFLATE);
    },
    level,
    chunk,
    member: (parts, length, given) => {
      const input = joined(parts, length);
      const stored = storesSome(level) && isIncompressible(input, quickly);
      const compressor = compressorOf(stored ? 0 : level);
      const most = Number(bound(compressor, length));
      const into = given !== undefined && given.length >= most ? given : ownRoom(most);
      const made = Number(compress(compressor, input, length, into, into.length));
      if (made === 0) throw new RangeError(`libdeflate could not fit ${length} bytes into ${into.length}`);
      return into.subarray(0, made);
    },
    close: () => {
      for (const compressor of compressors.values()) free(compressor);
      compressors.clear();
    },
  };
}
