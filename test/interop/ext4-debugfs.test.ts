import { execFile } from 'node:child_process';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { debugfs, makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openExt4 } from '../../src/filesystem/ext4/open.ts';
import { type Entry, readContent } from '../../src/filesystem/file-tree.ts';

/** What debugfs says of an image that debugfs made: neither root nor a kernel's ext4 is needed. */

const run = promisify(execFile);
let folder: Awaited<ReturnType<typeof scratch>>;

beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function lookup(image: string, path: string): Promise<Entry> {
  await using disk = await openDisk(image, { format: 'raw' });
  const entry = await (await openExt4(disk)).lookup(path);
  if (entry === undefined) throw new Error(`no ${path}`);
  return entry;
}

const xattrs = (entry: Entry): Record<string, string> =>
  Object.fromEntries(
    entry.xattrs.map(({ name, value }) => [`${Buffer.from(name)}`, Buffer.from(value).toString('hex')]),
  );

test('owners, modes, times and devices beyond 16 and 32 bits', async () => {
  const image = await makeImage(join(folder.path, 'fields'), {
    mkfs: ['-t', 'ext4', '-I', '256'],
    size: '4M',
    debugfs: [
      'mknod null c 1 3',
      'mknod old b 8 17',
      'mknod wide b 1 1',
      'set_inode_field wide block[0] 0',
      'set_inode_field wide block[1] 0x11112C70',
      'mknod pipe p',
      'mkdir folder',
      'set_inode_field folder uid 0x71234',
      'set_inode_field folder gid 4000000000',
      'set_inode_field folder mode 042775',
      'set_inode_field pipe mtime @0xffffffff',
      'set_inode_field pipe mtime_extra 0',
      'set_inode_field null mtime @0x80000000',
      'set_inode_field null mtime_extra 0x00000004',
      'set_inode_field old mtime @0x80000000',
      'set_inode_field old mtime_extra 0xEE6B27FD',
      'set_inode_field wide mtime @0x7FFFFFFF',
      'set_inode_field wide mtime_extra 0x00000003',
    ],
  });
  expect(await lookup(image, 'null')).toMatchObject({
    kind: 'character',
    device: { major: 1, minor: 3 },
    mtime: -2147483648n * 1_000_000_000n + 1n,
  });
  expect(await lookup(image, 'old')).toMatchObject({
    kind: 'block',
    device: { major: 8, minor: 17 },
    mtime: 2147483648n * 1_000_000_000n + 999_999_999n,
  });
  expect(await lookup(image, 'wide')).toMatchObject({
    device: { major: 300, minor: 70000 },
    mtime: (2147483647n + 3n * 4294967296n) * 1_000_000_000n,
  });
  expect(await lookup(image, 'pipe')).toMatchObject({ kind: 'fifo', mtime: -1_000_000_000n });
  expect(await lookup(image, 'folder')).toMatchObject({ uid: 0x71234, gid: 4000000000, mode: 0o2775, links: 2 });
});

test('attributes, with ACLs as getxattr gives them', async () => {
  const acl = '0200000001000600ffffffff02000700d204000004000400ffffffff10000700ffffffff20000400ffffffff';
  const value = join(folder.path, 'value');
  await writeFile(value, Buffer.from(acl, 'hex'));
  await writeFile(`${value}.cap`, Buffer.from('0100000200200000000000000000000000000000', 'hex'));
  await writeFile(`${value}.long`, 'L'.repeat(800));
  const image = await makeImage(join(folder.path, 'attributes'), {
    mkfs: ['-t', 'ext4'],
    size: '4M',
    debugfs: [
      `write ${value} file`,
      `ea_set -f ${value} file system.posix_acl_access`,
      `ea_set -f ${value}.cap file security.capability`,
      `ea_set -f ${value}.long file trusted.long`,
      'ea_set file user.text hello',
    ],
  });
  expect(xattrs(await lookup(image, 'file'))).toEqual({
    'security.capability': '0100000200200000000000000000000000000000',
    'system.posix_acl_access': acl,
    'trusted.long': '4c'.repeat(800),
    'user.text': Buffer.from('hello').toString('hex'),
  });
});

