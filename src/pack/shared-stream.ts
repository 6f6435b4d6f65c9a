/** Several outputs of one stream: its bytes are read once and wait in memory for every output that is made of them. */
import { BlockRing } from './block-ring.ts';
import { type Job, KIND, OPERATION, type Result } from './chunk.ts';
import { Cutter } from './cutter.ts';
import type { WorkerPool } from './pool.ts';
import type { Rooms } from './rooms.ts';
import { type SharedOutput, sharedLine } from './shared-line.ts';
import { WINDOW } from './stream.ts';

/** Bytes of the stream that are read by one job. */
const BLOCK = 1024 * 1024;
/** Blocks read for each worker before the first of them is handed to the outputs. */
const READ_AHEAD = 2;

/** Sees the bytes of the stream in order; undefined stands for zeros. They are good until it answers. */
export type Tap = (bytes: Uint8Array | undefined, length: number) => Promise<void> | void;

export interface SharedStreamOptions {
  readonly pool: WorkerPool;
  /** Where the memory for its blocks is taken from and given back to. */
  readonly rooms: Rooms;
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
  const ring = new BlockRing(options.rooms, blocksAtOnce(outputs, pool.size), BLOCK);
  const readers = outputs.length + (options.tap === undefined ? 0 : 1);
  const onError = (error: unknown): void => ring.fail(error);
  const lines = outputs.map((output, at) => sharedLine(output, at, { pool, ring, most: pool.size * window, onError }));
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
    const cutter = new Cutter(BLOCK, push, (length) => pool.takeSpare(length));
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

/**
 * Blocks in memory: a chunk of the largest output for each worker, as long as no other output is cut as large, because the
 * chunks of two such outputs are made of the same blocks at the same time. The next one is read when a worker is done with
 * one: that takes no time beside it.
 */
function blocksAtOnce(outputs: readonly SharedOutput[], workers: number): number {
  const blocks = outputs.map(({ compression }) => Math.ceil(compression.chunk / BLOCK));
  const most = Math.max(...blocks);
  const alike = blocks.filter((count) => count === most).length;
  return most * Math.ceil(workers / alike) + workers * (READ_AHEAD + 2);
}
