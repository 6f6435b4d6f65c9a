import type { Compression, Job, Result } from './chunk.ts';
import { Cutter } from './cutter.ts';
import { FramedOutput } from './framed-output.ts';
import type { WorkerPool } from './pool.ts';
import type { FileSink } from './sink.ts';
import { ZeroMembers } from './zero-members.ts';

/** Chunks in flight for each worker: enough that a slow chunk at the head does not leave the others idle. */
export const WINDOW = 4;
/** Writes under way at a time. */
const WRITES = 4;
/** Bytes of literals not yet compressed and of results not yet written that may be held beyond one chunk for each worker. */
const HELD = 32 * 1024 * 1024;

export interface StreamOptions {
  readonly pool: WorkerPool;
  readonly sink: FileSink;
  readonly compression: Compression;
  readonly signal: AbortSignal;
  /** Chunks in flight for each worker. @default 4 */
  readonly window?: number | undefined;
  /** Told after each chunk: bytes of output before compression. */
  readonly onProgress: (bytes: number) => void;
}

/**
 * Cuts what `fill` gives the cutter, has the pool compress it, and writes the results in order. At most `window` chunks
 * for each worker, and about `HELD` bytes, are in memory: when they are, `fill` waits in its own next call.
 * @returns bytes before compression
 */
export async function stream(fill: (cutter: Cutter) => Promise<void>, options: StreamOptions): Promise<number> {
  const { pool, sink, compression, signal, onProgress, window = WINDOW } = options;
  const output = new FramedOutput(compression.kind, sink);
  const inFlight: Promise<Result>[] = [];
  const writing: Promise<void>[] = [];
  let held = 0;
  let done = 0;
  const writeOldest = async (): Promise<void> => {
    const result = await inFlight.shift();
    if (result === undefined) return;
    signal.throwIfAborted();
    const { byteLength } = result.bytes.buffer;
    const written = output.write(result).then(() => {
      held -= byteLength;
    });
    // Its turn comes later; until then a rejection must not count as unhandled.
    written.catch(() => {});
    writing.push(written);
    if (writing.length >= WRITES) await writing.shift();
    done += result.length;
    onProgress(done);
  };
  const enqueue = async (result: Promise<Result>, literals: number): Promise<void> => {
    held += literals;
    result.then(
      ({ bytes }) => {
        held += bytes.buffer.byteLength - literals;
      },
      // Its turn comes later; until then a rejection must not count as unhandled.
      () => {},
    );
    inFlight.push(result);
    while (inFlight.length >= pool.size * window || (held > HELD && inFlight.length > pool.size)) await writeOldest();
  };
  const zeros = ZeroMembers.of(pool, compression);
  const endOfZeros = async (): Promise<void> => {
    const members = zeros?.take();
    if (members !== undefined) await enqueue(members, 0);
  };
  const push = async (job: Job): Promise<void> => {
    const kept = zeros?.keeps(job) === true;
    if (!kept || zeros?.full === true) await endOfZeros();
    // Before the job goes to a worker, and its literals with it.
    const { length } = job.literals;
    if (!kept) await enqueue(pool.run(job), length);
  };
  const cutter = new Cutter(compression.chunk, push, (length) => pool.takeSpare(length));
  await output.begin();
  await fill(cutter);
  await cutter.end();
  await endOfZeros();
  while (inFlight.length > 0) await writeOldest();
  await Promise.all(writing);
  await output.end();
  return done;
}
