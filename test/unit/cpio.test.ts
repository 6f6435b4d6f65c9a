import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { cpioMembers, writeCpio } from '../../src/formats/cpio.ts';
import { readCpio } from '../../src/formats/cpio-read.ts';
import { CpioScan } from '../../src/formats/cpio-scan.ts';
import { appendToInitrd } from '../../src/seed/initrd.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-cpio-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('an archive is, byte by byte, what the format says', () => {
  const archive = writeCpio([{ path: 'a/b', content: text('hello'), mode: 0o600 }], { time: 1_700_000_000 });
  const head = (fields: string): string => `070701${fields.replaceAll(' ', '')}`;
  const expected =
    head(
      '00000001 000041ed 00000000 00000000 00000002 6553f100 00000000 00000000 00000000 00000000 00000000 00000002 00000000',
    ) +
    'a\0' +
    head(
      '00000002 00008180 00000000 00000000 00000001 6553f100 00000005 00000000 00000000 00000000 00000000 00000004 00000000',
    ) +
    'a/b\0\0\0' +
    'hello\0\0\0' +
    head(
      '00000000 00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 0000000b 00000000',
    ) +
    'TRAILER!!!\0\0\0\0';
  expect(Buffer.from(archive).toString('latin1')).toBe(expected);
  expect(archive.length % 4).toBe(0);
});

test('what was written is read back, whatever the lengths of names and contents', () => {
  const files = Array.from({ length: 40 }, (_, at) => ({
    path: `${'n'.repeat(1 + (at % 9))}${at}`,
    content: new Uint8Array(at).fill(at),
    mode: 0o600 + at,
  }));
  const entries = readCpio(writeCpio(files));
  expect(entries.map(({ path, content, mode, kind }) => ({ path, content, mode, kind }))).toEqual(
    files.map((file) => ({ ...file, kind: 'file' })),
  );
});

test('links, directories, other scripts; parents come first, and once', () => {
  const archive = writeCpio([
    { path: '/etc/žluť/ks.cfg', content: text('ks') },
    { path: 'etc/žluť/link', symlink: '../x' },
    { path: 'etc/own', directory: true, mode: 0o700 },
  ]);
  expect(readCpio(archive).map(({ path, kind, mode }) => [path, kind, mode])).toEqual([
    ['etc', 'directory', 0o755],
    ['etc/žluť', 'directory', 0o755],
    ['etc/žluť/ks.cfg', 'file', 0o644],
    ['etc/žluť/link', 'symlink', 0o777],
    ['etc/own', 'directory', 0o700],
  ]);
});

test('directories that are links in many an initrd are not put in their place', () => {
  const paths = cpioMembers([{ path: 'lib/modules/x.ko' }, { path: 'var/lock/y' }, { path: 'bin/z' }]).map(
    (m) => m.path,
  );
  expect(paths).toEqual(['lib/modules', 'lib/modules/x.ko', 'var', 'var/lock/y', 'bin/z']);
});

const REFUSED: readonly (readonly [paths: readonly string[], why: string])[] = [
  [[''], 'no name'],
  [['a/../b'], 'a way out'],
  [['./a'], 'a dot'],
  [['a\0b'], 'a NUL'],
  [['TRAILER!!!'], 'the name that ends an archive'],
  [['x'.repeat(4096)], 'longer than PATH_MAX'],
  [['a', 'a'], 'twice'],
  [['a', 'a/b'], 'a file as a directory'],
  [['a/b', 'a'], 'a directory as a file'],
];
test.each(REFUSED)('names that are refused %#', (paths, why) => {
  expect(() => writeCpio(paths.map((path) => ({ path }))), why).toThrow(expect.objectContaining({ code: 'cpio.name' }));
});

test('sizes past 32 bits are refused', () => {
  expect(() => cpioMembers([{ path: 'a', size: 2 ** 32 }])).toThrow(
    expect.objectContaining({ code: 'cpio.too-large' }),
  );
});

