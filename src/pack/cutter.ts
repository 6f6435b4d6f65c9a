import type { BlockSource, ByteServer, StoredExtent } from '../disk/block-source.ts';
import { type Job, KIND, OPERATION } from './chunk.ts';

const FIRST_ROOM = 64;
const FIRST_LITERALS = 64 * 1024;
/** Served bytes are asked for in pieces of this length, `READ_AHEAD` of them before the first is there. */
const PIECE = 1024 * 1024;
const READ_AHEAD = 4;

type TakeSpare = (length: number) => ArrayBuffer | undefined;

/**
 * Cuts a stream of literal bytes, zeros and references to stored extents into chunks of one size and hands each to
 * `push`, which holds the stream up by the promise it answers. What is in a chunk depends on the stream alone.
 */
export class Cutter {
  readonly #chunk: number;
  readonly #push: (job: Job) => Promise<void>;
  readonly #takeSpare: TakeSpare | undefined;
  #operations = new Float64Array(FIRST_ROOM * OPERATION);
  #count = 0;
  #literals = new Uint8Array(FIRST_LITERALS);
  #literalLength = 0;
  #blocks: SharedArrayBuffer[] = [];
  #length = 0;
  #index = 0;
  /** Room for served bytes that nobody writes into at the moment. */
  readonly #spare: Uint8Array[] = [];
  /** Bytes taken in so far. */
  written = 0;

  /** `chunk` is the size of a chunk in bytes. With `takeSpare` buffers of literals come back there, and are taken from there. */
  constructor(chunk: number, push: (job: Job) => Promise<void>, takeSpare?: TakeSpare) {
    this.#chunk = chunk;
    this.#push = push;
    this.#takeSpare = takeSpare;
  }

  async literal(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const length = Math.min(bytes.length - at, this.#chunk - this.#length);
      this.#makeRoom(length);
      this.#literals.set(bytes.subarray(at, at + length), this.#literalLength);
      this.#literalLength += length;
      this.#operation(KIND.literal, length, 0, 0, 0, 0, 0);
      at += length;
      if (this.#length === this.#chunk) await this.#flush();
    }
  }

  /** The first `length` bytes of a block of the stream that is in memory. */
  async block(block: SharedArrayBuffer, length: number): Promise<void> {
    for (let at = 0; at < length; ) {
      const part = Math.min(length - at, this.#chunk - this.#length);
      this.#blocks.push(block);
      this.#operation(KIND.block, part, this.#blocks.length - 1, at, 0, 0, 0);
      at += part;
      if (this.#length === this.#chunk) await this.#flush();
    }
  }

  async zeros(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const part = Math.min(left, this.#chunk - this.#length);
      this.#operation(KIND.zero, part, 0, 0, 0, 0, 0);
      left -= part;
      if (this.#length === this.#chunk) await this.#flush();
    }
  }

  /** Bytes [position, position + length) of `source`, whose files are those the workers opened. */
  async data(source: BlockSource, position: number, length: number): Promise<void> {
    const located = source.locate(position, length);
    for (const extent of located instanceof Promise ? await located : located) await this.#extent(extent);
  }

  async #extent(extent: StoredExtent): Promise<void> {
    if (extent.kind === 'literal') return this.literal(extent.bytes);
    if (extent.kind === 'zero') return this.zeros(extent.length);
    if (extent.kind === 'served') return this.#served(extent.from, extent.offset, extent.length);
    for (let at = 0; at < extent.length; ) {
      const length = Math.min(extent.length - at, this.#chunk - this.#length);
      if (extent.kind === 'data') {
        this.#operation(KIND.data, length, extent.file, extent.offset + at, 0, 0, 0);
      } else {
        const { codec, file, offset, storedLength, unpackedLength, skip } = extent;
        this.#operation(KIND[codec], length, file, offset, storedLength, unpackedLength, skip + at);
      }
      at += length;
      if (this.#length === this.#chunk) await this.#flush();
    }
  }

  /** Served bytes become literals. What was asked for ahead is all that is in memory, however slow the workers are. */
  async #served(from: ByteServer, offset: number, length: number): Promise<void> {
    const ahead: Promise<Uint8Array>[] = [];
    const ask = async (at: number, room: Uint8Array): Promise<Uint8Array> => {
      const piece = room.subarray(0, Math.min(PIECE, length - at));
      await from.read(offset + at, piece);
      return piece;
    };
    let asked = 0;
    for (let done = 0; done < length; ) {
      while (asked < length && ahead.length < READ_AHEAD) {
        const reading = ask(asked, this.#spare.pop() ?? new Uint8Array(PIECE));
        // Its turn comes later; until then a rejection must not count as unhandled.
        reading.catch(() => {});
        ahead.push(reading);
        asked += Math.min(PIECE, length - asked);
      }
      const piece = await ahead.shift()!;
      await this.literal(piece);
      done += piece.length;
      this.#spare.push(new Uint8Array(piece.buffer));
    }
  }

  /** Sends what is left; the last chunk may be short. */
  async end(): Promise<void> {
    if (this.#length > 0) await this.#flush();
  }

  /** Literals are few beside the data of files, so the room for them grows as it is needed. */
  #makeRoom(length: number): void {
    const needed = this.#literalLength + length;
    if (needed <= this.#literals.length) return;
    const larger = new Uint8Array(Math.min(this.#chunk, Math.max(needed, this.#literals.length * 2)));
    larger.set(this.#literals.subarray(0, this.#literalLength));
    this.#literals = larger;
  }

  /**
   * The literals of the chunk at hand, in a buffer of their own. Where they fill most of it it is the one they are in, which
   * comes back: in a tree of small files they are as many bytes as all else, and a copy of them for each chunk stayed until
   * the collector of its worker had a turn.
   */
  #takeLiterals(): Pick<Job, 'literals' | 'literalsReturn'> {
    const literals = this.#literals.subarray(0, this.#literalLength);
    const { length } = this.#literals;
    const takeSpare = this.#takeSpare;
    if (takeSpare === undefined || literals.length <= Math.max(FIRST_LITERALS, length / 2)) {
      return { literals: literals.slice(), literalsReturn: false };
    }
    this.#literals = new Uint8Array(takeSpare(length) ?? Buffer.allocUnsafeSlow(length).buffer);
    return { literals, literalsReturn: true };
  }

  #operation(...fields: [number, number, number, number, number, number, number]): void {
    const length = fields[1];
    this.#length += length;
    this.written += length;
    if (this.#count > 0 && fields[0] <= KIND.zero) {
      const last = (this.#count - 1) * OPERATION;
      if (this.#operations[last] === fields[0]) {
        this.#operations[last + 1] = (this.#operations[last + 1] ?? 0) + length;
        return;
      }
    }
    if ((this.#count + 1) * OPERATION > this.#operations.length) {
      const larger = new Float64Array(this.#operations.length * 2);
      larger.set(this.#operations);
      this.#operations = larger;
    }
    this.#operations.set(fields, this.#count * OPERATION);
    this.#count++;
  }

  async #flush(): Promise<void> {
    const job: Job = {
      index: this.#index++,
      length: this.#length,
      operations: this.#operations.slice(0, this.#count * OPERATION),
      ...this.#takeLiterals(),
      blocks: this.#blocks,
    };
    this.#blocks = [];
    this.#count = 0;
    this.#literalLength = 0;
    this.#length = 0;
    await this.#push(job);
  }
}
