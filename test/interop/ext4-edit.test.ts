import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import {
  debugfs,
  debugfsWrite,
  e2fsckComplaints,
  type ImageOptions,
  makeImage,
  materialise,
  scratch,
  whileMounted,
  whyNoMount,
} from '../../fixtures/ext4-image.ts';
import { makeSampleTree, SAMPLE_EDITS } from '../../fixtures/ext4-tree.ts';
import { describeTree, treeDifferences } from '../../fixtures/reference-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { type EditOptions, editExt4 } from '../../src/filesystem/ext4/edit.ts';
import { openExt4 } from '../../src/filesystem/ext4/open.ts';
import type { Edit } from '../../src/filesystem/file-tree.ts';
import { findLeftovers } from '../../src/verify/leftovers.ts';

const run = promisify(execFile);
const noMount = await whyNoMount();
const NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
let folder: Awaited<ReturnType<typeof scratch>>;

beforeAll(async () => {
  folder = await scratch();
  await makeSampleTree(join(folder.path, 'tree'));
});
afterAll(() => folder[Symbol.asyncDispose]());

const sample = (image: string, options: Omit<ImageOptions, 'size' | 'tree'> & { size?: string }): Promise<string> =>
  makeImage(image, { size: '36M', ...options, tree: join(folder.path, 'tree') });

/** The image with the edits made, as a file beside it, and what was there before. */
async function edited(image: string, edits: readonly Edit[], options?: EditOptions) {
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openExt4(disk);
  const before = await describeOurs(fs);
  const { source, applied } = await editExt4(fs, edits, options);
  const path = await materialise(source, `${image}.edited`);
  return { path, before, applied };
}

/** What SAMPLE_EDITS make of the sample tree, worked out on its description. */
function expected(before: ReadonlyMap<string, string>): Map<string, string> {
  const gone = /^(big\/.*1.*|deep\/.*|files\/hard1|links\/.*|many\/.*|etc\/key.*)$/s;
  const emptied = new Set(['files/large', 'files/fragments', 'files/hundred', 'files/tiny', 'etc/machine-id']);
  const after = new Map<string, string>();
  for (const [path, text] of before) {
    if (gone.test(path)) continue;
    let now = text;
    if (path === 'files/hard2') now = now.replace('links=3', 'links=1');
    if (emptied.has(path)) now = now.replace(/size=\d+/, 'size=0').replace(/sha256=\w+/, `sha256=${NOTHING}`);
    after.set(path, now);
  }
  return after;
}

