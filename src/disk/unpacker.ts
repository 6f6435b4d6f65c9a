import zlib from 'node:zlib';
import { HostError } from '../errors.ts';
import { zstdFrameLength } from '../formats/zstd-frame.ts';
import { firstLibrary, LIBDEFLATE, LIBZSTD } from '../host/native-library.ts';
import type { Codec } from './block-source.ts';

/** Unpacks compressed clusters, in the calling thread. */
export interface Unpacker {
  /** What unpacks, for records and benches. */
  readonly engines: { readonly deflate: 'libdeflate' | 'zlib'; readonly zstd: 'node' | 'libzstd' | undefined };
  /**
   * Fills `into`, the whole cluster, from `stored`; bytes after the end of the stream are not looked at.
   * @throws Error when `stored` does not unpack to `into.length` bytes; HostError `zstd.missing`
   */
  unpack(codec: Codec, stored: Uint8Array, into: Uint8Array): void;
}

type Inflate = (stored: Uint8Array, into: Uint8Array) => void;
type Native = typeof import('koffi')['default'];

export interface UnpackerOptions {
  /** Uses what Node brings only. @default false */
  readonly withoutLibraries?: boolean;
}

/**
 * The best this host has for each codec: libdeflate before zlib, and libzstd before Node's zstd (22.15 on), which sets up
 * a stream for every cluster and took twice as long on Node 22.15 (bench/libraries/unpack.ts).
 */
export async function openUnpacker(options: UnpackerOptions = {}): Promise<Unpacker> {
  const koffi = options.withoutLibraries === true ? undefined : await loadKoffi();
  const libdeflate = optional(koffi, libdeflateInflate);
  const libzstd = optional(koffi, libzstdUnpack);
  const deflate = libdeflate ?? zlibInflate;
  const zstd = libzstd ?? nodeUnzstd();
  return {
    engines: {
      deflate: libdeflate === undefined ? 'zlib' : 'libdeflate',
      zstd: libzstd !== undefined ? 'libzstd' : zstd !== undefined ? 'node' : undefined,
    },
    unpack: (codec, stored, into) => {
      if (codec === 'deflate') deflate(stored, into);
      else if (zstd === undefined) throw zstdMissing();
      else unpackFrames(zstd, stored, into);
    },
  };
}

/** What an image with zstd clusters meets on a host that cannot unpack them. */
export function zstdMissing(): HostError {
  return new HostError('zstd.missing', 'Cannot unpack zstd clusters: neither Node nor a library of the host can', {
    hint: 'Install libzstd1 (Debian, Ubuntu) and the npm package koffi, or run compose with Node 22.15 or later.',
  });
}

async function loadKoffi(): Promise<Native | undefined> {
  try {
    return (await import('koffi')).default;
  } catch {
    // An optional dependency: it may have been left out, or not exist for this processor.
    return undefined;
  }
}

function optional<T>(koffi: Native | undefined, make: (koffi: Native) => T): T | undefined {
  try {
    return koffi === undefined ? undefined : make(koffi);
  } catch {
    return undefined;
  }
}

function libdeflateInflate(koffi: Native): Inflate {
  const library = firstLibrary(koffi.load, LIBDEFLATE);
  const allocate = library.func('void *libdeflate_alloc_decompressor()');
  const inflate = library.func(
    'int libdeflate_deflate_decompress(void *d, void *in, size_t n, void *out, size_t room, void *length)',
  );
  const decompressor = allocate() as unknown;
  if (decompressor === null) throw new RangeError('libdeflate has no memory for a decompressor');
  return (stored, into) => {
    // Without a place for the length libdeflate succeeds only when all of `into` is filled.
    // It wants the stream's end, which QEMU does not, so a stream it refuses gets a second chance.
    if (inflate(decompressor, stored, stored.length, into, into.length, null) !== 0) zlibInflate(stored, into);
  };
}

function zlibInflate(stored: Uint8Array, into: Uint8Array): void {
  // A sync flush does not ask for the end of the stream.
  const options = { finishFlush: zlib.constants.Z_SYNC_FLUSH, maxOutputLength: into.length };
  put(zlib.inflateRawSync(stored, options), into);
}

function put(bytes: Uint8Array, into: Uint8Array): void {
  if (bytes.length !== into.length) throw new RangeError(`it unpacks to ${bytes.length} of ${into.length} bytes`);
  into.set(bytes);
}

/** Unpacks one frame to the beginning of `into` and answers how many bytes it gave. */
type UnpackFrame = (frame: Uint8Array, into: Uint8Array) => number;

/** A cluster is one frame or several; the room after the last one is padding (QEMU block/qcow2-threads.c). */
function unpackFrames(unpackFrame: UnpackFrame, stored: Uint8Array, into: Uint8Array): void {
  let from = 0;
  let done = 0;
  while (done < into.length) {
    const rest = stored.subarray(from);
    const length = zstdFrameLength(rest);
    if (length === undefined) throw new RangeError(`no whole zstd frame at ${from}, after ${done} bytes`);
    done += unpackFrame(rest.subarray(0, length), into.subarray(done));
    from += length;
  }
}

function libzstdUnpack(koffi: Native): UnpackFrame {
  const library = firstLibrary(koffi.load, LIBZSTD);
  const allocate = library.func('void *ZSTD_createDCtx()');
  const decompress = library.func('size_t ZSTD_decompressDCtx(void *c, void *out, size_t room, void *in, size_t n)');
  const isError = library.func('unsigned int ZSTD_isError(size_t code)');
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');
  const context = allocate() as unknown;
  if (context === null) throw new RangeError('libzstd has no memory for a context');
  return (frame, into) => {
    const count = decompress(context, into, into.length, frame, frame.length) as number | bigint;
    if (isError(count) !== 0) throw new RangeError(`libzstd: ${errorName(count)}`);
    return Number(count);
  };
}

/** zlib of Node 22.15 on; the types are those of the oldest Node compose runs on. */
interface NodeZstd {
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: object) => Uint8Array;
  readonly constants: { readonly ZSTD_d_windowLogMax?: number };
}

/** A window is allocated as the frame asks; zstd's highest ordinary level, 19, asks for 2^23 bytes. */
const WINDOW_LOG_LIMIT = 24;

function nodeUnzstd(): UnpackFrame | undefined {
  const { zstdDecompressSync, constants } = zlib as unknown as NodeZstd;
  if (zstdDecompressSync === undefined || constants.ZSTD_d_windowLogMax === undefined) return undefined;
  const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_LIMIT };
  return (frame, into) => {
    const bytes = zstdDecompressSync(frame, { maxOutputLength: into.length, params });
    into.set(bytes);
    return bytes.length;
  };
}
