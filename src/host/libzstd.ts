import zlib from 'node:zlib';
import { LIBZSTD, loadNativeLibrary, type NativeLibrary } from './native-library.ts';

/** Bytes that come of one call. */
const STEP = 1024 * 1024;

/** `ZSTD_inBuffer` and `ZSTD_outBuffer` on 64-bit hosts: address, size, position. */
const [ADDRESS, SIZE, POSITION] = [0, 1, 2];

/** zlib of Node 22.15 on; the types are those of the oldest Node compose runs on. */
interface NodeZstd {
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: object) => Uint8Array;
}

/**
 * Unpacks zstd frames whose length nobody tells, by the system's library or by Node. A piece is valid until the next one.
 * @param limit bytes that may come of it
 * @throws Error where the bytes are damaged or too many come of them, or nothing here reads zstd
 */
export async function* zstdPieces(bytes: Uint8Array, limit: number): AsyncIterable<Uint8Array> {
  const native = await loadNativeLibrary(LIBZSTD).catch(() => undefined);
  if (native?.pointerSize === 8) {
    yield* byLibrary(native, bytes, limit);
    return;
  }
  const { zstdDecompressSync } = zlib as unknown as NodeZstd;
  if (zstdDecompressSync === undefined) throw new Error('neither Node nor a library of the host reads zstd');
  yield zstdDecompressSync(bytes, { maxOutputLength: limit });
}

function* byLibrary({ library, address }: NativeLibrary, bytes: Uint8Array, limit: number): Iterable<Uint8Array> {
  const create = library.func('void *ZSTD_createDStream()');
  const free = library.func('size_t ZSTD_freeDStream(void *stream)');
  const decompress = library.func('size_t ZSTD_decompressStream(void *stream, void *out, void *in)');
  const isError = library.func('unsigned int ZSTD_isError(size_t code)');
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');
  const stream = create() as unknown;
  const input = BigUint64Array.of(address(bytes), BigInt(bytes.length), 0n);
  const piece = new Uint8Array(STEP);
  let length = 0;
  try {
    for (;;) {
      const output = BigUint64Array.of(address(piece), BigInt(STEP), 0n);
      const left = decompress(stream, output, input) as number | bigint;
      if (isError(left) !== 0) throw new Error(`libzstd: ${errorName(left)}`);
      const count = Number(output[POSITION]);
      length += count;
      if (length > limit) throw new RangeError(`more than ${limit} bytes come of it`);
      yield piece.subarray(0, count);
      const read = input[POSITION] === input[SIZE];
      if (read && count < STEP) {
        if (Number(left) !== 0) throw new Error('libzstd: it ends within a frame');
        return;
      }
    }
  } finally {
    free(stream);
    // What an address was taken of must live until here.
    void [input[ADDRESS], bytes];
  }
}
