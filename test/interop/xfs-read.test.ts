import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { scratch, whileMounted } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { describeTree, treeDifferences } from '../../fixtures/reference-tree.ts';
import { xfsForms } from '../../fixtures/xfs-forms.ts';
import { makeXfs, whyNoXfsMount, xfsDb } from '../../fixtures/xfs-image.ts';
import { fillXfs } from '../../fixtures/xfs-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openXfs } from '../../src/filesystem/xfs/open.ts';

const run = promisify(execFile);
const noMount = await whyNoXfsMount();
let folder: Awaited<ReturnType<typeof scratch>>;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Every form that version 5 has, but for those of which a variant is free. */
const FORMS = [
  ...['local', 'block', 'leaf', 'node', 'extents'].map((form) => `directory ${form}`),
  ...['extents', 'btree'].map((form) => `file ${form}`),
  ...['local', 'extents'].map((form) => `symlink ${form}`),
  ...['local', 'leaf', 'node', 'extents', 'btree'].map((form) => `attributes ${form}`),
  'bigtime',
  'reflink',
];
const without = (...forms: string[]): string[] => FORMS.filter((form) => !forms.includes(form));

interface Variant {
  readonly name: string;
  readonly mkfs: readonly string[];
  readonly sample?: boolean;
  /** By the word of xfs_db, what the image has to hold for the comparison to mean something. */
  readonly forms?: readonly string[];
  readonly reason: string;
}

const VARIANTS: readonly Variant[] = [
  { name: 'default', mkfs: [], sample: true, forms: FORMS, reason: 'what a distribution makes' },
  {
    name: '1k',
    mkfs: ['-b', 'size=1024', '-n', 'size=4096'],
    forms: [...FORMS, 'directory btree'],
    reason: 'directory blocks of four, trees of two levels',
  },
  {
    name: 'old v5',
    mkfs: ['-m', 'reflink=0,bigtime=0,finobt=0,inobtcount=0', '-i', 'sparse=0'],
    forms: without('bigtime', 'reflink'),
    reason: 'CentOS 7',
  },
  {
    name: 'nrext64',
    mkfs: ['-i', 'nrext64=1'],
    forms: [...FORMS, 'nrext64'],
    reason: '64-bit counters',
  },
  {
    name: 'nrext64 in long inodes',
    mkfs: ['-i', 'nrext64=1,size=2048', '-d', 'agcount=16', '-n', 'size=16384', '-m', 'rmapbt=1'],
    forms: ['nrext64', 'file btree', 'directory leaf', 'attributes node'],
    reason: '64-bit counters, long inodes, many groups',
  },
  { name: '2k', mkfs: ['-b', 'size=2048'], reason: 'the blocks between' },
  { name: '64k', mkfs: ['-b', 'size=65536'], reason: 'blocks longer than pages' },
  { name: '4k sectors', mkfs: ['-s', 'size=4096', '-n', 'size=65536'], reason: 'sectors, long directory blocks' },
];
const LOOKED_AT = /^(wide|leaf|block|short|few|grown|attrs.*|data.*)$/;

test.skipIf(noMount !== undefined).each(VARIANTS)(
  `reads $name as the kernel wrote it${noMount ? ` (${noMount})` : ''}`,
  async ({ name, mkfs, sample, forms }) => {
    const image = await makeXfs(join(folder.path, name), '400M', mkfs);
    const kernels = await whileMounted(image, 'rw,nouuid', async (path) => {
      if (sample === true) await makeSampleTree(path);
      await fillXfs(path);
      return describeTree(path);
    });
    await using disk = await openDisk(image, { format: 'raw' });
    const fs = await openXfs(disk);
    expect(fs.unclean).toBeUndefined();
    expect(treeDifferences(kernels, await describeOurs(fs))).toEqual([]);
    if (forms !== undefined)
      expect([...(await xfsForms(image, fs, LOOKED_AT))]).toEqual(expect.arrayContaining([...forms]));
  },
);

/** Free space in pieces of 31 KiB: each has room for 32 inodes of 512 bytes, none for the 64 of a chunk. */
const SPARSE_SCRIPT = `
import os, sys
os.chdir(sys.argv[1])
# What the file system keeps for itself would be one free piece at the end.
os.system('xfs_io -x -c "resblks 1" . > /dev/null')
os.mkdir('d')
with open('filler', 'wb') as filler:
    at, step = 0, 16 << 20
    while step >= 4096:
        try:
            os.posix_fallocate(filler.fileno(), at, step)
            at += step
        except OSError:
            step //= 2
for start in range(0, 40 << 16, 64 << 10):
    os.system(f'fallocate --punch-hole -o {start} -l {31 << 10} filler')
made = 0
try:
    for made in range(2000):
        open(f'd/{made}', 'w').close()
except OSError:
    pass
os.truncate('filler', 0)
for i in range(made):
    if i % 3 == 0: open(f'd/{i}', 'w').write(str(i))
`;

test.skipIf(noMount !== undefined)('reads inodes of chunks that are there in part', async () => {
  const image = await makeXfs(join(folder.path, 'sparse'), '64M', [
    ...['-b', 'size=1024', '-d', 'agcount=1', '-i', 'sparse=1'],
    // These keep free blocks back for their trees.
    ...['-m', 'reflink=0,finobt=0,inobtcount=0'],
  ]);
  const kernels = await whileMounted(image, 'rw,nouuid', async (path) => {
    await run('python3', ['-c', SPARSE_SCRIPT, path]);
    return describeTree(path);
  });
  expect(kernels.size).toBeGreaterThan(100);
  // Of the records of inode chunks, those with a mask of what is missing.
  expect(await xfsDb(image, ['agi 0', 'addr root', 'p recs'])).toMatch(/\[\d+,0x[0-9a-f]*[1-9a-f][0-9a-f]*,\d+,/);
  await using disk = await openDisk(image, { format: 'raw' });
  expect(treeDifferences(kernels, await describeOurs(await openXfs(disk)))).toEqual([]);
});
