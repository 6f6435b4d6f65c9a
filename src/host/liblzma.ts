import { loadNativeLibrary, type NativeLibrary } from './native-library.ts';

const LIBRARIES = ['liblzma.so.5', 'liblzma.5.dylib', 'liblzma.dylib'];

/** lzma/base.h: `lzma_ret` and `lzma_action`. */
const OK = 0;
const STREAM_END = 1;
const NO_MEMORY = 5;
const MEMORY_LIMIT = 6;
const NO_PROGRESS = 10;
const RUN = 0;
const FINISH = 3;

/** `lzma_stream` on 64-bit hosts, as 8-byte fields: input, its length, its total, output, room, total, then private ones. */
const STREAM_FIELDS = 17;
const [NEXT_IN, AVAIL_IN, NEXT_OUT, AVAIL_OUT] = [0, 1, 3, 4];

/** lzma/container.h: go on with the next stream of a file of several. */
const CONCATENATED = 0x08;
const FILTER_LZMA2 = 0x21n;
const FILTER_END = 0xffffffffffffffffn;
/** Longer than `lzma_options_lzma` of any version; its first four bytes are the size of the dictionary. */
const OPTIONS_SIZE = 512;

const FIRST_ROOM = 1024 * 1024;
const DECODED = 256 * 1024;

/** The parts of liblzma that compose calls. */
export interface Liblzma {
  /** Such as `5.4.1`. */
  readonly version: string;
  /** CRC-64 of ECMA-182, as src/formats/crc64.ts, at some gigabytes a second. */
  crc64(bytes: Uint8Array, previous: bigint): bigint;
  /** An encoder of raw LZMA2 with the settings of `xz -<preset>` and a dictionary of `dictionary` bytes. */
  encoder(preset: number, dictionary: number): Lzma2Encoder;
  /** A decoder of .xz files that needs no more than `memoryLimit` bytes. */
  decoder(memoryLimit: number): XzDecoder;
}

/** Why liblzma stopped: `lzma_ret` as `code`. */
export class LzmaError extends Error {
  readonly returned: number;

  constructor(returned: number) {
    const why = { [NO_MEMORY]: 'out of memory', [MEMORY_LIMIT]: 'more memory is needed than allowed' }[returned];
    super(`liblzma: ${why ?? `error ${returned}`}`);
    this.returned = returned;
  }

  get memory(): boolean {
    return this.returned === NO_MEMORY || this.returned === MEMORY_LIMIT;
  }
}

/** @throws Error where koffi or the library is missing, or the host is not a 64-bit one */
export async function openLiblzma(): Promise<Liblzma> {
  const native = await loadNativeLibrary(LIBRARIES);
  if (native.pointerSize !== 8) throw new Error('liblzma is called on 64-bit hosts only');
  const { library } = native;
  const crc = library.func('uint64_t lzma_crc64(void *bytes, size_t length, uint64_t previous)');
  const calls: Calls = {
    native,
    code: library.func('int lzma_code(void *stream, int action)'),
    end: library.func('void lzma_end(void *stream)'),
    preset: library.func('bool lzma_lzma_preset(void *options, uint32_t preset)'),
    rawEncoder: library.func('int lzma_raw_encoder(void *stream, void *filters)'),
    streamDecoder: library.func('int lzma_stream_decoder(void *stream, uint64_t memory, uint32_t flags)'),
  };
  return {
    version: library.func('const char *lzma_version_string()')() as string,
    crc64: (bytes, previous) => BigInt(crc(bytes, bytes.length, previous) as number | bigint),
    encoder: (preset, dictionary) => new Lzma2Encoder(calls, preset, dictionary),
    decoder: (memoryLimit) => new XzDecoder(calls, memoryLimit),
  };
}

interface Calls {
  readonly native: NativeLibrary;
  readonly code: (stream: BigUint64Array, action: number) => number;
  readonly end: (stream: BigUint64Array) => void;
  readonly preset: (options: Uint32Array, preset: number) => boolean;
  readonly rawEncoder: (stream: BigUint64Array, filters: BigUint64Array) => number;
  readonly streamDecoder: (stream: BigUint64Array, memory: bigint, flags: number) => number;
}

/** Encodes one stream of raw LZMA2 after another; the memory of the first is used again by the next, until `close`. */
export class Lzma2Encoder {
  readonly #calls: Calls;
  readonly #stream = new BigUint64Array(STREAM_FIELDS);
  readonly #options = new Uint32Array(OPTIONS_SIZE / 4);
  readonly #filters: BigUint64Array;
  #room: Uint8Array = new Uint8Array(FIRST_ROOM);

