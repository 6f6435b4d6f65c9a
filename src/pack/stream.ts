import type { Job, Result } from './chunk.ts';
import { Cutter } from './cutter.ts';
import type { WorkerPool } from './pool.ts';
import type { FileSink } from './sink.ts';

/** Chunks in flight for each worker: enough that a slow chunk at the head does not leave the others idle. */
const WINDOW = 4;

export interface StreamOptions {
  readonly pool: WorkerPool;
  readonly sink: FileSink;
  /** The compressed form of `length` zeros, or undefined to leave a hole. */
  readonly zeros: (length: number) => Uint8Array | undefined;
  readonly signal: AbortSignal;
  /** Told after each chunk: bytes of output before compression. */
  readonly onProgress: (bytes: number) => void;
}

const HOLE = new Uint8Array(64 * 1024);

/**
 * Cuts what `fill` gives the cutter, has the pool compress it, and writes the results in order. At most `WINDOW` chunks
 * for each worker are in memory: when they are, `fill` waits in its own next call.
 * @returns bytes before compression
 */
export async function stream(fill: (cutter: Cutter) => Promise<void>, options: StreamOptions): Promise<number> {
  const { pool, sink, zeros, signal, onProgress } = options;
  const inFlight: Promise<Result>[] = [];
  let done = 0;
  const writeOldest = async (): Promise<void> => {
    const result = await inFlight.shift();
    if (result === undefined) return;
    signal.throwIfAborted();
    const bytes = result.zero ? zeros(result.length) : result.bytes;
    if (bytes === undefined) await sink.skip(result.length, HOLE);
    else await sink.write(bytes);
    done += result.length;
    onProgress(done);
  };
  const push = async (job: Job): Promise<void> => {
    const result = pool.run(job);
    // Its turn comes later; until then a rejection must not count as unhandled.
    result.catch(() => {});
    inFlight.push(result);
    while (inFlight.length >= pool.size * WINDOW) await writeOldest();
  };
  const cutter = new Cutter(push);
  await fill(cutter);
  await cutter.end();
  while (inFlight.length > 0) await writeOldest();
  return done;
}
