import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { scratch, whileMounted } from '../../fixtures/ext4-image.ts';
import { describeTree, treeDifferences } from '../../fixtures/reference-tree.ts';
import {
  makeXfs,
  type ProtoTree,
  patchSuperblock,
  whyNoMkfs,
  whyNoXfsMount,
  writeProto,
  xfsDb,
} from '../../fixtures/xfs-image.ts';
import { attributeCommands, protoTree } from '../../fixtures/xfs-proto.ts';
import { openDisk } from '../../src/disk/open.ts';
import { readInode } from '../../src/filesystem/xfs/inode.ts';
import { openXfs } from '../../src/filesystem/xfs/open.ts';
import { SB } from '../../src/filesystem/xfs/superblock.ts';

const run = promisify(execFile);
const noMkfs = await whyNoMkfs();
const noMount = await whyNoXfsMount();
let folder: Awaited<ReturnType<typeof scratch>>;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

const ours = async (image: string): Promise<Map<string, string>> => {
  await using disk = await openDisk(image, { format: 'raw' });
  return await describeOurs(await openXfs(disk));
};

const withoutTimes = (tree: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...tree].map(([path, text]) => [path, text.replace(/\d+\.\d{10}/, 'time')]));

/** Kernels no longer mount version 4 everywhere; the same prototype in version 5 says what has to come out. */
test.skipIf(noMkfs !== undefined)(`reads version 4 as version 5${noMkfs ? ` (${noMkfs})` : ''}`, async () => {
  const make = async (name: string, args: readonly string[], links: ProtoTree = {}): Promise<string> => {
    const proto = await writeProto(join(folder.path, `proto-${name.replaceAll(' ', '-')}`), protoTree(links));
    const image = await makeXfs(join(folder.path, name), '64M', [...args, '-p', proto]);
    await xfsDb(image, attributeCommands());
    return image;
  };
  const target = `/${'l'.repeat(900)}`;
  const five = await make('v5', ['-b', 'size=1024']);
  const expected = await ours(five);
  if (noMount === undefined) {
    const kernels = await whileMounted(five, 'ro,nouuid', describeTree);
    expect(treeDifferences(kernels, expected)).toEqual([]);
  }
  expect(expected.size).toBeGreaterThan(1700);
  expect(expected.get('attributes/long')).toContain('trusted.long-65536=0x7676');
  expect(expected.get('attributes/many')).toContain('user.attribute-number-199=0x7676');
  for (const [name, args] of [
    ['v4', ['-m', 'crc=0']],
    ['v4 512', ['-m', 'crc=0', '-b', 'size=512', '-n', 'size=4096,ftype=0', '-i', 'size=256']],
    ['v4 projid', ['-m', 'crc=0', '-b', 'size=2048', '-n', 'size=8192,ftype=1', '-i', 'size=512,projid32bit=0']],
  ] as const) {
    // In version 5 mkfs.xfs writes long targets without their header, and no kernel reads them.
    const found = await ours(await make(name, args, { long: { to: target } }));
    expect(found.get('links/long')).toContain(target);
    found.delete('links/long');
    expect(treeDifferences(withoutTimes(expected), withoutTimes(found)), name).toEqual([]);
  }
});

test.skipIf(noMount !== undefined)(`reads inode numbers beyond 2^32${noMount ? ` (${noMount})` : ''}`, async () => {
  const image = await makeXfs(join(folder.path, 'large'), '6T', ['-d', 'agcount=7', '-l', 'size=16m']);
  const kernels = await whileMounted(image, 'rw,nouuid', async (path) => {
    await run('sh', [
      '-c',
      'cd "$1"; for i in 1 2 3 4 5 6 7 8; do mkdir d$i; echo $i > d$i/f; ln d$i/f d$i/g; done',
      'sh',
      path,
    ]);
    return describeTree(path);
  });
  expect(treeDifferences(kernels, await ours(image))).toEqual([]);
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openXfs(disk);
  const inodes = await Promise.all([1, 2, 3, 4, 5, 6].map(async (i) => (await fs.lookup(`/d${i}/f`))!.inode));
  expect(Math.max(...inodes)).toBeGreaterThan(2 ** 32);
});

test.skipIf(noMount !== undefined)(`hides parent pointers${noMount ? ` (${noMount})` : ''}`, async () => {
  const image = await makeXfs(join(folder.path, 'parent'), '320M');
  // nrext64, exchange-range and parent pointers: newer than the mkfs.xfs of stable distributions.
  await patchSuperblock(image, SB.incompat, 0xeb);
  const kernels = await whileMounted(image, 'rw,nouuid', async (path) => {
    const script =
      'cd "$1"; mkdir a; echo x > a/f; ln a/f g; setfattr -n user.u -v 1 a/f; for i in $(seq 40); do ln g a/$i; done';
    await run('sh', ['-c', script, 'sh', path]);
    return describeTree(path);
  });
  expect(treeDifferences(kernels, await ours(image))).toEqual([]);
  // It shows in the bytes that there are pointers to hide: the kernel wrote the names into the inodes.
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openXfs(disk);
  const inode = await readInode(fs.volume, (await fs.lookup('/g'))!.inode);
  expect(inode.attributes?.format).toBe(2);
});

