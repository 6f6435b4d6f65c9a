/** One run of the pipeline over a plain file, as packing a disk does it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openDisk } from '../disk/open.ts';
import type { Context } from '../events.ts';
import { compressionOf } from '../pack/chunk.ts';
import { openEngine } from '../pack/engine.ts';
import { WorkerPool } from '../pack/pool.ts';
import { FileSink } from '../pack/sink.ts';
import { stream } from '../pack/stream.ts';
import type { Run, Setting } from './setting.ts';

/** Bytes of the disk that are asked for at a time. */
const STEP = 64 * 1024 * 1024;

/**
 * Compresses the raw disk at `path` with `setting` into a file of `folder` that is removed again. The time ends when the
 * last byte was handed to the kernel, SHA-256 included; that the storage has it is not waited for. It begins when the
 * workers are ready, because a disk takes many times as long as a sample; with `withStart` before they are started.
 */
export async function measureSetting(
  setting: Setting,
  options: { readonly path: string; readonly folder: string; readonly withStart?: boolean },
  context: Context,
): Promise<Run> {
  const { signal } = context;
  const { path, folder, withStart = false } = options;
  signal.throwIfAborted();
  const { engine: name, level, chunk, workers, window } = setting;
  const engine = await openEngine({ engine: name, level, chunk });
  const compression = compressionOf(engine);
  engine.close();
  await using disk = await openDisk(path, { signal, format: 'raw' });
  const made = join(folder, `run-${randomBytes(4).toString('hex')}.gz`);
  await using sink = await FileSink.create(made, { direct: true });
  const beforeWorkers = performance.now();
  await using pool = await WorkerPool.start({ files: disk.files, compressions: [compression], size: workers });
  const start = withStart ? beforeWorkers : performance.now();
  await stream(
    async (cutter) => {
      for (let at = 0; at < disk.size; at += STEP) await cutter.data(disk, at, Math.min(STEP, disk.size - at));
    },
    { pool, sink, compression, signal, window, onProgress: () => {} },
  );
  return { ms: performance.now() - start, size: sink.size };
}