  constructor(calls: Calls, preset: number, dictionary: number) {
    this.#calls = calls;
    if (calls.preset(this.#options, preset)) throw new RangeError(`liblzma has no preset ${preset}`);
    this.#options[0] = dictionary;
    const { buffer } = this.#options;
    this.#filters = BigUint64Array.of(FILTER_LZMA2, calls.native.address(new Uint8Array(buffer)), FILTER_END, 0n);
  }

  /**
   * All of `parts` as one LZMA2 stream with its end marker: the beginning of `room` where that is long enough, else a view that
   * the next call overwrites. @throws LzmaError
   */
  encode(parts: Iterable<Uint8Array>, room?: Uint8Array): Uint8Array {
    must(this.#calls.rawEncoder(this.#stream, this.#filters));
    const own = this.#room;
    this.#room = room ?? own;
    try {
      return this.#encodeParts(parts);
    } finally {
      if (this.#room === room) this.#room = own;
    }
  }

  #encodeParts(parts: Iterable<Uint8Array>): Uint8Array {
    let length = 0;
    for (const part of parts) length = this.#feed(part, RUN, length);
    length = this.#feed(new Uint8Array(0), FINISH, length);
    return this.#room.subarray(0, length);
  }

  /** Gives `input` to the encoder, its output to the room from `length` on. Answers where the output ends now. */
  #feed(input: Uint8Array, action: number, length: number): number {
    const stream = this.#stream;
    const { code, native } = this.#calls;
    stream[NEXT_IN] = input.length === 0 ? 0n : native.address(input);
    stream[AVAIL_IN] = BigInt(input.length);
    for (let end = length; ; ) {
      if (end === this.#room.length) {
        const larger = new Uint8Array(this.#room.length + Math.max(FIRST_ROOM, this.#room.length >> 2));
        larger.set(this.#room);
        this.#room = larger;
      }
      const room = this.#room.length - end;
      stream[NEXT_OUT] = native.address(this.#room) + BigInt(end);
      stream[AVAIL_OUT] = BigInt(room);
      const returned = code(stream, action);
      end += room - Number(stream[AVAIL_OUT]);
      if (returned === STREAM_END) return end;
      must(returned);
      if (action === RUN && stream[AVAIL_IN] === 0n) return end;
    }
  }

  /** Frees what liblzma holds. The garbage collector cannot. */
  close(): void {
    this.#calls.end(this.#stream);
  }
}

/** Decodes an .xz file of one or more streams, a piece at a time. */
export class XzDecoder {
  readonly #calls: Calls;
  readonly #stream = new BigUint64Array(STREAM_FIELDS);
  #ended = false;

  constructor(calls: Calls, memoryLimit: number) {
    this.#calls = calls;
    must(calls.streamDecoder(this.#stream, BigInt(memoryLimit), CONCATENATED));
  }

  /** What comes of `input`, in pieces of at most 256 KiB that are the caller's to keep. @throws LzmaError */
  *write(input: Uint8Array): Generator<Uint8Array> {
    yield* this.#run(input, RUN);
  }

  /** What is left. @throws LzmaError also when the file is cut short */
  *finish(): Generator<Uint8Array> {
    yield* this.#run(new Uint8Array(0), FINISH);
    if (!this.#ended) throw new LzmaError(NO_PROGRESS);
  }

  *#run(input: Uint8Array, action: number): Generator<Uint8Array> {
    const stream = this.#stream;
    const { code, native } = this.#calls;
    stream[NEXT_IN] = input.length === 0 ? 0n : native.address(input);
    stream[AVAIL_IN] = BigInt(input.length);
    for (;;) {
      const output = new Uint8Array(DECODED);
      stream[NEXT_OUT] = native.address(output);
      stream[AVAIL_OUT] = BigInt(output.length);
      const returned = code(stream, action);
      const length = output.length - Number(stream[AVAIL_OUT]);
      if (length > 0) yield output.subarray(0, length);
      this.#ended = returned === STREAM_END;
      if (this.#ended) return;
      // "No progress" only says that there was nothing to read and nothing left to write.
      if (returned !== NO_PROGRESS) must(returned);
      if (stream[AVAIL_IN] === 0n && length < output.length) return;
    }
  }

  close(): void {
    this.#calls.end(this.#stream);
  }
}

function must(returned: number): void {
  if (returned !== OK) throw new LzmaError(returned);
}