test.skipIf(noMkfs !== undefined)('goes on with a file system whose UUID was changed', async () => {
  const image = await makeXfs(join(folder.path, 'uuid'), '64M', [
    '-L',
    'a label',
    '-p',
    await writeProto(join(folder.path, 'p2'), { d: { f: Buffer.from('f') } }),
  ]);
  await xfsDb(image, ['uuid 11111111-2222-3333-4444-555555555555']);
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openXfs(disk);
  expect(fs).toMatchObject({ uuid: '11111111-2222-3333-4444-555555555555', label: 'a label', clean: true });
  expect((await describeOurs(fs)).size).toBe(3);
});

test.skipIf(noMount !== undefined).each([
  ['1k', ['-b', 'size=1024', '-d', 'agcount=4'], 'several groups, a tree of two levels'],
  ['4k', [], 'one block'],
])(`knows the free blocks of %s as xfs_db does${noMount ? ` (${noMount})` : ''}`, async (name, args) => {
  const image = await makeXfs(join(folder.path, `free ${name}`), '320M', args);
  await whileMounted(image, 'rw,nouuid', async (path) => {
    const script = 'cd "$1"; for i in $(seq 1500); do echo > f$i; done; sync; rm f*[13579]';
    await run('sh', ['-c', script, 'sh', path]);
  });
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openXfs(disk);
  const { blockSize, groupBlocks } = fs.volume.superblock;
  const found: string[] = [];
  for await (const { position, length } of fs.freeExtents()) {
    const block = position / blockSize;
    found.push(`${Math.floor(block / groupBlocks)} ${block % groupBlocks} ${length / blockSize}`);
  }
  expect(found.length).toBeGreaterThan(name === '1k' ? 200 : 1);
  const printed = (await xfsDb(image, ['freesp -d'])).split('\n').map((line) => line.trim().split(/\s+/).join(' '));
  const listed = printed.slice(
    1,
    printed.findIndex((line) => line.startsWith('from')),
  );
  // xfs_db counts the blocks kept for the trees themselves too.
  const kept = new Set(listed.filter((line) => !found.includes(line)));
  expect(found.filter((line) => !listed.includes(line))).toEqual([]);
  expect([...kept].every((line) => line.endsWith(' 1'))).toBe(true);
  expect(kept.size).toBeLessThanOrEqual(12 * fs.volume.superblock.groupsCount);
});

test.skipIf(noMkfs !== undefined).each([
  ['needs-repair', 0x1b, 'xfs.needs-repair'],
  ['metadir', 0x10b, 'xfs.unsupported'],
  ['a feature of the future', 0x8000000b, 'xfs.unsupported'],
  ['a copy in progress', 'write inprogress 1', 'xfs.damaged'],
  ['a wrong checksum', 'write -c fname "x"', 'xfs.checksum'],
])(`refuses %s${noMkfs ? ` (${noMkfs})` : ''}`, async (name, change, code) => {
  const image = await makeXfs(join(folder.path, 'refused'), '64M');
  if (typeof change === 'number') await patchSuperblock(image, SB.incompat, change);
  else await xfsDb(image, ['sb 0', change]);
  await using disk = await openDisk(image, { format: 'raw' });
  await expect(openXfs(disk)).rejects.toMatchObject({
    code,
    ...(name === 'metadir' ? { evidence: { features: ['metadir'] } } : {}),
  });
});

test.skipIf(noMkfs !== undefined)('refuses a file on a realtime device, by its number', async () => {
  const proto = await writeProto(join(folder.path, 'p3'), { f: Buffer.from('f') });
  const image = await makeXfs(join(folder.path, 'realtime'), '64M', ['-p', proto]);
  await xfsDb(image, ['path /f', 'write core.realtime 1']);
  await expect(ours(image)).rejects.toMatchObject({ code: 'xfs.unsupported', evidence: { inode: expect.any(Number) } });
});

test.skipIf(noMkfs !== undefined)('refuses an image that was cut off', async () => {
  const image = await makeXfs(join(folder.path, 'cut'), '64M');
  await run('truncate', ['-s', '-4K', image]);
  await using disk = await openDisk(image, { format: 'raw' });
  await expect(openXfs(disk)).rejects.toMatchObject({ code: 'xfs.truncated' });
});
