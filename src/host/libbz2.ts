import { loadNativeLibrary, type NativeLibrary } from './native-library.ts';

const LIBRARIES = ['libbz2.so.1.0', 'libbz2.so.1', 'libbz2.1.0.dylib', 'libbz2.dylib'];

/** bzlib.h: results. */
const OK = 0;
const STREAM_END = 4;
const NO_MEMORY = -3;
const CUT_SHORT = -7;

/** `bz_stream` on 64-bit hosts: 80 bytes; pointers by index of eight bytes, counts by index of four. */
const STREAM_SIZE = 80;
const [NEXT_IN, NEXT_OUT] = [0, 3];
const [AVAIL_IN, AVAIL_OUT] = [2, 8];

const DECODED = 256 * 1024;

/** The parts of libbz2 that compose calls. */
export interface Libbz2 {
  /** Such as `1.0.8`. */
  readonly version: string;
  /** One whole bzip2 stream with blocks of `level` times 100 kB; a view that the next call overwrites. @throws Bzip2Error */
  compress(input: Uint8Array, level: number): Uint8Array<ArrayBuffer>;
  decoder(): Bzip2Decoder;
}

/** Why libbz2 stopped. */
export class Bzip2Error extends Error {
  readonly memory: boolean;

  constructor(returned: number) {
    super(`libbz2: ${returned === NO_MEMORY ? 'out of memory' : `error ${returned}`}`);
    this.memory = returned === NO_MEMORY;
  }
}

/** @throws Error where koffi or the library is missing, or the host is not a 64-bit one */
export async function openLibbz2(): Promise<Libbz2> {
  const native = await loadNativeLibrary(LIBRARIES);
  if (native.pointerSize !== 8) throw new Error('libbz2 is called on 64-bit hosts only');
  const { library } = native;
  const whole = library.func(
    'int BZ2_bzBuffToBuffCompress(void *out, void *outLength, void *in, uint32_t length, int level, int verbosity, int work)',
  );
  const calls: Calls = {
    native,
    init: library.func('int BZ2_bzDecompressInit(void *stream, int verbosity, int small)'),
    decompress: library.func('int BZ2_bzDecompress(void *stream)'),
    end: library.func('int BZ2_bzDecompressEnd(void *stream)'),
  };
  let room = new Uint8Array(0);
  const outLength = new Uint32Array(1);
  return {
    version: (library.func('const char *BZ2_bzlibVersion()')() as string).split(',')[0] ?? '',
    compress: (input, level) => {
      // bzlib's manual, section 3.5.1: 1 % and 600 bytes more than the input always suffice.
      const most = input.length + Math.ceil(input.length / 100) + 600;
      if (room.length < most) room = new Uint8Array(most);
      outLength[0] = room.length;
      const returned = whole(room, outLength, input, input.length, level, 0, 0) as number;
      if (returned !== OK) throw new Bzip2Error(returned);
      return room.subarray(0, outLength[0]);
    },
    decoder: () => new Bzip2Decoder(calls),
  };
}

interface Calls {
  readonly native: NativeLibrary;
  readonly init: (stream: Uint8Array, verbosity: number, small: number) => number;
  readonly decompress: (stream: Uint8Array) => number;
  readonly end: (stream: Uint8Array) => number;
}

/** Decodes a file of one or more bzip2 streams, a piece at a time. */
export class Bzip2Decoder {
  readonly #calls: Calls;
  readonly #stream = new Uint8Array(STREAM_SIZE);
  readonly #pointers = new BigUint64Array(this.#stream.buffer);
  readonly #counts = new Uint32Array(this.#stream.buffer);
  #open = false;
  #streams = 0;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** What comes of `input`, in pieces of at most 256 KiB that are the caller's to keep. @throws Bzip2Error */
  *write(input: Uint8Array): Generator<Uint8Array> {
    const { native, decompress } = this.#calls;
    for (let at = 0; ; ) {
      if (!this.#open && at === input.length) return;
      this.#begin();
      const output = new Uint8Array(DECODED);
      this.#pointers[NEXT_IN] = at === input.length ? 0n : native.address(input) + BigInt(at);
      this.#counts[AVAIL_IN] = input.length - at;
      this.#pointers[NEXT_OUT] = native.address(output);
      this.#counts[AVAIL_OUT] = output.length;
      const returned = decompress(this.#stream);
      at = input.length - (this.#counts[AVAIL_IN] ?? 0);
      const length = output.length - (this.#counts[AVAIL_OUT] ?? 0);
      if (length > 0) yield output.subarray(0, length);
      if (returned === STREAM_END) this.close();
      else if (returned !== OK) throw new Bzip2Error(returned);
      else if (at === input.length && length < output.length) return;
    }
  }

  /** @throws Bzip2Error when the file is empty or cut short */
  finish(): Iterable<Uint8Array> {
    if (this.#open || this.#streams === 0) throw new Bzip2Error(CUT_SHORT);
    return [];
  }

  #begin(): void {
    if (this.#open) return;
    this.#stream.fill(0);
    const returned = this.#calls.init(this.#stream, 0, 0);
    if (returned !== OK) throw new Bzip2Error(returned);
    this.#open = true;
    this.#streams++;
  }

  /** Frees what libbz2 holds. The garbage collector cannot. */
  close(): void {
    if (this.#open) this.#calls.end(this.#stream);
    this.#open = false;
  }
}
