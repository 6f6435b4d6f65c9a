import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { makeFat, mtool } from '../../fixtures/fat-image.ts';
import { guestListings } from '../../fixtures/guest-listing.ts';
import { treeDifferences } from '../../fixtures/reference-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openFat } from '../../src/filesystem/fat/open.ts';

/** FAT12, 16 and 32 as the vfat of a Debian kernel shows them: the kernel of the host may have none. */

const VFAT = {
  modules: ['nls_utf8', 'nls_cp437', 'nls_ascii', 'fat', 'vfat'],
  options: '-t vfat -o ro,utf8=1,umask=022,tz=UTC',
};
const LAYOUTS = [
  ['FAT12', '8M', ['-F', '12', '-s', '8']],
  ['FAT12 of small clusters', '2040K', ['-F', '12', '-s', '1', '-r', '512']],
  ['FAT16', '24M', ['-F', '16', '-s', '2']],
  ['FAT32', '40M', ['-F', '32', '-s', '1']],
] as const;
let folder = '';
let shown: ReadonlyMap<string, ReadonlyMap<string, string>>;

async function makeTree(tree: string): Promise<void> {
  const names = [
    ...['README.TXT', 'lower.txt', 'MixedCase.Txt', 'no extension', '.hidden', 'two.dots.tar.gz', 'thirteen char'],
    ...['a long name with blanks, commas; semicolons = and + plus [brackets]', 'Grüße aus Köln.txt'],
    ...['日本語のファイル名.テキスト', 'кириллица.txt', `${'n'.repeat(251)}.txt`, 'UPPER long NAME.EXTENSION'],
  ];
  let second = 1_600_000_000;
  for (const path of ['names', 'deep/b/c/d/e', 'many', 'sizes']) await mkdir(join(tree, path), { recursive: true });
  const files = [
    ...names.map((name): [string, string] => [`names/${name}`, name]),
    ...Array.from({ length: 60 }, (_, i): [string, string] => [`many/file number ${i} of many`, `${i}`]),
    ...[0, 511, 512, 513, 4097, 100_001].map((size): [string, string] => [`sizes/${size}.bin`, 's'.repeat(size)]),
    ['deep/b/c/d/e/bottom', 'at the bottom'] as [string, string],
  ];
  for (const [name, content] of files) {
    await writeFile(join(tree, name), content);
    await utimes(join(tree, name), second, second);
    second += 86_402;
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-fat-kernel-'));
  const tree = join(folder, 'tree');
  await makeTree(tree);
  for (const [name, size, mkfs] of LAYOUTS) {
    const image = await makeFat(join(folder, name), size, ['-n', 'A LABEL', ...mkfs]);
    for (const part of ['names', 'deep', 'many', 'sizes'])
      await mtool(image, 'mcopy', '-s', '-m', '-Q', join(tree, part), '::');
  }
  const listings = await guestListings(
    folder,
    LAYOUTS.map(([name]) => join(folder, name)),
    VFAT,
  );
  shown = new Map(LAYOUTS.map(([name], i) => [name, listings[i] ?? new Map()]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(LAYOUTS)('a %s is read as a Linux kernel reads it', async (name) => {
  await using disk = await openDisk(join(folder, name), { format: 'raw' });
  const kernels = shown.get(name)!;
  expect(kernels.size).toBeGreaterThan(80);
  expect(treeDifferences(kernels, await describeOurs(await openFat(disk)))).toEqual([]);
});
