import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { makeImage, scratch, whileMounted, whyNoMount } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { describeTree, treeDifferences } from '../../fixtures/reference-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openExt4 } from '../../src/filesystem/ext4/open.ts';

const run = promisify(execFile);
const noMount = await whyNoMount();
let folder: Awaited<ReturnType<typeof scratch>>;

beforeAll(async () => {
  folder = await scratch();
  await makeSampleTree(join(folder.path, 'tree'));
});
afterAll(() => folder[Symbol.asyncDispose]());

const VARIANTS: readonly [name: string, mkfs: readonly string[], size: string, reason: string][] = [
  ['ext4', ['-t', 'ext4'], '64M', 'the default: 64bit, flex_bg, metadata_csum'],
  ['ext4-4k', ['-t', 'ext4', '-b', '4096'], '64M', 'the block size of real disks'],
  ['ext3', ['-t', 'ext3'], '64M', 'block maps, no checksums'],
  ['ext2-4k', ['-t', 'ext2', '-b', '4096'], '64M', 'no journal'],
  ['ext2-rev0', ['-t', 'ext2', '-r', '0'], '64M', 'no features, and inodes of 128 bytes'],
  ['gdt_csum', ['-t', 'ext4', '-O', '^metadata_csum,uninit_bg'], '64M', 'crc16 of the descriptors'],
  ['inline_data', ['-t', 'ext4', '-O', 'inline_data', '-b', '4096'], '64M', 'content in inodes'],
  ['bigalloc', ['-t', 'ext4', '-O', 'bigalloc', '-C', '16384'], '64M', 'bitmaps of clusters'],
  ['meta_bg', ['-t', 'ext4', '-O', 'meta_bg,^resize_inode'], '64M', 'descriptors spread over the groups'],
  ['ea_inode', ['-t', 'ext4', '-O', 'ea_inode'], '64M', 'attributes in inodes of their own'],
  ['^filetype', ['-t', 'ext4', '-O', '^filetype'], '64M', 'old directory entries'],
];

test.skipIf(noMount !== undefined).each(VARIANTS)(
  `reads %s as the kernel does${noMount ? ` (${noMount})` : ''}`,
  async (name, mkfs, size) => {
    const image = await makeImage(join(folder.path, name), {
      mkfs,
      size,
      tree: join(folder.path, 'tree'),
      index: true,
    });
    await using disk = await openDisk(image, { format: 'raw' });
    const ours = await describeOurs(await openExt4(disk));
    const kernels = await whileMounted(image, 'ro', describeTree);
    expect(treeDifferences(kernels, ours)).toEqual([]);
  },
);

const WRITTEN_BY_KERNEL: readonly [name: string, mkfs: readonly string[], reason: string][] = [
  ['ext4', ['-t', 'ext4', '-b', '4096'], 'the default on real disks'],
  ['ext4 1k', ['-t', 'ext4', '-b', '1024'], 'deep trees of small blocks'],
  ['ext3', ['-t', 'ext3', '-b', '1024'], 'block maps'],
  ['ext2', ['-t', 'ext2', '-b', '1024', '-I', '128'], 'no place for attributes in the inode'],
  ['inline_data', ['-t', 'ext4', '-b', '4096', '-O', 'inline_data'], 'content and names in inodes'],
  ['bigalloc', ['-t', 'ext4', '-b', '4096', '-O', 'bigalloc', '-C', '16384'], 'clusters'],
  ['ea_inode', ['-t', 'ext4', '-b', '4096', '-O', 'ea_inode'], 'large attributes'],
];

/** Makes a kernel write what mke2fs does not: nanoseconds, shared attribute blocks, preallocation, dropped names. */
const KERNEL_SCRIPT = `
  set -e
  cp -a "$1"/. "$2"
  cd "$2"
  truncate -s 3M files/prealloc
  fallocate -o 512K -l 1M files/prealloc || true
  printf data | dd of=files/prealloc bs=1 seek=700000 conv=notrunc status=none
  fallocate --keep-size -o 4M -l 1M files/tiny || true
  fallocate --punch-hole -o 64K -l 512K files/large || true
  rm big/*7* deep/x3
  touch -d '1901-12-14 00:00:00.123456789 UTC' etc/key1
  touch -d '1969-12-31 23:59:59.999999999 UTC' etc/key2
  touch -d '2038-01-19 03:14:08.000000001 UTC' etc/key3
  touch -d '2440-01-01 00:00:00.5 UTC' etc/key4
  setfattr -n user.long -v "$(head -c \${VALUE:-900} /dev/zero | tr '\\0' v)" etc/key5 etc/key6 || true
  mkdir -p big/sub/sub && touch big/sub/sub/leaf
`;

test.skipIf(noMount !== undefined).each(WRITTEN_BY_KERNEL)('reads %s as a kernel wrote it', async (name, mkfs) => {
  const image = await makeImage(join(folder.path, `kernel ${name}`), { mkfs, size: '64M' });
  await whileMounted(image, 'rw', async (path) => {
    const value = name === 'ea_inode' ? '9000' : '900';
    await run('sh', ['-c', KERNEL_SCRIPT, 'sh', join(folder.path, 'tree'), path], {
      env: { ...process.env, VALUE: value },
    });
  });
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openExt4(disk);
  expect(fs.unclean).toBeUndefined();
  const ours = await describeOurs(fs);
  const kernels = await whileMounted(image, 'ro', describeTree);
  expect(treeDifferences(kernels, ours)).toEqual([]);
});
