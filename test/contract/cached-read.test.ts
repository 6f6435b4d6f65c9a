/** Reads that take from the host's cache and never wait. */
import { execFile } from 'node:child_process';
import { type FileHandle, mkdtemp, open, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { openHostFile } from '../../src/disk/host-file.ts';
import { type CachedRead, loadCachedRead } from '../../src/host/cached-read.ts';

const run = promisify(execFile);
/** statfs(2) of file systems that are known to answer at once: ext4 and XFS. */
const TYPES = new Set([0xef53, 0x58465342]);
const LENGTH = 1024 * 1024;
const bytes = Buffer.alloc(LENGTH, (() => Uint8Array.from({ length: 4099 }, (_, i) => i * 7))());
let folder: string;
let path: string;
let handle: FileHandle;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cached-read-'));
  path = join(folder, 'file');
  await writeFile(path, bytes);
  handle = await open(path);
});

afterAll(async () => {
  await handle.close();
  await rm(folder, { recursive: true });
});

/** A turn of the event loop, after which reads begin anew. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function reader(context: TestContext): Promise<CachedRead> {
  const { type } = await statfs(folder);
  if (!TYPES.has(type)) context.skip(`the temporary folder is on no ext4 or XFS (${type.toString(16)})`);
  const read = await loadCachedRead();
  if (read === undefined) throw new Error('this host has no preadv2');
  await turn();
  return read;
}

test('what is in the cache is read, wherever it goes', async (context) => {
  const read = await reader(context);
  const room = new Uint8Array(10_000);
  for (const [position, start, length] of [
    [0, 0, 10_000],
    [LENGTH - 5, 3, 5],
    [4097, 1, 8191],
  ] as const) {
    const into = room.subarray(start, start + length);
    await turn();
    expect(read(handle.fd, position, into)).toBe(true);
    expect(Buffer.from(into).equals(bytes.subarray(position, position + length))).toBe(true);
  }
});

test('bytes past the end, and a file that is closed, are not there', async (context) => {
  const read = await reader(context);
  expect(read(handle.fd, LENGTH - 5, new Uint8Array(6))).toBe(false);
  expect(read(handle.fd, 2 * LENGTH, new Uint8Array(1))).toBe(false);
  expect(read(-1, 0, new Uint8Array(1))).toBe(false);
});

test('reads one after another leave the event loop its turns', async (context) => {
  const read = await reader(context);
  const into = new Uint8Array(4096);
  const end = performance.now() + 60_000;
  let reads = 0;
  while (read(handle.fd, 0, into) && performance.now() < end) reads++;
  expect(reads).toBeGreaterThan(0);
  expect(performance.now()).toBeLessThan(end);
  expect(read(handle.fd, 0, into)).toBe(false);
  await turn();
  expect(read(handle.fd, 0, into)).toBe(true);
});

test('a disk read in short pieces without an end lets a timer come', async () => {
  await using file = await openHostFile(path);
  let came = false;
  const timer = setTimeout(() => {
    came = true;
  }, 20);
  const into = new Uint8Array(16 * 1024);
  const end = performance.now() + 60_000;
  while (!came && performance.now() < end) await file.read(0, into);
  clearTimeout(timer);
  expect(came).toBe(true);
});

test('a disk is read alike where the host has none of it in its cache', async () => {
  const cold = join(folder, 'cold');
  await writeFile(cold, bytes);
  // dd(1): with nocache and no input it drops what is cached of the whole file.
  await run('dd', [`of=${cold}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']);
  await using file = await openHostFile(cold);
  const into = new Uint8Array(64 * 1024);
  for (let position = 0; position < LENGTH; position += into.length) {
    await file.read(position, into);
    expect(Buffer.from(into).equals(bytes.subarray(position, position + into.length))).toBe(true);
  }
});

test('a disk that became shorter says so, though what is left is in the cache', async () => {
  const short = join(folder, 'short');
  await writeFile(short, bytes);
  await using file = await openHostFile(short);
  await file.read(0, new Uint8Array(512));
  await truncate(short, 1000);
  await expect(file.read(512, new Uint8Array(512))).rejects.toMatchObject({ code: 'disk.shrank' });
});
