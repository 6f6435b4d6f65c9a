import { gzipSync } from 'node:zlib';
import { HostError } from '../errors.ts';
import { firstLibrary, LIBDEFLATE } from '../host/native-library.ts';

/** Makes one gzip member of one chunk. Bytes depend on input, engine, version and level only. */
export interface Engine {
  readonly name: EngineName;
  /** What made the bytes: the library and, where it tells it, its version. */
  readonly version: string;
  readonly level: number;
  /** One whole gzip member. The answer is the caller's to keep. */
  gzip(input: Uint8Array): Uint8Array<ArrayBuffer>;
}

export type EngineName = 'libdeflate' | 'zlib';

/** Level of both engines where none is asked for: libdeflate's 6 is smaller than `pigz --best` and three times as fast as `pigz -6`. */
export const DEFAULT_LEVEL = 6;

/** RFC 1952: byte 9 tells the operating system; 255 is "unknown", what libdeflate writes. */
const GZIP_OS = 9;
const OS_UNKNOWN = 255;

/**
 * The engine asked for, or the best this host has.
 * @throws HostError `engine.missing` when the one asked for is not here
 */
export async function openEngine(
  options: { readonly engine?: EngineName; readonly level?: number } = {},
): Promise<Engine> {
  if (options.engine !== 'zlib') {
    const level = options.level ?? DEFAULT_LEVEL;
    try {
      return await libdeflateEngine(level);
    } catch (cause) {
      if (options.engine === 'libdeflate') {
        throw new HostError(
          'engine.missing',
          'Cannot compress with libdeflate: the library or koffi cannot be loaded',
          {
            hint: 'Install libdeflate0 (Debian, Ubuntu) and the npm package koffi, or leave --engine out.',
            cause,
          },
        );
      }
    }
  }
  return zlibEngine(Math.min(9, options.level ?? DEFAULT_LEVEL));
}

export function zlibEngine(level: number): Engine {
  return {
    name: 'zlib',
    version: `zlib ${process.versions.zlib}`,
    level,
    gzip: (input) => {
      const member = new Uint8Array(gzipSync(input, { level, memLevel: 9 }));
      member[GZIP_OS] = OS_UNKNOWN;
      return member;
    },
  };
}

async function libdeflateEngine(level: number): Promise<Engine> {
  const { default: koffi } = await import('koffi');
  const library = firstLibrary(koffi.load, LIBDEFLATE);
  const allocate = library.func('void *libdeflate_alloc_compressor(int level)');
  const bound = library.func('size_t libdeflate_gzip_compress_bound(void *c, size_t n)');
  const compress = library.func('size_t libdeflate_gzip_compress(void *c, void *in, size_t n, void *out, size_t room)');
  const compressor = allocate(level) as unknown;
  if (compressor === null) throw new RangeError(`libdeflate has no level ${level}`);
  let room = new Uint8Array(0);
  return {
    name: 'libdeflate',
    version: 'libdeflate 0',
    level,
    gzip: (input) => {
      const most = Number(bound(compressor, input.length));
      if (room.length < most) room = new Uint8Array(most);
      const length = Number(compress(compressor, input, input.length, room, room.length));
      if (length === 0) throw new RangeError(`libdeflate could not fit ${input.length} bytes into ${room.length}`);
      return room.slice(0, length);
    },
  };
}
