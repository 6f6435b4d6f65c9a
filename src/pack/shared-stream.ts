/** Several outputs of one stream: its bytes are read once and wait in memory for every output that is made of them. */
import { BlockRing } from './block-ring.ts';
import { type Compression, type Job, KIND, OPERATION, type Result } from './chunk.ts';
import { Cutter } from './cutter.ts';
import { FramedOutput } from './framed-output.ts';
import type { WorkerPool } from './pool.ts';
import type { FileSink } from './sink.ts';
import { WINDOW } from './stream.ts';

/** Bytes of the stream that are read by one job. */
const BLOCK = 1024 * 1024;
/** Blocks read for each worker before the first of them is handed to the outputs. */
const READ_AHEAD = 2;

/** One of the outputs. Its place is that of its compression in the pool. */
export interface SharedOutput {
  readonly compression: Compression;
  readonly sink: FileSink;
  /** Bytes before those of the stream. */
  readonly head?: Uint8Array;
  /** Zeros after them. */
  readonly tailZeros?: number;
}

/** Sees the bytes of the stream in order; undefined stands for zeros. They are good until it answers. */
export type Tap = (bytes: Uint8Array | undefined, length: number) => Promise<void> | void;

export interface SharedStreamOptions {
  readonly pool: WorkerPool;
  readonly signal: AbortSignal;
  /** Chunks in flight for each worker and output. @default 4 */
  readonly window?: number | undefined;
  /** Told after each block: bytes of the stream that the outputs took. */
  readonly onProgress: (bytes: number) => void;
  readonly tap?: Tap | undefined;
}

/**
 * Cuts what `fill` gives the cutter into blocks, has the pool read each once, and makes every output of them: the same bytes
 * that `stream` makes of it alone. Blocks in memory are about as many as the workers have chunks of the largest output.
 * @returns bytes of the stream
 */
export async function sharedStream(
  fill: (cutter: Cutter) => Promise<void>,
  outputs: readonly SharedOutput[],
  options: SharedStreamOptions,
): Promise<number> {
  const { pool, signal, window = WINDOW } = options;
  const chunks = outputs.map(({ compression }) => Math.ceil(compression.chunk / BLOCK));
  // A chunk for each worker. The next one of a large output is read when a worker is done with one: that takes no time beside it.
  const most = Math.max(...chunks) * pool.size + pool.size * (READ_AHEAD + 2);
  const ring = new BlockRing(most, BLOCK);
  const readers = outputs.length + (options.tap === undefined ? 0 : 1);
  const onError = (error: unknown): void => ring.fail(error);
  const lines = outputs.map((output, at) => new Line(output, at, { pool, ring, most: pool.size * window, onError }));
  const reading: { readonly result: Promise<Result>; readonly room: SharedArrayBuffer; readonly length: number }[] = [];
  let done = 0;
  const hand = async (room: SharedArrayBuffer | undefined, length: number): Promise<void> => {
    signal.throwIfAborted();
    for (const line of lines) await line.take(room, length);
    await options.tap?.(room === undefined ? undefined : new Uint8Array(room, 0, length), length);
    if (room !== undefined && options.tap !== undefined) ring.pay(room, length);
    done += length;
    options.onProgress(done);
  };
  const handOldest = async (): Promise<void> => {
    const oldest = reading.shift();
    if (oldest === undefined) return ring.freed();
    const { room, length } = oldest;
    const { hole } = await oldest.result;
    if (hole) ring.pay(room, length * readers);
    await hand(hole ? undefined : room, length);
  };
  const push = async (job: Job): Promise<void> => {
    const { length } = job;
    if (isZeros(job)) {
      while (reading.length > 0) await handOldest();
      return hand(undefined, length);
    }
    let room = ring.take(length, readers);
    while (room === undefined) {
      await handOldest();
      room = ring.take(length, readers);
    }
    const result = pool.run({ ...job, room });
    // Its turn comes later; until then a rejection must not count as unhandled.
    result.catch(onError);
    reading.push({ result, room, length });
    while (reading.length >= pool.size * READ_AHEAD) await handOldest();
  };
  const onAbort = (): void => onError(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (const line of lines) await line.begin();
    const cutter = new Cutter(BLOCK, push);
    await fill(cutter);
    await cutter.end();
    while (reading.length > 0) await handOldest();
    for (const line of lines) await line.end();
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return done;
}

function isZeros({ operations }: Job): boolean {
  return operations.length === OPERATION && operations[0] === KIND.zero;
}

interface LineOptions {
  readonly pool: WorkerPool;
  readonly ring: BlockRing;
  /** Chunks in flight. */
  readonly most: number;
  readonly onError: (error: unknown) => void;
}

/** One output at work: cuts the blocks into its own chunks, and writes what the workers make of them. */
class Line {
  readonly #output: SharedOutput;
  readonly #place: number;
  readonly #options: LineOptions;
  readonly #framed: FramedOutput;
  readonly #cutter: Cutter;
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
  }

  async begin(): Promise<void> {
    await this.#framed.begin();
    if (this.#output.head !== undefined) await this.#cutter.literal(this.#output.head);
  }

  take(room: SharedArrayBuffer | undefined, length: number): Promise<void> {
    return room === undefined ? this.#cutter.zeros(length) : this.#cutter.block(room, length);
  }

  async end(): Promise<void> {
    await this.#cutter.zeros(this.#output.tailZeros ?? 0);
    await this.#cutter.end();
    await Promise.all(this.#inFlight);
    await this.#framed.end();
  }

  async #push(job: Job): Promise<void> {
    const { pool, ring, most, onError } = this.#options;
    // Before the job goes to a worker, and its operations with it.
    const used = blocksOf(job);
    const result = pool.run({ ...job, compression: this.#place });
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

/** The blocks a job is made of, with the bytes it takes of each. */
function blocksOf({ operations, blocks }: Job): { readonly room: SharedArrayBuffer; readonly length: number }[] {
  const used: { room: SharedArrayBuffer; length: number }[] = [];
  for (let at = 0; at < operations.length; at += OPERATION) {
    const [kind, length = 0, place = 0] = operations.subarray(at, at + OPERATION);
    const room = kind === KIND.block ? blocks[place] : undefined;
    if (room !== undefined) used.push({ room, length });
  }
  return used;
}
