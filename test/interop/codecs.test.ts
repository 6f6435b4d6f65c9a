import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { openDisk } from '../../src/disk/open.ts';
import { isComposeError } from '../../src/errors.ts';
import { decompress } from '../../src/host/decompress.ts';
import { which } from '../../src/host/tools.ts';
import { compressionOf } from '../../src/pack/chunk.ts';
import type { Codec, EngineName } from '../../src/pack/codec.ts';
import { openEngine } from '../../src/pack/engine.ts';
import { WorkerPool } from '../../src/pack/pool.ts';
import { FileSink } from '../../src/pack/sink.ts';
import { stream } from '../../src/pack/stream.ts';

const run = promisify(execFile);
const BIG = { maxBuffer: 512 * 1024 * 1024, encoding: 'buffer' } as const;
const BLOCK = 12 * 1024 * 1024;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

// Encoding blocks of 12 MiB takes its time on a busy machine.
vi.setConfig({ testTimeout: 300_000 });

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-codecs-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Text-like, random and zero runs: `length` bytes that depend on `seed` alone. */
function sample(length: number, seed: number): Buffer {
  const next = random(seed);
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const run = 1 + (next() % 40_000);
    const end = Math.min(length, at + run);
    const kind = next() % 4;
    if (kind === 0) for (; at < end; at++) bytes[at] = next();
    else if (kind === 1)
      for (const from = Math.max(0, at - 9000); at < end; at++) bytes[at] = bytes[from + (at % 7)] ?? 1;
    else if (kind === 2) for (; at < end; at++) bytes[at] = 97 + (next() % 5);
    else at = end;
  }
  return bytes;
}

interface Made {
  readonly codec: Codec;
  readonly engine?: EngineName;
  readonly level?: number;
  readonly workers?: number;
}

/** A file of `content`, a raw disk, made as `pack` makes it. */
async function made(name: string, content: Uint8Array, options: Made): Promise<string> {
  const { codec, engine, level, workers = 2 } = options;
  const compression = compressionOf(
    await openEngine({ codec, ...(engine ? { engine } : {}), ...(level === undefined ? {} : { level }) }),
  );
  const raw = join(folder, `${name}.raw`);
  const path = join(folder, name);
  // An empty disk is refused before anything is packed.
  await writeFile(raw, content.length === 0 ? new Uint8Array(512) : content);
  await using disk = await openDisk(raw, { format: 'raw' });
  await using pool = await WorkerPool.start({ files: disk.files, compressions: [compression], size: workers });
  await using sink = await FileSink.create(path);
  const { signal } = new AbortController();
  // Literals between references to the file, so that chunks are of both.
  const fill: Parameters<typeof stream>[0] = async (cutter) => {
    await cutter.literal(content.subarray(0, 700));
    if (content.length > 700) await cutter.data(disk, 700, content.length - 700);
  };
  await stream(fill, { pool, sink, compression, signal, onProgress: () => {} });
  return (await sink.finish()).path;
}

async function decompressed(path: string, codec: Codec): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of decompress(path, codec)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const PYTHON = (module: string): string =>
  `import ${module},shutil,sys; shutil.copyfileobj(${module}.open(sys.argv[1]), sys.stdout.buffer)`;

const READERS: Readonly<Record<'xz' | 'bzip2', readonly (readonly string[])[]>> = {
  xz: [['xz', '-dc'], ['xz', '-T2', '-dc'], ['busybox', 'unxz', '-c'], ['python3', '-c', PYTHON('lzma')], ['bsdcat']],
  bzip2: [
    ['bzip2', '-dc'],
    ['busybox', 'bunzip2', '-c'],
    ['python3', '-c', PYTHON('bz2')],
    ['pbzip2', '-dc'],
    ['lbzip2', '-dc'],
    ['bsdcat'],
  ],
};