const VARIANTS: readonly [name: string, options: Omit<ImageOptions, 'size' | 'tree'> & { size?: string }][] = [
  ['ext4 1k', { mkfs: ['-t', 'ext4', '-b', '1024'], index: true }],
  ['ext4 4k', { mkfs: ['-t', 'ext4', '-b', '4096'], index: true }],
  ['ext4 4k, no hash trees', { mkfs: ['-t', 'ext4', '-b', '4096'] }],
  ['ext4 64k', { mkfs: ['-t', 'ext4', '-b', '65536', '-O', '^has_journal'], size: '160M', index: true }],
  ['ext3', { mkfs: ['-t', 'ext3'], index: true }],
  ['ext2', { mkfs: ['-t', 'ext2'] }],
  ['ext2 of revision 0', { mkfs: ['-t', 'ext2', '-r', '0'] }],
  ['^metadata_csum', { mkfs: ['-t', 'ext4', '-O', '^metadata_csum'], index: true }],
  ['uninit_bg', { mkfs: ['-t', 'ext4', '-O', '^metadata_csum,uninit_bg'], index: true }],
  ['metadata_csum_seed', { mkfs: ['-t', 'ext4', '-O', 'metadata_csum_seed'], index: true }],
  ['^64bit', { mkfs: ['-t', 'ext4', '-O', '^64bit'], index: true }],
  ['^flex_bg', { mkfs: ['-t', 'ext4', '-O', '^flex_bg'], index: true }],
  ['bigalloc', { mkfs: ['-t', 'ext4', '-O', 'bigalloc', '-b', '4096', '-C', '16384'], size: '64M', index: true }],
  ['bigalloc 1k', { mkfs: ['-t', 'ext4', '-O', 'bigalloc', '-b', '1024', '-C', '8192'], size: '64M', index: true }],
  ['inline_data', { mkfs: ['-t', 'ext4', '-O', 'inline_data', '-b', '4096'], index: true }],
  ['inline_data in 1 KiB inodes', { mkfs: ['-t', 'ext4', '-O', 'inline_data', '-I', '1024', '-b', '4096'] }],
  ['inodes of 128 bytes', { mkfs: ['-t', 'ext4', '-I', '128'], index: true }],
  ['meta_bg', { mkfs: ['-t', 'ext4', '-O', 'meta_bg,^resize_inode'], index: true }],
  ['meta_bg 1k ext2', { mkfs: ['-t', 'ext2', '-O', 'meta_bg,^resize_inode', '-b', '1024'] }],
  ['sparse_super2', { mkfs: ['-t', 'ext4', '-O', 'sparse_super2', '-E', 'num_backup_sb=2'], index: true }],
  ['^sparse_super', { mkfs: ['-t', 'ext2', '-O', '^sparse_super,^resize_inode'] }],
  ['^has_journal', { mkfs: ['-t', 'ext4', '-O', '^has_journal'], index: true }],
  ['^extent', { mkfs: ['-t', 'ext4', '-O', '^extent,^64bit'], index: true }],
  ['^filetype', { mkfs: ['-t', 'ext4', '-O', '^filetype'], index: true }],
  ['ea_inode', { mkfs: ['-t', 'ext4', '-O', 'ea_inode'], index: true }],
  ['orphan_file', { mkfs: ['-t', 'ext4', '-O', 'orphan_file'], index: true }],
  ['fast_commit', { mkfs: ['-t', 'ext4', '-O', 'fast_commit'], index: true }],
  ['verity, project', { mkfs: ['-t', 'ext4', '-O', 'verity,project'], index: true }],
];

test.each(VARIANTS)('edits %s so that e2fsck finds nothing', async (name, options) => {
  const image = await sample(join(folder.path, name), options);
  expect((await readFile(image)).includes('secret')).toBe(true);
  const { path, before } = await edited(image, SAMPLE_EDITS);
  expect(await e2fsckComplaints(path)).toBe('');
  await using disk = await openDisk(path, { format: 'raw' });
  expect(treeDifferences(expected(before), await describeOurs(await openExt4(disk)))).toEqual([]);
  expect(await debugfs(path, 'ls -p /etc')).not.toContain('key');
  expect((await readFile(path)).includes('secret')).toBe(false);
});

test('makes the same edit twice to the same bytes, and none to the image', async () => {
  const image = await sample(join(folder.path, 'twice'), { mkfs: ['-t', 'ext4'] });
  const original = await readFile(image);
  const { path, applied } = await edited(image, SAMPLE_EDITS);
  const first = await readFile(path);
  await edited(image, SAMPLE_EDITS);
  expect(first.equals(await readFile(path))).toBe(true);
  expect(original.equals(await readFile(image))).toBe(true);
  expect(applied).toContain('remove /links/symlink900');
  expect(applied.slice(-12)).toEqual([
    'clear /many',
    'empty /etc/machine-id',
    ...Array.from({ length: 10 }, (_, i) => `remove /etc/key${i}`),
  ]);
});

/** Stale bytes of a disk's earlier life, under everything mke2fs does not write. */
async function makeOverGarbage(path: string, mkfs: readonly string[]): Promise<string> {
  await run('sh', ['-c', 'yes STALE-BYTES | head -c 36M > "$1"', 'sh', path]);
  const tree = join(folder.path, 'tree');
  await run('mke2fs', ['-q', '-F', '-E', 'nodiscard,lazy_itable_init=1', ...mkfs, '-d', tree, path]);
  return path;
}

