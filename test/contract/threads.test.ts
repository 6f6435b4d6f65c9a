import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WorkerPool } from '../../src/pack/pool.ts';
import { Threads } from '../../src/pack/threads.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-threads-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('threads that nobody takes end with their owner, those that were taken do not', async () => {
  const threads = Threads.start(2);
  const taken = threads.take();
  const ended = once(taken, 'exit').then(() => 'ended');
  await threads[Symbol.asyncDispose]();
  expect(await Promise.race([ended, Promise.resolve('lives')])).toBe('lives');
  expect(taken.threadId).toBeGreaterThan(0);
  await taken.terminate();
  expect(await ended).toBe('ended');
});

test('a pool takes the threads that were started, and is told of one that cannot run', async () => {
  await using threads = Threads.start(1);
  const options = { files: [], compressions: [{ kind: 'none', chunk: 65536 }] as const };
  await using pool = await WorkerPool.start({ ...options, size: 2, threads });
  expect(pool.size).toBe(2);
  const broken = join(folder, 'broken.mjs');
  await writeFile(broken, "throw new Error('broken');");
  await expect(
    WorkerPool.start({ ...options, size: 1, threads: new Threads(pathToFileURL(broken)) }),
  ).rejects.toMatchObject({ code: 'pack.worker' });
});
