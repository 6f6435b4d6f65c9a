import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { fsckComplaints, mtool } from '../../fixtures/fat-image.ts';
import { random } from '../../fixtures/fuzz.ts';
import { describeFolder } from '../../fixtures/iso-tree.ts';
import { haveTools, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { isComposeError } from '../../src/errors.ts';
import { type FatFile, FLOPPY_SIZE, writeFat } from '../../src/formats/fat/writer.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const SECONDS = 1_700_000_000;

/** Names of every kind; mtools writes nothing beyond 16 bits, so that those have a test of their own. */
const FILES: readonly FatFile[] = [
  { path: 'KS.CFG', content: text('kickstart') },
  { path: 'user-data', content: text('#cloud-config\n') },
  { path: 'meta-data', content: text('instance-id: x\n') },
  { path: 'longfilename.txt', content: text('long') },
  { path: 'LONGFI~1.TXT', content: text('real') },
  { path: '.hidden', content: text('dot') },
  { path: 'a name with blanks; and = and + plus [brackets]', content: text('marks') },
  { path: 'žluťoučký kůň', content: text('Latin') },
  { path: '日本語/ファイル', content: text('Kanji') },
  { path: `${'n'.repeat(251)}.txt`, content: text('255') },
  { path: 'empty' },
  { path: 'deep/a/b/c/d/e/f/g/bottom', content: text('deep') },
  ...Array.from({ length: 120 }, (_, at) => ({ path: `crowd/file number ${at} of many`, content: text(`${at}`) })),
  ...[1, 511, 512, 513, 1024, 4095, 4096, 4097, 65_536].map((size) => ({
    path: `sizes/${size}`,
    content: new Uint8Array(size).map((_, at) => at % 251),
  })),
];

const FSCK = haveTools('fsck.vfat') || haveFsck();
function haveFsck(): boolean {
  try {
    return execFileSync('sh', ['-c', 'command -v fsck.vfat'], { encoding: 'utf8' }) !== '';
  } catch {
    return false;
  }
}
const MTOOLS = haveTools('mcopy');
const missing = (have: boolean, name: string): string => (have ? '' : ` (${name} is not installed)`);

describe.each([
  { bits: 12, size: undefined },
  { bits: 12, size: FLOPPY_SIZE },
  { bits: 16, size: undefined },
  { bits: 32, size: undefined },
  { bits: 32, size: 64 * 1024 * 1024 },
] as const)('FAT%o', ({ bits, size }) => {
  const image = (): Uint8Array =>
    writeFat(FILES, {
      label: 'OEMDRV',
      bits,
      time: SECONDS,
      ...(size === undefined ? {} : { size }),
      ...(bits === 32 ? { clusterSize: 512 } : {}),
    });

  test.skipIf(!FSCK)(`fsck.vfat finds nothing${missing(FSCK, 'dosfstools')}`, async () => {
    await using folder = await scratch();
    await writeFile(folder.file('f.img'), image());
    expect(await fsckComplaints(folder.file('f.img'))).toBe('');
    expect(await tool('blkid', '-p', '-o', 'export', folder.file('f.img'))).toMatch(/^LABEL=OEMDRV$/m);
  });

  test.skipIf(!MTOOLS)(`mtools copies all of it out, at its times${missing(MTOOLS, 'mtools')}`, async () => {
    await using folder = await scratch();
    await writeFile(folder.file('f.img'), image());
    await mkdir(folder.file('out'));
    await mtool(folder.file('f.img'), 'mcopy', '-s', '-m', '::*', folder.file('out'));
    const found = await describeFolder(folder.file('out'));
    for (const { path, content } of FILES) {
      const entry = found.get(path);
      expect(entry, path).toMatchObject({ kind: 'file', mtime: SECONDS });
      expect(entry?.content, path).toBe(Buffer.from(content ?? []).toString('base64'));
    }
    expect([...found.values()].filter(({ kind }) => kind === 'file')).toHaveLength(FILES.length);
  });
});

const SEVEN = haveTools('7z') || which7z();
function which7z(): boolean {
  try {
    return execFileSync('sh', ['-c', 'command -v 7z'], { encoding: 'utf8' }) !== '';
  } catch {
    return false;
  }
}

test.skipIf(!SEVEN)(`7-Zip extracts all of it, characters beyond 16 bits too${missing(SEVEN, '7z')}`, async () => {
  await using folder = await scratch();
  const files = [...FILES, { path: '😀 smile', content: text('surrogates') }];
  for (const bits of [12, 16, 32] as const) {
    await writeFile(
      folder.file('f.img'),
      writeFat(files, { label: 'X', bits, ...(bits === 32 ? { clusterSize: 512 } : {}) }),
    );
    const out = folder.file(`out${bits}`);
    await tool('7z', 'x', '-tFAT', `-o${out}`, folder.file('f.img'));
    const found = await describeFolder(out);
    for (const { path, content } of files) {
      expect(found.get(path)?.content, path).toBe(Buffer.from(content ?? []).toString('base64'));
    }
  }
});

test.skipIf(!FSCK)(`the borders between the types are sound to fsck.vfat${missing(FSCK, 'dosfstools')}`, async () => {
  await using folder = await scratch();
  for (const [bits, clusters] of [
    [12, 4084],
    [16, 4085],
    [16, 65_524],
    [32, 65_525],
  ] as const) {
    const table = Math.ceil(((clusters + 2) * bits) / 8 / 512);
    const sectors = (bits === 32 ? 32 : 1) + 2 * table + (bits === 32 ? 0 : 32) + clusters;
    const files = [{ path: 'last file', content: new Uint8Array(3000) }];
    const image = writeFat(files, { label: 'X', bits, clusterSize: 512, size: sectors * 512 });
    await writeFile(folder.file('f.img'), image);
    expect(await fsckComplaints(folder.file('f.img')), `${bits} ${clusters}`).toBe('');
  }
});

test.skipIf(!FSCK || !MTOOLS)(
  `trees made at random are sound to fsck.vfat and mtools${missing(FSCK && MTOOLS, 'dosfstools and mtools')}`,
  async () => {
    await using folder = await scratch();
    const next = random(2107);
    const alphabet = 'abcXYZ019 ._-~+é日';
    const name = (): string =>
      `${Array.from({ length: 1 + (next() % 20) }, () => alphabet[next() % alphabet.length]).join('')}x`;
    let checked = 0;
    for (let round = 0; round < 40; round++) {
      const files = Array.from({ length: 1 + (next() % 60) }, () => ({
        path: Array.from({ length: 1 + (next() % 3) }, name).join('/'),
        content: new Uint8Array(next() % 3000).fill(next() & 0xff),
      }));
      const bits = ([12, 16, 32] as const)[next() % 3] ?? 12;
      let image: Uint8Array;
      try {
        image = writeFat(files, { label: 'X', bits, ...(bits === 32 ? { clusterSize: 512 } : {}) });
      } catch (error) {
        if (!isComposeError(error)) throw error;
        continue;
      }
      await writeFile(folder.file('f.img'), image);
      expect(await fsckComplaints(folder.file('f.img')), `round ${round}`).toBe('');
      const listed = await mtool(folder.file('f.img'), 'mdir', '-/', '-b', '-a', '::');
      expect(
        listed
          .trimEnd()
          .split('\n')
          .filter((line) => line !== '' && !line.endsWith('/')),
        `round ${round}`,
      ).toHaveLength(files.length);
      checked++;
    }
    expect(checked).toBeGreaterThan(10);
  },
);

test.skipIf(!FSCK)(`the label cloud-init looks for is kept in lower case${missing(FSCK, 'dosfstools')}`, async () => {
  await using folder = await scratch();
  await writeFile(folder.file('f.img'), writeFat([{ path: 'user-data', content: text('x') }], { label: 'cidata' }));
  expect(await tool('blkid', '-p', '-o', 'export', folder.file('f.img'))).toMatch(/^LABEL=cidata$/m);
  expect(await fsckComplaints(folder.file('f.img'))).toBe('');
});