describe.each([
  ['xz', BLOCK],
  ['bzip2', 900_000 - 19],
] as const)('%s', (codec, chunk) => {
  const sizes = [0, 1, 701, chunk - 1, chunk, chunk + 1];

  test.each(sizes)('%d bytes: every reader gives them back', async (size) => {
    const content = sample(size, size);
    const path = await made(`${codec}-${size}`, content, { codec, ...(codec === 'xz' ? { level: 1 } : {}) });
    for (const [command = '', ...args] of READERS[codec]) {
      if (which(command) === undefined) continue;
      const { stdout } = await run(command, [...args, path], BIG);
      expect(sha256(stdout), command).toBe(sha256(content));
    }
    await run(codec, ['-t', path]);
    expect(sha256(await decompressed(path, codec))).toBe(sha256(content));
  });

  test('the bytes depend on the content, not on the workers; library and program agree', async () => {
    const content = sample(chunk + 99, 4);
    content.fill(0, chunk >> 2, chunk >> 1);
    const [library, program] = codec === 'xz' ? (['liblzma', 'xz'] as const) : (['libbz2', 'bzip2'] as const);
    const sums = new Set<string>();
    for (const [engine, workers] of [
      [library, 1],
      [library, 3],
      [program, 2],
    ] as const) {
      const path = await made(`${engine}-${workers}`, content, { codec, engine, workers, level: 1 });
      sums.add(sha256(await readFile(path)));
    }
    expect(sums.size).toBe(1);
  });

  test('damaged and cut files are an error or their content, never more', async () => {
    const content = sample(60_000, 9);
    const good = await readFile(await made(`${codec}-fuzz`, content, { codec }));
    const next = random(11);
    const path = join(folder, `${codec}-damaged`);
    for (let i = 0; i < 150; i++) {
      await writeFile(path, i < 30 ? good.subarray(0, Math.floor((good.length * i) / 30)) : mutate(good, next));
      try {
        expect((await decompressed(path, codec)).equals(content)).toBe(true);
      } catch (error) {
        expect(isComposeError(error) && error.code, String(error)).toMatch(/^(xz|bzip2)\.(damaged|memory)$/);
      }
    }
  });

  test('a file of several streams is read whole, what follows the last one is refused', async () => {
    const content = sample(5000, 3);
    const one = await made(`${codec}-several`, content, { codec });
    await appendFile(one, await readFile(one));
    expect(sha256(await decompressed(one, codec))).toBe(sha256(Buffer.concat([content, content])));
    await appendFile(one, 'and more');
    await expect(decompressed(one, codec)).rejects.toMatchObject({ code: `${codec}.damaged` });
  });

  test('a level there is not is refused', async () => {
    await expect(openEngine({ codec, level: 10 })).rejects.toMatchObject({ code: 'engine.level', exitCode: 2 });
    await expect(openEngine({ codec, level: 1.5 })).rejects.toMatchObject({ code: 'engine.level' });
  });
});

test('xz sees one stream of blocks with their sizes, CRC64, and the dictionary of the level', async () => {
  const path = await made('list.xz', sample(2 * BLOCK + 1, 1), { codec: 'xz', level: 2 });
  const { stdout } = await run('xz', ['--robot', '--list', '-vv', path]);
  const rows = stdout.split('\n').map((line) => line.split('\t'));
  expect(rows.filter(([kind]) => kind === 'stream')).toHaveLength(1);
  const blocks = rows.filter(([kind]) => kind === 'block');
  expect(blocks).toHaveLength(3);
  for (const [at, block] of blocks.entries()) {
    const length = at < 2 ? BLOCK : 1;
    expect(block).toEqual(expect.arrayContaining(['CRC64', 'cu', '--lzma2=dict=2MiB', String(length)]));
  }
});

test('zeros cost next to nothing, in a disk and at its end', async () => {
  const path = join(folder, 'zeros.raw');
  await writeFile(path, sample(1000, 2));
  await truncate(path, 3 * BLOCK + 17);
  const content = await readFile(path);
  for (const codec of ['xz', 'bzip2'] as const) {
    const file = await made(`zeros.${codec}`, content, { codec });
    expect((await readFile(file)).length).toBeLessThan(60_000);
    expect(sha256(await decompressed(file, codec))).toBe(sha256(content));
  }
});

test('a file that needs more memory than an image does is refused', async () => {
  const path = join(folder, 'huge.xz');
  const { stdout } = spawnSync('xz', ['-c', '--lzma2=preset=0,dict=512MiB'], { input: 'x' });
  await writeFile(path, stdout);
  await expect(decompressed(path, 'xz')).rejects.toMatchObject({ code: 'xz.memory', exitCode: 7 });
});

test('an end in the middle of a block gives back the worker and leaves no file', async () => {
  const controller = new AbortController();
  const compression = compressionOf(await openEngine({ codec: 'xz' }));
  const raw = join(folder, 'ended.raw');
  await writeFile(raw, sample(2 * BLOCK, 5));
  await using disk = await openDisk(raw, { format: 'raw' });
  const packing = async (): Promise<void> => {
    await using pool = await WorkerPool.start({ files: disk.files, compressions: [compression], size: 2 });
    await using sink = await FileSink.create(join(folder, 'ended.xz'));
    setTimeout(() => controller.abort(new Error('enough')), 300);
    const aborted = new Promise<never>((_, reject) => {
      controller.signal.addEventListener('abort', () => reject(controller.signal.reason));
    });
    const { signal } = controller;
    const whole = stream((cutter) => cutter.data(disk, 0, disk.size), {
      pool,
      sink,
      compression,
      signal,
      onProgress: () => {},
    });
    await Promise.race([whole, aborted]);
  };
  await expect(packing()).rejects.toThrow('enough');
  expect((await readdir(folder)).filter((name) => name.includes('ended.xz'))).toEqual([]);
});
