/** Workers that fail and sinks that stall while something is packed. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { noiseDisk } from '../../fixtures/noise-disk.ts';
import { stall } from '../../fixtures/stall.ts';
import { quietContext } from '../../src/events.ts';
import { compressionOf, type Job } from '../../src/pack/chunk.ts';
import { packOn } from '../../src/pack/pack.ts';
import { WorkerPool } from '../../src/pack/pool.ts';
import { Rooms } from '../../src/pack/rooms.ts';
import { sharedStream } from '../../src/pack/shared-stream.ts';
import type { FileSink } from '../../src/pack/sink.ts';
import { stream } from '../../src/pack/stream.ts';
import { Threads } from '../../src/pack/threads.ts';

const CHUNK = compressionOf(undefined).chunk;
let folder = '';
let raw = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-workers-'));
  raw = await noiseDisk(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A job of one chunk of literal bytes. */
function literalJob(index: number): Job {
  const literals = new Uint8Array(CHUNK).fill(index + 1);
  const operations = Float64Array.of(0, CHUNK, 0, 0, 0, 0, 0);
  return { index, length: CHUNK, operations, literals, literalsReturn: false, blocks: [] };
}

/** A worker that says it is ready and does `then` at its first job. */
async function badWorker(then: string): Promise<URL> {
  const path = join(folder, `bad-${then.length}.mjs`);
  const text = `import { parentPort } from 'node:worker_threads';
parentPort.on('message', (message) => {
  if (message.type === 'open') parentPort.postMessage({ type: 'ready' });
  else { ${then} }
});`;
  await writeFile(path, text);
  return pathToFileURL(path);
}

test.each([
  ['process.exit(3)', 'exits'],
  ["throw new Error('broken')", 'throws'],
  ["parentPort.postMessage({ type: 'failed', message: 'EIO: i/o error, read', code: 'EIO' })", 'cannot read'],
])('a worker that %s fails every job, waiting ones too (%s)', async (then) => {
  const threads = new Threads(await badWorker(then));
  await using pool = await WorkerPool.start({ files: [], compressions: [compressionOf(undefined)], size: 2, threads });
  const jobs = Array.from({ length: 12 }, (_, index) => pool.run(literalJob(index)));
  for (const ended of await Promise.allSettled(jobs)) {
    expect(ended).toMatchObject({ status: 'rejected', reason: { code: expect.stringMatching(/^pack\./) } });
  }
  await expect(pool.run(literalJob(0))).rejects.toMatchObject({ exitCode: 7 });
});

test.each([
  ['process.exit(3)', 'pack.worker'],
  ["throw new Error('broken')", 'pack.worker'],
  [
    "parentPort.postMessage({ type: 'failed', stage: 'compress', message: 'no memory', code: 'unknown' })",
    'pack.compress',
  ],
])('a worker with which it ends so (%s) fails the packing, and nothing has its name', async (then, code) => {
  const out = join(folder, `worker-${then.length}`);
  await using threads = new Threads(await badWorker(then));
  for (const filetypes of [['tgz'], ['ddgz', 'ddraw']] as const) {
    const made = packOn(threads, { disk: raw, out, name: 'x', filetypes: [...filetypes] }, quietContext());
    await expect(made).rejects.toMatchObject({ code, exitCode: 7 });
    expect(await readdir(out)).toEqual([]);
  }
});

/** A sink whose writes wait until it is released. */
function stallingSink() {
  const { stalled, release } = stall();
  const written: number[] = [];
  const sink = {
    write: async (bytes: Uint8Array) => {
      if (bytes.length === 0) return;
      await stalled;
      written.push(bytes.length);
    },
    skip: async () => {},
  } as unknown as FileSink;
  return { sink, written, release };
}

test('a sink that stalls holds the reader up: a bounded number of chunks is in memory', async () => {
  await using pool = await WorkerPool.start({ files: [], compressions: [compressionOf(undefined)], size: 2 });
  const { sink, written, release } = stallingSink();
  let cut = 0;
  const whole = stream(
    async (cutter) => {
      const bytes = new Uint8Array(CHUNK).fill(1);
      for (; cut < 64; cut++) await cutter.literal(bytes);
    },
    { pool, sink, compression: compressionOf(undefined), signal: new AbortController().signal, onProgress: () => {} },
  );
  await expect.poll(() => cut).toBeGreaterThan(3);
  // Time for a reader that is not held up to be seen.
  await new Promise((resolve) => setTimeout(resolve, 400));
  const held = cut;
  release();
  await whole;
  expect(held).toBeLessThan(20);
  expect(cut).toBe(64);
  expect(written).toHaveLength(64);
});

test('many literals go to the workers and back in a bounded number of buffers, and come out as they went in', async () => {
  await using pool = await WorkerPool.start({ files: [], compressions: [compressionOf(undefined)], size: 2 });
  const takeSpare = vi.spyOn(pool, 'takeSpare');
  const given = createHash('sha256');
  const got = createHash('sha256');
  const sink = { write: async (bytes: Uint8Array) => void got.update(bytes) } as unknown as FileSink;
  const next = random(5);
  await stream(
    async (cutter) => {
      for (let at = 0; at < 900; at++) {
        const bytes = new Uint8Array(100_000 + (next() % 100_000)).fill(1 + (next() % 255));
        given.update(bytes);
        await cutter.literal(bytes);
      }
    },
    { pool, sink, compression: compressionOf(undefined), signal: new AbortController().signal, onProgress: () => {} },
  );
  expect(got.digest('hex')).toBe(given.digest('hex'));
  const taken = takeSpare.mock.results.map(({ value }) => value !== undefined);
  expect(taken.length).toBeGreaterThan(100);
  expect(taken.filter((spare) => !spare).length).toBeLessThan(12);
});

test('one sink of several that stalls holds all of them up', async () => {
  const compression = compressionOf(undefined);
  const rooms = new Rooms();
  await using pool = await WorkerPool.start({ files: [], compressions: [compression, compression], size: 2, rooms });
  const [slow, quick] = [stallingSink(), stallingSink()];
  quick.release();
  let cut = 0;
  const outputs = [slow, quick].map(({ sink }) => ({ sink, compression }));
  const whole = sharedStream(
    async (cutter) => {
      const bytes = new Uint8Array(CHUNK).fill(1);
      for (; cut < 64; cut++) await cutter.literal(bytes);
    },
    outputs,
    { pool, rooms, signal: new AbortController().signal, onProgress: () => {} },
  );
  await expect.poll(() => cut).toBeGreaterThan(3);
  await new Promise((resolve) => setTimeout(resolve, 400));
  const [held, ahead] = [cut, quick.written.length];
  slow.release();
  await whole;
  expect(held).toBeLessThan(32);
  expect(ahead).toBeLessThan(32);
  for (const { written } of [slow, quick]) expect(written.reduce((sum, bytes) => sum + bytes, 0)).toBe(64 * CHUNK);
});
