/** What becomes of a stream's blocks in one output. */
import type { BlockRing } from './block-ring.ts';
import { type Compression, type Job, KIND, OPERATION, type Result } from './chunk.ts';
import { Cutter } from './cutter.ts';
import { FramedOutput, HOLE } from './framed-output.ts';
import type { WorkerPool } from './pool.ts';
import type { FileSink } from './sink.ts';
import { ZeroMembers } from './zero-members.ts';

/** One of the outputs. Its place is that of its compression in the pool. */
export interface SharedOutput {
  readonly compression: Compression;
  readonly sink: FileSink;
  /** Bytes before those of the stream. */
  readonly head?: Uint8Array;
  /** Zeros after them. */
  readonly tailZeros?: number;
}

export interface LineOptions {
  readonly pool: WorkerPool;
  readonly ring: BlockRing;
  /** Chunks, or blocks, in flight. */
  readonly most: number;
  readonly onError: (error: unknown) => void;
}

/** One output at work. The stream is given in order; each call holds it up as long as the output has enough in flight. */
export interface SharedLine {
  begin(): Promise<void>;
  /** The first `length` bytes of a block; undefined stands for zeros. */
  take(block: SharedArrayBuffer | undefined, length: number): Promise<void>;
  end(): Promise<void>;
}

export function sharedLine(output: SharedOutput, place: number, options: LineOptions): SharedLine {
  return output.compression.kind === 'none' ? new PlainLine(output, options) : new Line(output, place, options);
}

/** Writes the blocks as they are. */
class PlainLine implements SharedLine {
  readonly #output: SharedOutput;
  readonly #options: LineOptions;
  /** Blocks that are not written yet, oldest first. */
  readonly #inFlight: Promise<void>[] = [];

  constructor(output: SharedOutput, options: LineOptions) {
    this.#output = output;
    this.#options = options;
  }

  async begin(): Promise<void> {
    const { sink, head } = this.#output;
    if (head !== undefined) await sink.write(head);
  }

  async take(block: SharedArrayBuffer | undefined, length: number): Promise<void> {
    const { sink } = this.#output;
    const { ring, most, onError } = this.#options;
    if (block === undefined) return sink.skip(length, HOLE);
    const written = sink.write(new Uint8Array(block, 0, length)).then(() => ring.pay(block, length));
    written.catch(onError);
    this.#inFlight.push(written);
    while (this.#inFlight.length >= most) await this.#inFlight.shift();
  }

  async end(): Promise<void> {
    await Promise.all(this.#inFlight);
    await this.#output.sink.skip(this.#output.tailZeros ?? 0, HOLE);
  }
}

/** Cuts the blocks into its own chunks, and writes what the workers make of them. */
class Line implements SharedLine {
  readonly #output: SharedOutput;
  readonly #place: number;
  readonly #options: LineOptions;
  readonly #framed: FramedOutput;
  readonly #cutter: Cutter;
  readonly #zeros: ZeroMembers | undefined;
  /** Chunks that are not written yet, oldest first; each settles when it is. */
  readonly #inFlight: Promise<void>[] = [];
  /** Settles when the write of the chunk given last has begun. */
  #begun: Promise<unknown> = Promise.resolve();

  constructor(output: SharedOutput, place: number, options: LineOptions) {
    this.#output = output;
    this.#place = place;
    this.#options = options;
    this.#framed = new FramedOutput(output.compression.kind, output.sink);
    this.#cutter = new Cutter(output.compression.chunk, (job) => this.#push(job));
    this.#zeros = ZeroMembers.of(options.pool, output.compression, place);
  }

  async begin(): Promise<void> {
    await this.#framed.begin();
    if (this.#output.head !== undefined) await this.#cutter.literal(this.#output.head);
  }

  take(block: SharedArrayBuffer | undefined, length: number): Promise<void> {
    return block === undefined ? this.#cutter.zeros(length) : this.#cutter.block(block, length);
  }

  async end(): Promise<void> {
    await this.#cutter.zeros(this.#output.tailZeros ?? 0);
    await this.#cutter.end();
    await this.#endOfZeros();
    await Promise.all(this.#inFlight);
    await this.#framed.end();
  }

  async #push(job: Job): Promise<void> {
    const kept = this.#zeros?.keeps(job) === true;
    if (!kept || this.#zeros?.full === true) await this.#endOfZeros();
    if (kept) return;
    // Before the job goes to a worker, and its operations with it.
    const used = blocksOf(job);
    await this.#enqueue(this.#options.pool.run({ ...job, compression: this.#place }), used);
  }

  async #endOfZeros(): Promise<void> {
    const members = this.#zeros?.take();
    if (members !== undefined) await this.#enqueue(members, []);
  }

  async #enqueue(result: Promise<Result>, used: readonly Used[]): Promise<void> {
    const { ring, most, onError } = this.#options;
    result.catch(() => {});
    const before = this.#begun;
    const turn = (async () => {
      await before;
      // In an object, because a promise of a promise would be waited for.
      return { written: this.#framed.write(await result) };
    })();
    this.#begun = turn;
    const written = (async () => {
      await (await turn).written;
      // Not before: a slow disk holds the readers up by the blocks it keeps.
      for (const { room, length } of used) ring.pay(room, length);
    })();
    written.catch(onError);
    this.#inFlight.push(written);
    while (this.#inFlight.length >= most) await this.#inFlight.shift();
  }
}

/** A block a chunk is made of, and the bytes it takes of it. */
interface Used {
  readonly room: SharedArrayBuffer;
  readonly length: number;
}

function blocksOf({ operations, blocks }: Job): Used[] {
  const used: Used[] = [];
  for (let at = 0; at < operations.length; at += OPERATION) {
    const [kind, length = 0, place = 0] = operations.subarray(at, at + OPERATION);
    const room = kind === KIND.block ? blocks[place] : undefined;
    if (room !== undefined) used.push({ room, length });
  }
  return used;
}