test('damaged archives are read or refused', () => {
  const archive = writeCpio([
    { path: 'a/b/c', content: text('some content') },
    { path: 'link', symlink: 'a/b/c' },
    { path: 'empty' },
  ]);
  const next = random(70701);
  let refused = 0;
  for (let round = 0; round < 4000; round++) {
    try {
      readCpio(mutate(archive, next));
    } catch (error) {
      if (!isComposeError(error)) throw error;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(1000);
});

test('an archive that comes in pieces tells the same paths as a whole one, damaged or not', () => {
  const archive = Buffer.concat([
    writeCpio([
      { path: 'a/b/c', content: text('some content') },
      { path: 'link', symlink: 'a/b/c' },
    ]),
    Buffer.alloc(512),
    writeCpio([{ path: 'empty' }, { path: 'z'.repeat(300), content: new Uint8Array(5000) }]),
  ]);
  const next = random(70702);
  const whole = (bytes: Uint8Array): string[] => readCpio(bytes).map(({ path }) => path);
  const inPieces = (bytes: Uint8Array): string[] => {
    const paths: string[] = [];
    const scan = new CpioScan((path) => paths.push(path));
    for (let at = 0; at < bytes.length; ) {
      const length = 1 + (next() % 700);
      scan.take(bytes.subarray(at, at + length));
      at += length;
    }
    scan.end();
    return paths;
  };
  const outcome = (read: (bytes: Uint8Array) => string[], bytes: Uint8Array): unknown => {
    try {
      return read(bytes);
    } catch (error) {
      if (!isComposeError(error)) throw error;
      return 'refused';
    }
  };
  expect(inPieces(archive)).toEqual(whole(archive));
  let refused = 0;
  for (let round = 0; round < 2000; round++) {
    const bytes = mutate(archive, next);
    const told = outcome(inPieces, bytes);
    expect(told).toEqual(outcome(whole, bytes));
    if (told === 'refused') refused++;
  }
  expect(refused).toBeGreaterThan(300);
});

test('what is appended lies behind the vendor bytes, aligned, and zeros are between', async () => {
  const big = new Uint8Array(3 * 1024 * 1024 + 1).map((_, at) => at % 251);
  await writeFile(join(folder, 'big'), big);
  for (const extra of [0, 1, 2, 3]) {
    const vendor = Buffer.concat([gzipSync(writeCpio([{ path: 'init' }])), Buffer.alloc(extra, 0)]);
    await writeFile(join(folder, 'initrd'), vendor);
    const out = join(folder, 'out');
    await appendToInitrd(
      join(folder, 'initrd'),
      [
        { path: 'preseed.cfg', content: text('d-i'), mode: 0o600 },
        { path: 'files/big', content: { file: join(folder, 'big') } },
      ],
      out,
      quietContext(),
    );
    const bytes = await readFile(out);
    expect(bytes.subarray(0, vendor.length).equals(vendor)).toBe(true);
    const at = bytes.indexOf('070701', vendor.length, 'latin1');
    expect(at % 4).toBe(0);
    expect(at - vendor.length).toBeGreaterThanOrEqual(4);
    const entries = readCpio(bytes.subarray(at));
    expect(entries.map(({ path }) => path)).toEqual(['preseed.cfg', 'files', 'files/big']);
    expect(Buffer.from(entries[2]?.content ?? []).equals(Buffer.from(big))).toBe(true);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
  }
  expect((await readdir(folder)).sort()).toEqual(['big', 'initrd', 'out']);
});

test('what cannot be appended is one clear error, and nothing is written', async () => {
  const initrd = join(folder, 'initrd');
  await writeFile(initrd, gzipSync(writeCpio([{ path: 'init' }])));
  await writeFile(join(folder, 'kernel'), 'MZ no initrd');
  const append = (from: string, path: string, content: Uint8Array | { file: string }, to = 'out'): Promise<void> =>
    appendToInitrd(from, [{ path, content }], join(folder, to), quietContext());
  await expect(append(join(folder, 'none'), 'a', text('x'))).rejects.toMatchObject({ code: 'initrd.unreadable' });
  await expect(append(folder, 'a', text('x'))).rejects.toMatchObject({ code: 'initrd.unreadable' });
  await expect(append(join(folder, 'kernel'), 'a', text('x'))).rejects.toMatchObject({ code: 'initrd.unknown' });
  await expect(append(initrd, '../a', text('x'))).rejects.toMatchObject({ code: 'cpio.name' });
  await expect(append(initrd, 'a', { file: join(folder, 'none') })).rejects.toMatchObject({ code: 'seed.file' });
  await expect(append(initrd, 'a', { file: folder })).rejects.toMatchObject({ code: 'seed.file' });
  await expect(append(initrd, 'a', text('x'), 'no/out')).rejects.toMatchObject({ code: 'initrd.write', exitCode: 3 });
  await expect(appendToInitrd(initrd, [], join(folder, 'out'), quietContext())).rejects.toMatchObject({
    code: 'seed.no-files',
  });
  const stopped = quietContext(AbortSignal.abort(new Error('stop')));
  const files = [{ path: 'a', content: text('x') }];
  await expect(appendToInitrd(initrd, files, join(folder, 'out'), stopped)).rejects.toThrow('stop');
  expect((await readdir(folder)).sort()).toEqual(['initrd', 'kernel']);
});
