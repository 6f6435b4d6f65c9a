import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { debugfs, makeImage, scratch, whileMounted, whyNoMount } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { describeTree, treeDifferences } from '../../fixtures/reference-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openExt4 } from '../../src/filesystem/ext4/open.ts';

/** The layouts of mke2fs beside those of ext4-read.test.ts, each proved to be in the image before it is compared. */

const run = promisify(execFile);
const noMount = await whyNoMount();
let folder: Awaited<ReturnType<typeof scratch>>;
let tree: string;

beforeAll(async () => {
  folder = await scratch();
  tree = join(folder.path, 'tree');
  await makeSampleTree(tree);
});
afterAll(() => folder[Symbol.asyncDispose]());

type Layout = readonly [name: string, mkfs: readonly string[], proof: RegExp];

const LAYOUTS: readonly Layout[] = [
  ['blocks of 1 KiB', ['-t', 'ext4', '-b', '1024'], /^Block size: +1024$/m],
  ['blocks of 2 KiB', ['-t', 'ext4', '-b', '2048'], /^Block size: +2048$/m],
  ['blocks of 2 KiB, block maps', ['-t', 'ext3', '-b', '2048'], /^Block size: +2048$/m],
  ['no extents', ['-t', 'ext4', '-b', '4096', '-O', '^extent,^64bit'], /^Filesystem features:(?!.* extent)/m],
  ['no extents, 1 KiB', ['-t', 'ext4', '-b', '1024', '-O', '^extent,^64bit'], /^Filesystem features:(?!.* extent)/m],
  ['32 bits', ['-t', 'ext4', '-b', '1024', '-O', '^64bit'], /^Filesystem features:(?!.* 64bit)/m],
  [
    'sparse_super2, two backups',
    ['-t', 'ext4', '-b', '1024', '-O', 'sparse_super2,^resize_inode', '-E', 'num_backup_sb=2'],
    /^Filesystem features:.* sparse_super2/m,
  ],
  [
    'sparse_super2, no backup',
    ['-t', 'ext4', '-b', '1024', '-O', 'sparse_super2,^resize_inode', '-E', 'num_backup_sb=0'],
    /^Filesystem features:.* sparse_super2/m,
  ],
  ['no sparse_super', ['-t', 'ext4', '-b', '1024', '-O', '^sparse_super,^resize_inode'], /^(?!.* sparse_super)Filesy/m],
  ['large_dir', ['-t', 'ext4', '-b', '1024', '-O', 'large_dir'], /^Filesystem features:.* large_dir/m],
  [
    'meta_bg and bigalloc',
    ['-t', 'ext4', '-b', '1024', '-O', 'meta_bg,bigalloc,^resize_inode', '-C', '8192'],
    /^Filesystem features:.* meta_bg.* bigalloc/m,
  ],
  [
    'meta_bg in 32 bits, without flex_bg',
    ['-t', 'ext4', '-b', '1024', '-O', 'meta_bg,^resize_inode,^64bit,^flex_bg'],
    /^Filesystem features:.* meta_bg(?!.* (?:64bit|flex_bg))/m,
  ],
  ['clusters of 64 blocks', ['-t', 'ext4', '-b', '1024', '-O', 'bigalloc', '-C', '65536'], /^Cluster size: +65536$/m],
  [
    'inline data and ea_inode in inodes of 1 KiB',
    ['-t', 'ext4', '-b', '4096', '-I', '1024', '-O', 'inline_data,ea_inode'],
    /^Filesystem features:.* ea_inode.* inline_data/m,
  ],
  ['inodes of 128 bytes', ['-t', 'ext4', '-b', '4096', '-I', '128'], /^Inode size:\s+128$/m],
  ['orphan_file, fast_commit', ['-t', 'ext4', '-O', 'orphan_file,fast_commit'], /^Filesystem features:.*fast_commit/m],
  ['stable inodes, verity', ['-t', 'ext4', '-O', 'stable_inodes,verity'], /^Filesystem features:.* verity/m],
];

async function make(name: string, mkfs: readonly string[], proof: RegExp, size: string): Promise<string> {
  // With mmp e2fsck waits for another machine to show itself.
  const image = await makeImage(join(folder.path, name), { mkfs, size, tree, index: !mkfs.includes('mmp') });
  expect((await run('dumpe2fs', ['-h', image])).stdout).toMatch(proof);
  return image;
}

async function ours(image: string): Promise<Map<string, string>> {
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openExt4(disk);
  expect(fs.unclean).toBeUndefined();
  return await describeOurs(fs);
}

test.skipIf(noMount !== undefined).each(LAYOUTS)(
  `reads %s as the kernel does${noMount ? ` (${noMount})` : ''}`,
  async (name, mkfs, proof) => {
    const image = await make(name, mkfs, proof, '128M');
    const kernels = await whileMounted(image, 'ro', describeTree);
    expect(kernels.size).toBeGreaterThan(800);
    expect(treeDifferences(kernels, await ours(image))).toEqual([]);
  },
);

/** As mke2fs -d of 1.47 copies: with seconds of 32 bits and no fractions of them, and a root with times of its own. */
function asCopied(described: ReadonlyMap<string, string>): Map<string, string> {
  const lines = [...described].filter(([path]) => path !== '' && path !== 'lost+found');
  const seconds = (_: string, whole: string): string => `${BigInt.asIntN(32, BigInt(whole))}`;
  return new Map(lines.map(([path, text]) => [path, text.replace(/(-?\d+)\.\d{10}/, seconds)]));
}

/**
 * Blocks longer than the pages of most kernels, which then mount none, and protection from two mounts, for which
 * each mount waits 11 seconds: the tree that mke2fs copied says what is right.
 */
test.each([
  ['blocks of 64 KiB', ['-t', 'ext4', '-b', '65536'], /^Block size: +65536$/m],
  ['blocks of 64 KiB, no extents', ['-t', 'ext4', '-b', '65536', '-O', '^extent,^64bit'], /^Block size: +65536$/m],
  ['blocks of 64 KiB, ext2', ['-t', 'ext2', '-b', '65536'], /^Block size: +65536$/m],
  ['blocks of 64 KiB, inline data', ['-t', 'ext4', '-b', '65536', '-O', 'inline_data'], /^Block size: +65536$/m],
  ['blocks of 16 KiB, bigalloc', ['-t', 'ext4', '-b', '16384', '-O', 'bigalloc', '-C', '65536'], /size: +16384$/m],
  ['blocks of 8 KiB', ['-t', 'ext4', '-b', '8192'], /^Block size: +8192$/m],
  ['multiple-mount protection', ['-t', 'ext4', '-O', 'mmp'], /^Filesystem features:.* mmp/m],
] as const)('reads %s as the tree it was made of', async (name, mkfs, proof) => {
  const image = await make(name, [...mkfs, '-N', '2048'], proof, '256M');
  const found = await ours(image);
  expect(treeDifferences(asCopied(await describeTree(tree)), asCopied(found))).toEqual([]);
  // A hash tree, and a file of many blocks, as another program reads them out of the image.
  const dumped = join(folder.path, `${name}.dump`);
  const names = join(folder.path, `${name}.names`);
  await mkdir(names);
  await debugfs(image, `rdump /big "${names}"`);
  await debugfs(image, `dump /files/large "${dumped}"`);
  const { stdout } = await run('sha256sum', [dumped]);
  expect(found.get('files/large')).toContain(`sha256=${stdout.slice(0, 64)}`);
  expect((await run('sh', ['-c', 'ls "$1" | wc -l', 'sh', join(names, 'big')])).stdout.trim()).toBe('700');
});
