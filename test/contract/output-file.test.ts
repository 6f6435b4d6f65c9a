/** Files that are written from their start to their end, through the host's cache and past it. */
import { execFile } from 'node:child_process';
import { type FileHandle, mkdtemp, open, readFile, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stall } from '../../fixtures/stall.ts';
import { copyBytes } from '../../src/pack/copy-bytes.ts';
import { createOutputFile } from '../../src/pack/create-output.ts';
import { DirectFile } from '../../src/pack/direct-file.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
/** statfs(2) of file systems that are known to write past the cache. */
const DIRECT_TYPES = new Set([0xef53, 0x58465342]);

let folder = '';
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-output-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const fresh = (): string => join(folder, `${count++}`);

/** Bytes that are the same in no two blocks. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint32Array(Math.ceil(length / 4));
  for (let at = 0, value = seed; at < bytes.length; at++) {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0;
    bytes[at] = value;
  }
  return new Uint8Array(bytes.buffer, 0, length);
}

/** What is appended; a number is a hole. */
const FILES: Readonly<Record<string, readonly (Uint8Array | number)[]>> = {
  nothing: [],
  'one byte': [pattern(1, 1)],
  'a block': [pattern(4096, 2)],
  'pieces that end in the middle of blocks and rooms': [70_001, 1_048_577, 3, 2_500_000, 5_000_000, 4095].map(pattern),
  'rooms without rest': [pattern(2 * MIB, 3), pattern(4 * MIB, 4)],
  'holes between blocks': [pattern(MIB, 5), 3 * MIB, pattern(MIB, 6), 9 * MIB, pattern(4096, 7)],
  'holes between odd bytes': [pattern(512, 8), 3 * MIB + 17, pattern(100, 9), 5000, pattern(3 * MIB, 10), 1, 4095],
  'a hole at the start and at the end': [8 * MIB, pattern(10, 11), 16 * MIB + 1],
};

const whole = (parts: readonly (Uint8Array | number)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'number' ? new Uint8Array(part) : part)));

describe.each([true, false])('past the cache: %s', (direct) => {
  test.each(Object.entries(FILES))('%s', async (_, parts) => {
    const path = fresh();
    const file = await createOutputFile(path, { direct });
    // Nobody waits for one before the next.
    await Promise.all(parts.map((part) => (typeof part === 'number' ? file.skip(part) : file.append(part))));
    await file.complete();
    expect((await readFile(path)).equals(whole(parts))).toBe(true);
  });

  test('holes take no room', async () => {
    const path = fresh();
    const file = await createOutputFile(path, { direct });
    for (let at = 0; at < 3; at++) {
      await file.append(pattern(512, at));
      await file.skip(20 * MIB);
    }
    await file.complete();
    const { size, blocks } = await stat(path);
    expect(size).toBe(3 * (20 * MIB + 512));
    expect(blocks * 512).toBeLessThan(MIB);
  });

  test('it is not made over another', async () => {
    const path = fresh();
    await (await createOutputFile(path)).complete();
    await expect(createOutputFile(path, { direct })).rejects.toMatchObject({ code: 'EEXIST' });
  });

  test('what a worker wrote in shared memory is appended', async () => {
    const path = fresh();
    const bytes = pattern(3 * MIB, 12);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    const file = await createOutputFile(path, { direct });
    await file.append(shared.subarray(1));
    await file.complete();
    expect((await readFile(path)).equals(bytes.subarray(1))).toBe(true);
  });
});

test('what is written past the cache is not in it', async (context) => {
  const { type } = await statfs(folder);
  if (!DIRECT_TYPES.has(type)) return context.skip(`the temporary folder is on no ext4 or XFS (${type.toString(16)})`);
  const cached = async (direct: boolean): Promise<number> => {
    const path = fresh();
    const file = await createOutputFile(path, { direct });
    for (let at = 0; at < 8; at++) await file.append(pattern(2 * MIB, at));
    await file.complete();
    return Number((await run('fincore', ['--bytes', '--noheadings', '--output', 'RES', path])).stdout);
  };
  expect(await cached(false)).toBeGreaterThan(15 * MIB);
  expect(await cached(true)).toBeLessThan(MIB);
});

/** Opens nothing; each write fails with `code`. */
const failing = (code: string) => async () => ({
  write: () => Promise.reject(Object.assign(new Error(code), { code })),
  close: async () => {},
});

test('a file system that has no direct writes after all is written through the cache', async () => {
  const path = fresh();
  const file = await DirectFile.of(path, await open(path, 'wx'), failing('EINVAL'));
  const bytes = pattern(9 * MIB + 1, 13);
  await file?.append(bytes);
  await file?.complete();
  expect(file).toBeDefined();
  expect((await readFile(path)).equals(bytes)).toBe(true);
});

test('a write that fails is told by an append after it, and those after that', async () => {
  const path = fresh();
  const file = await DirectFile.of(path, await open(path, 'wx'), failing('EIO'));
  await file?.append(pattern(3 * MIB, 14));
  const later = [file?.append(pattern(2 * MIB, 15)), file?.append(pattern(1, 16))];
  for (const one of await Promise.allSettled(later)) expect(one).toMatchObject({ reason: { code: 'EIO' } });
  await expect(file?.complete()).rejects.toMatchObject({ code: 'EIO' });
  await file?.close();
});

test('the last write that fails is told at the end', async () => {
  const path = fresh();
  const file = await DirectFile.of(path, await open(path, 'wx'), failing('ENOSPC'));
  await file?.append(pattern(2 * MIB, 17));
  await expect(file?.complete()).rejects.toMatchObject({ code: 'ENOSPC' });
  await file?.close();
});

test('where a file cannot be opened for direct writes there is no such file', async () => {
  const path = fresh();
  await using cached = await open(path, 'wx');
  expect(await DirectFile.of(path, cached, () => Promise.reject(new Error('EINVAL')))).toBeUndefined();
});

test('bytes are copied between memories, none too', () => {
  const target = Buffer.alloc(10, 1);
  copyBytes(target, 2, Uint8Array.of(7, 8));
  copyBytes(target, 10, new Uint8Array(0));
  copyBytes(target, 0, new Uint8Array(0));
  const shared = Buffer.from(new SharedArrayBuffer(4));
  copyBytes(shared, 1, Uint8Array.of(5, 6, 7));
  copyBytes(target, 6, shared);
  expect([...target]).toEqual([1, 1, 7, 8, 1, 1, 0, 5, 6, 7]);
});

test('a disk that stalls holds appends up: what waits in memory is bounded', async () => {
  const path = fresh();
  const { stalled, release } = stall();
  const own = await open(path, 'wx');
  const slowly = async () => ({
    write: (async (bytes: Uint8Array, from: number, length: number, at: number) => {
      await stalled;
      return own.write(bytes, from, length, at);
    }) as unknown as FileHandle['write'],
    close: async () => {},
  });
  const file = await DirectFile.of(path, own, slowly);
  let appended = 0;
  const all = (async () => {
    for (; appended < 16; appended++) await file?.append(pattern(2 * MIB, appended));
    await file?.complete();
  })();
  await expect.poll(() => appended).toBeGreaterThan(0);
  // Time for an append that is not held up to be seen.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const held = appended;
  release();
  await all;
  expect(held).toBeLessThan(4);
  const whole = Buffer.concat(Array.from({ length: 16 }, (_, at) => pattern(2 * MIB, at)));
  expect((await readFile(path)).equals(whole)).toBe(true);
});