test.each([
  ['ext4', ['-t', 'ext4']],
  ['ext4 4k', ['-t', 'ext4', '-b', '4096']],
  ['uninit_bg', ['-t', 'ext4', '-O', '^metadata_csum,uninit_bg']],
  ['meta_bg', ['-t', 'ext4', '-O', 'meta_bg,^resize_inode']],
  ['^flex_bg', ['-t', 'ext4', '-O', '^flex_bg', '-g', '2048']],
  ['sparse_super2', ['-t', 'ext4', '-O', 'sparse_super2', '-g', '1024']],
  ['ext2', ['-t', 'ext2']],
])('lets nothing of free space and unused inodes through: %s', async (name, mkfs) => {
  const image = await makeOverGarbage(join(folder.path, `garbage ${name}`), mkfs);
  expect((await readFile(image)).includes('STALE')).toBe(true);
  const { path, before } = await edited(image, []);
  expect(await e2fsckComplaints(path)).toBe('');
  expect((await readFile(path)).includes('STALE')).toBe(false);
  await using disk = await openDisk(path, { format: 'raw' });
  expect(treeDifferences(before, await describeOurs(await openExt4(disk)))).toEqual([]);
});

test.each([
  ['ext2', ['-t', 'ext2', '-b', '1024']],
  ['ext4', ['-t', 'ext4', '-b', '1024', '-O', '^metadata_csum']],
])('removed names are nowhere in their directory, behind its entries neither: %s', async (name, mkfs) => {
  const image = await sample(join(folder.path, `slack ${name}`), { mkfs, index: true });
  const bytes = await readFile(image);
  // What a split leaves in a block: a name behind the last entry.
  const stale = Buffer.from('a-name-of-some-length-1');
  let planted = 0;
  for (
    let at = bytes.indexOf('a-name-of-some-length-');
    at >= 0;
    at = bytes.indexOf('a-name-of-some-length-', at + 1)
  ) {
    const room = bytes.readUInt16LE(at - 4) - 8 - bytes.readUInt8(at - 2);
    if (room < 64 || room > 1024) continue;
    bytes.set(stale, at + bytes.readUInt16LE(at - 4) - 8 - 40);
    planted++;
  }
  expect(planted).toBeGreaterThan(0);
  await writeFile(image, bytes);
  expect(await e2fsckComplaints(image)).toBe('');
  const { path, before } = await edited(image, SAMPLE_EDITS);
  expect(await e2fsckComplaints(path)).toBe('');
  expect((await readFile(path)).includes(stale)).toBe(false);
  await using disk = await openDisk(path, { format: 'raw' });
  expect(treeDifferences(expected(before), await describeOurs(await openExt4(disk)))).toEqual([]);
});

test('leaves old free space alone when told to, but not what it freed itself', async () => {
  const image = await makeOverGarbage(join(folder.path, 'kept garbage'), ['-t', 'ext4']);
  const { path } = await edited(image, SAMPLE_EDITS, { zeroFree: false });
  expect(await e2fsckComplaints(path)).toBe('');
  const bytes = await readFile(path);
  expect(bytes.includes('STALE')).toBe(true);
  expect(bytes.includes('secret')).toBe(false);
});

test('zeroes what deleted inodes left beside one that it frees, when no inode of their block is used any more', async () => {
  const tree = join(folder.path, 'one block');
  const names = Array.from({ length: 48 }, (_, i) => `file-${i}`);
  await mkdir(tree);
  for (const name of names) await writeFile(join(tree, name), 'content');
  const image = await makeImage(join(folder.path, 'one block.img'), {
    size: '16M',
    mkfs: ['-t', 'ext4', '-b', '4096'],
    tree,
  });
  const numbers = new Map<string, number>();
  for (const name of names) numbers.set(name, Number(/Inode: (\d+)/.exec(await debugfs(image, `stat /${name}`))?.[1]));
  // 16 inodes of 256 bytes are in a block; the third one holds none but files of ours.
  const block = names.filter((name) => Math.floor(((numbers.get(name) ?? 0) - 1) / 16) === 2);
  expect(block).toHaveLength(16);
  const [last, ...deleted] = block;
  await debugfsWrite(
    image,
    deleted.map((name) => `rm /${name}`),
  );
  const { path } = await edited(image, [{ kind: 'remove', path: `/${last}`, reason: 'test' }]);
  expect(await e2fsckComplaints(path)).toBe('');
  await using disk = await openDisk(path, { format: 'raw' });
  const { bytes } = await findLeftovers(await openExt4(disk), new AbortController().signal);
  expect(bytes).toBe(0);
});

