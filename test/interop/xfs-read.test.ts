import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { scratch, whileMounted } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { describeTree, treeDifferences } from '../../fixtures/reference-tree.ts';
import { makeXfs, whyNoXfsMount } from '../../fixtures/xfs-image.ts';
import { fillXfs } from '../../fixtures/xfs-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openXfs } from '../../src/filesystem/xfs/open.ts';

const noMount = await whyNoXfsMount();
let folder: Awaited<ReturnType<typeof scratch>>;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

const VARIANTS: readonly [name: string, mkfs: readonly string[], sample: boolean, reason: string][] = [
  ['default', [], true, 'what a distribution makes'],
  ['1k', ['-b', 'size=1024', '-n', 'size=4096'], false, 'directory blocks of four, trees of two levels'],
  ['old v5', ['-m', 'reflink=0,bigtime=0,finobt=0,inobtcount=0', '-i', 'sparse=0'], false, 'CentOS 7'],
  [
    'nrext64',
    ['-i', 'nrext64=1,size=2048', '-d', 'agcount=16', '-n', 'size=16384', '-m', 'rmapbt=1'],
    false,
    '64-bit counters, long inodes, many groups',
  ],
  ['64k', ['-b', 'size=65536'], false, 'blocks longer than pages'],
  ['4k sectors', ['-s', 'size=4096', '-n', 'size=65536'], false, 'sectors, long directory blocks'],
];

test.skipIf(noMount !== undefined).each(VARIANTS)(
  `reads %s as the kernel wrote it${noMount ? ` (${noMount})` : ''}`,
  async (name, mkfs, sample) => {
    const image = await makeXfs(join(folder.path, name), '400M', mkfs);
    const kernels = await whileMounted(image, 'rw,nouuid', async (path) => {
      if (sample) await makeSampleTree(path);
      await fillXfs(path);
      return describeTree(path);
    });
    await using disk = await openDisk(image, { format: 'raw' });
    const fs = await openXfs(disk);
    expect(fs.unclean).toBeUndefined();
    expect(treeDifferences(kernels, await describeOurs(fs))).toEqual([]);
  },
);