/** Runs of data as debugfs lists them: `logical → physical, length` in blocks, unwritten ones marked. */
async function extents(image: string, path: string): Promise<{ depth: number; runs: [number, number, number][] }> {
  const lines = (await debugfs(image, `dump_extents -l ${path}`)).split('\n');
  const found = lines
    .map((line) => /^\s*(\d+)\/\s*(\d+)\s+\d+\/\s*\d+\s+(\d+) -\s+(\d+)\s+(\d+) -\s+\d+\s+\d+\s*(Uninit)?/.exec(line))
    .filter((match) => match !== null);
  return {
    depth: Number(found[0]?.[2] ?? 0),
    runs: found
      .filter((match) => match[6] === undefined)
      .map((match) => [Number(match[3]), Number(match[5]), Number(match[4]) - Number(match[3]) + 1]),
  };
}

test('a tree of extents two levels deep, with holes and unwritten parts', async () => {
  const tree = join(folder.path, 'deep');
  await mkdir(tree);
  const file = await open(join(tree, 'file'), 'w');
  for (let i = 0; i < 900; i++) await file.write('x', i * 4096);
  await file.write('y', 5 * 1024 ** 3);
  await file.close();
  const image = await makeImage(join(folder.path, 'deep.img'), {
    mkfs: ['-t', 'ext4', '-b', '1024', '-O', '^has_journal'],
    size: '32M',
    tree,
    debugfs: ['fallocate /file 5000 5100'],
  });
  const { depth, runs } = await extents(image, '/file');
  expect(depth).toBe(2);
  const { data } = await lookup(image, '/file');
  expect(data?.size).toBe(5 * 1024 ** 3 + 1);
  const last = data!.extents.at(-1)!;
  expect(last).toMatchObject({ logical: 5 * 1024 ** 3, length: 1 });
  const ours = data!.extents.map(({ logical, length, position }) => [
    logical / 1024,
    position / 1024,
    Math.ceil(length / 1024),
  ]);
  expect(ours).toEqual(runs);
  await using disk = await openDisk(image, { format: 'raw' });
  expect(Buffer.from(await readBytes(disk, last.position, 1)).toString()).toBe('y');
});

test('a block map with three levels of indirect blocks', async () => {
  const tree = join(folder.path, 'indirect');
  await mkdir(tree);
  const file = await open(join(tree, 'file'), 'w');
  const pieces = [0, 11, 12, 267, 268, 5000, 65803, 65804, 70000, 200000];
  for (const block of pieces) await file.write(`block ${block}`, block * 1024);
  await file.close();
  const image = await makeImage(join(folder.path, 'indirect.img'), {
    mkfs: ['-t', 'ext2', '-b', '1024'],
    size: '8M',
    tree,
  });
  const { data } = await lookup(image, '/file');
  await using disk = await openDisk(image, { format: 'raw' });
  const found: string[] = [];
  for (const extent of data!.extents) {
    for (let at = 0; at < extent.length; at += 1024) {
      const text = Buffer.from(await readBytes(disk, extent.position + at, 12)).toString();
      found.push(text.replace(/\0.*/s, ''));
    }
  }
  expect(found).toEqual(pieces.map((block) => `block ${block}`));
  expect(data!.extents.map(({ logical }) => logical / 1024)).toContain(200000);
});

test('content and names, as debugfs dumps and lists them', async () => {
  const tree = join(folder.path, 'names');
  await mkdir(join(tree, 'd'), { recursive: true });
  for (let i = 0; i < 500; i++) await writeFile(join(tree, 'd', `name ${i}`), `${i}`.repeat(i));
  const image = await makeImage(join(folder.path, 'names.img'), {
    mkfs: ['-t', 'ext4'],
    size: '16M',
    tree,
    index: true,
  });
  expect(await debugfs(image, 'htree_dump /d')).toContain('Number of entries');
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openExt4(disk);
  const names = (await fs.list('/d')).map(({ path }) => Buffer.from(path).toString().slice(2));
  const theirs = (await debugfs(image, 'ls -p /d'))
    .split('\n')
    .map((line) => line.split('/')[5])
    .filter((name) => name !== undefined && name !== '.' && name !== '..');
  expect(names).toEqual(theirs.sort());
  for (const name of ['name 7', 'name 400']) {
    const { stdout } = await run('debugfs', ['-R', `cat "/d/${name}"`, image], { encoding: 'buffer' });
    expect(Buffer.from(await readContent((await fs.lookup(`/d/${name}`))!.data!)).equals(stdout)).toBe(true);
  }
});