const KERNEL_VARIANTS: readonly [name: string, mkfs: readonly string[]][] = [
  ['ext4', ['-t', 'ext4', '-b', '4096']],
  ['ext4 1k', ['-t', 'ext4', '-b', '1024']],
  ['ext3', ['-t', 'ext3', '-b', '1024']],
  ['ext2', ['-t', 'ext2', '-b', '1024', '-I', '128']],
  ['inline_data', ['-t', 'ext4', '-b', '4096', '-O', 'inline_data']],
  ['bigalloc', ['-t', 'ext4', '-b', '4096', '-O', 'bigalloc', '-C', '16384']],
  ['ea_inode', ['-t', 'ext4', '-b', '4096', '-O', 'ea_inode']],
];

test.skipIf(noMount !== undefined).each(KERNEL_VARIANTS)(
  'edits %s as a kernel wrote it, and the kernel reads the result',
  async (name, mkfs) => {
    const image = await makeImage(join(folder.path, `kernel ${name}`), { mkfs, size: '64M' });
    const script = `set -e; cp -a "$1"/. "$2"; cd "$2"
      fallocate -o 1M -l 3M files/hundred || true
      fallocate -l 64K links/mixed && printf x | dd of=links/mixed bs=1 seek=20480 conv=notrunc status=none || true
      [ "$3" != ea_inode ] || setfattr -n user.l -v "$(head -c 9000 /dev/zero | tr '\\0' v)" etc/key5 etc/key6 etc/machine-id
      echo deleted-secret > gone; sync; rm gone; rm big/*7*`;
    await whileMounted(image, 'rw', (path) => run('sh', ['-c', script, 'sh', join(folder.path, 'tree'), path, name]));
    const { path, before } = await edited(image, SAMPLE_EDITS);
    expect(await e2fsckComplaints(path)).toBe('');
    const kernels = await whileMounted(path, 'ro', describeTree);
    expect(treeDifferences(expected(before), kernels)).toEqual([]);
    const bytes = await readFile(path);
    expect([bytes.includes('secret'), bytes.includes('a-name-of-some-length-1')]).toEqual([false, false]);
    await whileMounted(path, 'rw', (root) =>
      run('sh', ['-c', 'cd "$1" && mkdir new && cp -a files new/ && rm -r big', 'sh', root]),
    );
    expect(await e2fsckComplaints(path)).toBe('');
  },
);

test.skipIf(noMount !== undefined)(
  'edits a directory that had too many subdirectories to count',
  async () => {
    const mkfs = ['-t', 'ext4', '-b', '1024', '-O', '^has_journal', '-N', '66000', '-I', '128'];
    const image = await makeImage(join(folder.path, 'wide'), { mkfs, size: '110M' });
    const make = 'mkdir "$1/wide" && cd "$1/wide" && seq 65003 | xargs mkdir';
    await whileMounted(image, 'rw', (root) => run('sh', ['-c', make, 'sh', root]));
    await using disk = await openDisk(image, { format: 'raw' });
    const fs = await openExt4(disk);
    // 65002 left are still too many to count; 53891 are not.
    for (const path of ['/wide/1', '/wide/6*']) {
      const { source } = await editExt4(fs, [{ kind: 'remove', path, reason: 'count again' }]);
      expect(await e2fsckComplaints(await materialise(source, `${image}.edited`)), path).toBe('');
    }
  },
  60_000,
);
