import { execFile, execFileSync, spawn } from 'node:child_process';
import { renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { random } from '../../fixtures/fuzz.ts';
import { noiseDisk } from '../../fixtures/noise-disk.ts';
import { type ComposeEvent, type Context, quietContext } from '../../src/events.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { compressionOf } from '../../src/pack/chunk.ts';
import type { FileType } from '../../src/pack/filetypes.ts';
import { pack } from '../../src/pack/pack.ts';

const run = promisify(execFile);
const CHUNK = compressionOf(undefined).chunk;
const root = process.getuid?.() === 0;
let folder = '';
let raw = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-faults-'));
  raw = await noiseDisk(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const packing = (disk: string, out: string): ReturnType<typeof pack> =>
  pack({ disk, out, name: 'x', filetypes: ['tgz', 'ddgz'] }, quietContext());

test('a disk that ends before its partitions do is refused', async () => {
  const short = join(folder, 'short.raw');
  await run('cp', ['--sparse=always', raw, short]);
  await truncate(short, 20 * CHUNK);
  await expect(packing(short, join(folder, 'short'))).rejects.toMatchObject({ exitCode: 7 });
  expect(await readdir(join(folder, 'short')).catch(() => [])).toEqual([]);
});

test('an image that vanishes while it is packed ends with an error of ours', async () => {
  const gone = join(folder, 'gone.raw');
  await run('cp', ['--sparse=always', raw, gone]);
  const out = join(folder, 'gone');
  const context = {
    signal: new AbortController().signal,
    // The root has been found then; the workers open the image themselves.
    emit: (event: { type: string; phase?: string }) => {
      if (event.phase === 'pack tgz') rmSync(gone, { force: true });
    },
  };
  await expect(pack({ disk: gone, out, name: 'x', filetypes: ['tgz'] }, context)).rejects.toMatchObject({
    code: 'pack.read',
    exitCode: 7,
  });
  expect(await readdir(out).catch(() => [])).toEqual([]);
});

test.each(['another image', 'a FIFO'])(
  'an image that %s takes the place of while it is packed is not mixed with it',
  async (what) => {
    const name = what.replaceAll(' ', '-');
    const [first, second, out] = ['raw', 'new', 'out'].map((suffix) => join(folder, `${name}.${suffix}`)) as [
      string,
      string,
      string,
    ];
    await run('cp', ['--sparse=always', raw, first]);
    if (what === 'a FIFO') await run('mkfifo', [second]);
    else await run('cp', ['--sparse=always', raw, second]);
    // The root has been found then; the workers open the image themselves.
    const context = meddling(
      (event) => event.type === 'phase' && event.phase === 'pack tgz',
      () => renameSync(second, first),
    );
    await expect(pack({ disk: first, out, name: 'x', filetypes: ['tgz'] }, context)).rejects.toMatchObject({
      code: 'pack.read',
      message: `Cannot read the disk image: another file took its place while it was read (${first})`,
      hint: expect.stringContaining('start again'),
    });
    expect(await readdir(out)).toEqual([]);
  },
);

/** Does `what` once, when the first event for which `when` is true is told. */
function meddling(when: (event: ComposeEvent) => boolean, what: () => void): Context {
  let done = false;
  const emit = (event: ComposeEvent): void => {
    if (done || !when(event)) return;
    done = true;
    what();
  };
  return { signal: new AbortController().signal, emit };
}

test.each<FileType>(['tgz', 'ddgz', 'ddraw'])(
  'an image that becomes shorter while %s is made of it is never packed with zeros at its end',
  async (filetype) => {
    const shorter = join(folder, `shorter-${filetype}.raw`);
    await run('cp', ['--sparse=always', raw, shorter]);
    const out = join(folder, `shorter-${filetype}`);
    // The root has been found then; nothing but what is in files lies behind the cut.
    const began = (event: ComposeEvent): boolean => event.type === 'phase' && event.phase.startsWith('pack ');
    const context = meddling(began, () => truncateSync(shorter, 20 * CHUNK));
    const made = pack({ disk: shorter, out, name: 'x', filetypes: [filetype], freeBlocks: 'keep' }, context);
    await expect(made).rejects.toMatchObject({
      code: expect.stringMatching(/^(pack\.read|disk\.shrank)$/),
      exitCode: 7,
      message: expect.stringContaining('became shorter while it was read'),
      hint: expect.stringContaining('Something else writes to it'),
    });
    expect(await readdir(out).catch(() => [])).toEqual([]);
  },
);

test.skipIf(!root)(
  'read errors of the storage end the packing and leave nothing (needs root, FUSE and nbdkit)',
  async (context) => {
    const place = join(folder, 'eio');
    await mkdir(place);
    const trigger = join(folder, 'trigger');
    const child = spawn(
      'nbdfuse',
      [
        place,
        '--command',
        'nbdkit',
        '-s',
        '--filter=error',
        'file',
        raw,
        'error-pread=EIO',
        'error-pread-rate=100%',
        `error-pread-file=${trigger}`,
      ],
      { stdio: 'ignore' },
    );
    const started = await new Promise<boolean>((resolve) => {
      child.once('error', () => resolve(false));
      const look = setInterval(async () => {
        // Fails while the mount comes to be.
        if ((await readdir(place).catch(() => [])).length === 0) return;
        clearInterval(look);
        resolve(true);
      }, 20);
      child.once('exit', () => {
        clearInterval(look);
        resolve(false);
      });
    });
    if (!started) return context.skip('no nbdfuse or no FUSE here');
    try {
      const disk = join(place, 'nbd');
      const out = join(folder, 'eio-out');
      const { artifacts } = await packing(disk, join(folder, 'eio-good'));
      expect(artifacts).toHaveLength(2);
      await run('sh', ['-c', 'echo 3 > /proc/sys/vm/drop_caches']);
      await writeFile(trigger, '');
      await expect(pack({ disk, out, name: 'x', filetypes: ['ddgz'] }, quietContext())).rejects.toMatchObject({
        message: expect.stringMatching(/EIO|i\/o error/i),
      });
      expect(await readdir(out).catch(() => [])).toEqual([]);
      await rm(trigger);
      // In the middle: a part is written by then, and the workers have the rest to read.
      const context = meddling(
        ({ type }) => type === 'progress',
        () => {
          writeFileSync(trigger, '');
          execFileSync('sh', ['-c', 'echo 3 > /proc/sys/vm/drop_caches']);
        },
      );
      const half = join(folder, 'eio-half');
      const made = pack({ disk, out: half, name: 'x', filetypes: ['ddgz'], workers: 1, window: 2 }, context);
      await expect(made).rejects.toMatchObject({ code: 'pack.read', message: expect.stringMatching(/EIO/) });
      expect(await readdir(half)).toEqual([]);
    } finally {
      await run('fusermount3', ['-u', place]).catch(() => run('umount', ['-l', place]));
    }
  },
);

test.skipIf(!root).each([16, 64, 300, 2_000, 14_000, 28_000])(
  'a disk with room for %i KiB is full: nothing is left on it (needs root)',
  async (kibibytes) => {
    const small = join(folder, `small-${kibibytes}`);
    await mkdir(small);
    await run('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', small]);
    try {
      await expect(packing(raw, small)).rejects.toMatchObject({ code: 'pack.disk-full', exitCode: 7 });
      // The tree fits on the largest, the disk beside it does not.
      expect(await readdir(small)).toEqual([]);
    } finally {
      await run('umount', [small]);
    }
  },
);

test.skipIf(!root)(
  'a disk that has room for no further file, be it an artifact, a list or a record, keeps none (needs root)',
  async () => {
    const place = join(folder, 'no-inode');
    await mkdir(place);
    const options = { manifest: true, packages: true, sbom: ['spdx', 'cyclonedx'] } as const;
    const codes: string[] = [];
    let made: string[] = [];
    for (let files = 0; made.length === 0 && files < 30; files++) {
      // The folder itself has one.
      await run('mount', ['-t', 'tmpfs', '-o', `size=200m,nr_inodes=${files + 1}`, 'tmpfs', place]);
      try {
        await pack(
          { disk: raw, out: place, name: 'x', filetypes: ['tgz', 'ddgz'], ...options, sbom: [...options.sbom] },
          quietContext(),
        ).then(
          async () => {
            made = await readdir(place);
          },
          async (error: { code: string }) => {
            codes.push(error.code);
            expect(await readdir(place), `with ${files} files`).toEqual([]);
          },
        );
      } finally {
        await run('umount', [place]);
      }
    }
    expect(made.length).toBeGreaterThan(8);
    // Without room for one of them, or for the lock of SHA256SUMS, it failed, each time for that reason.
    expect(codes).toEqual(Array.from({ length: made.length + 1 }, () => 'pack.disk-full'));
  },
);

/** Waits until a file is in `path`, hidden ones too. */
async function inhabited(path: string): Promise<void> {
  while ((await readdir(path).catch(() => [])).length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
}

test('killed at any moment, nothing has its final name unless it is whole', async () => {
  const flags = ['--format', 'tgz,ddgz', '--manifest', '--packages', '--sbom', 'spdx', '--name', 'x', '--log', 'plain'];
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1000000000' };
  const packed = (out: string): string[] => ['pack', raw, ...flags, '--out', out];
  const reference = join(folder, 'reference');
  expect(await compose(packed(reference), { env })).toMatchObject({ status: 0 });
  const whole = await readdir(reference);
  expect(whole.length).toBeGreaterThan(6);
  const next = random(99);
  let halfway = 0;
  for (let round = 0; round < 20; round++) {
    const out = join(folder, `killed-${round}`);
    const cli = join(packageRoot(), 'dist/src/cli/main.js');
    const child = spawn(process.execPath, [cli, ...packed(out)], { stdio: 'ignore', env });
    const ended = new Promise((resolve) => child.once('close', resolve));
    // Every other round from the moment it writes, so that as many land in the middle on a slow host.
    if (round % 2 === 1) await inhabited(out);
    const timer = setTimeout(() => child.kill('SIGKILL'), round === 1 ? 0 : next() % (round % 2 === 1 ? 900 : 1800));
    await ended;
    clearTimeout(timer);
    const left = await readdir(out).catch(() => []);
    const names = left.filter((name) => !name.startsWith('.'));
    if (left.length > names.length) halfway++;
    for (const name of names) {
      expect(whole).toContain(name);
      // A record tells where its artifact lies.
      const text = (await readFile(join(out, name), 'latin1')).replaceAll(out, reference);
      expect(text === (await readFile(join(reference, name), 'latin1')), `${name} in round ${round}`).toBe(true);
    }
    await rm(out, { recursive: true, force: true });
  }
  expect(halfway).toBeGreaterThan(0);
}, 300_000);

test.each(['x.dd.gz', 'x.dd.gz.maas.json', 'x.files.jsonl', 'SHA256SUMS'])(
  'where %s cannot get its name no other file keeps one',
  async (taken) => {
    const out = join(folder, `taken-${taken}`);
    await mkdir(join(out, taken), { recursive: true });
    const { status, stderr } = await compose([
      'pack',
      raw,
      '--format',
      'tgz,ddgz',
      '--name',
      'x',
      '--manifest',
      '--packages',
      '--out',
      out,
    ]);
    expect(status).toBe(7);
    expect(stderr).toContain(taken);
    expect(await readdir(out)).toEqual([taken]);
  },
);

test('artifacts of an earlier run are there again when those of a later one cannot all have their names', async () => {
  const out = join(folder, 'earlier');
  await mkdir(join(out, 'SHA256SUMS'), { recursive: true });
  await writeFile(join(out, 'x.tar.gz'), 'earlier');
  const made = pack({ disk: raw, out, name: 'x', filetypes: ['tgz', 'ddgz'] }, quietContext());
  await expect(made).rejects.toMatchObject({ exitCode: 7 });
  expect((await readdir(out)).sort()).toEqual(['SHA256SUMS', 'x.tar.gz']);
  expect(await readFile(join(out, 'x.tar.gz'), 'utf8')).toBe('earlier');
});

test('the disk that is packed is never replaced, nor one that lies under it', async () => {
  const out = join(folder, 'same');
  await mkdir(out);
  const disk = join(out, 'x.dd');
  await run('cp', ['--sparse=always', raw, disk]);
  const before = (await run('sha256sum', [disk])).stdout;
  const overlay = join(folder, 'over.qcow2');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', disk, overlay]);
  for (const one of [disk, overlay]) {
    const made = pack({ disk: one, out, name: 'x', filetypes: ['tgz', 'ddraw'] }, quietContext());
    await expect(made).rejects.toMatchObject({ code: 'pack.over-source', exitCode: 7 });
  }
  expect(await readdir(out)).toEqual(['x.dd']);
  expect((await run('sha256sum', [disk])).stdout).toBe(before);
});

test.each([
  ['', 'nothing'],
  ['../x', 'out of the folder'],
  ['/x', 'from the top'],
  ['a/./b', 'a dot'],
  ['two\nlines', 'a line feed'],
  ['n'.repeat(201), 'too long for its records'],
])('the name "%s" is refused before anything is read (%s)', async (name) => {
  const made = pack({ disk: '/nowhere', out: folder, name, filetypes: ['tgz'] }, quietContext());
  await expect(made).rejects.toMatchObject({ code: 'pack.name', exitCode: 2 });
});
