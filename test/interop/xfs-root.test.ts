import { open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { makeImage, scratch, whileMounted } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { describeTree, extractAsCurtin, treeDifferences } from '../../fixtures/reference-tree.ts';
import { makeXfs, type ProtoTree, whyNoMkfs, whyNoXfsMount, writeProto } from '../../fixtures/xfs-image.ts';
import { openDisk } from '../../src/disk/open.ts';
import { quietContext } from '../../src/events.ts';
import { editRoot } from '../../src/filesystem/edit-root.ts';
import { readPath } from '../../src/filesystem/file-tree.ts';
import { findRoot } from '../../src/filesystem/root.ts';
import { openXfs } from '../../src/filesystem/xfs/open.ts';
import { blockPosition } from '../../src/filesystem/xfs/volume.ts';
import { pack } from '../../src/pack/pack.ts';

const noMkfs = await whyNoMkfs();
const noMount = await whyNoXfsMount();
const why = noMkfs ? ` (${noMkfs})` : '';
let folder: Awaited<ReturnType<typeof scratch>>;
let count = 0;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

const next = (): string => join(folder.path, `f${count++}`);
const text = (content: string): Uint8Array => Buffer.from(content);
const rootFiles = (fstab: string): ProtoTree => ({
  etc: { 'os-release': text('ID=rocky\n'), fstab: text(fstab), 'machine-id': text('secret') },
  boot: {},
  srv: {},
});

async function xfs(tree: ProtoTree, args: readonly string[] = []): Promise<string> {
  return makeXfs(next(), '64M', [...args, '-p', await writeProto(next(), tree)]);
}

async function logPosition(image: string): Promise<number> {
  await using disk = await openDisk(image, { format: 'raw' });
  const { volume } = await openXfs(disk);
  return blockPosition(volume, volume.superblock.logStart, 1, 'the log');
}

test.skipIf(noMkfs !== undefined)(`a root on XFS is found, with what its fstab mounts${why}`, async () => {
  const contents = [
    await xfs(rootFiles('LABEL=boot /boot xfs defaults 0 0\nLABEL=data /srv ext4 defaults 0 0\n')),
    await xfs({ vmlinuz: text('linux') }, ['-L', 'boot', '-m', 'uuid=b0070000-1111-2222-3333-444455556666']),
    await makeImage(next(), {
      mkfs: ['-t', 'ext4', '-L', 'data', '-O', '^has_journal'],
      size: '2M',
      debugfs: ['mkdir x'],
    }),
  ];
  const path = await makeDisk(
    next(),
    contents.map((content) => ({ content })),
  );
  await using disk = await openDisk(path, { format: 'raw' });
  const root = await findRoot(disk);
  expect([root.fs.kind, ...root.mounts.map(({ mountPoint, fs }) => `${mountPoint} ${fs.kind}`)]).toEqual([
    'xfs',
    '/boot xfs',
    '/srv ext4',
  ]);
  expect(Buffer.from((await readPath(root.tree, '/boot/vmlinuz'))!).toString()).toBe('linux');
  const inodes: number[] = [];
  for await (const entry of root.tree.entries()) inodes.push(entry.inode);
  expect(new Set(inodes).size).toBe(inodes.length);

  const reason = 'test';
  const sealed = editRoot(disk, root, [{ kind: 'empty', path: '/etc/machine-id', reason }]);
  await expect(sealed).rejects.toMatchObject({
    code: 'root.edit-unsupported',
    hint: expect.stringContaining('--no-seal'),
  });
  // What is on ext4 can be edited all the same.
  const edited = await editRoot(disk, root, [{ kind: 'remove', path: '/srv/x', reason }]);
  expect(edited.applied).toEqual(['remove /srv/x']);
  expect(await (await findRoot(edited.source)).tree.lookup('/srv/x')).toBeUndefined();
});

test.skipIf(noMkfs !== undefined)(`a root on XFS with a log to replay is refused${why}`, async () => {
  const image = await xfs(rootFiles(''));
  // The flags of the only operation of the only record: that of an unmount.
  const file = await open(image, 'r+');
  await file.write(Uint8Array.of(0), 0, 1, (await logPosition(image)) + 512 + 9);
  await file.close();
  await using disk = await openDisk(image, { format: 'raw' });
  await expect(findRoot(disk)).rejects.toMatchObject({ code: 'xfs.not-clean' });
});

test.skipIf(noMount !== undefined)(`curtin's tar restores a root on XFS${noMount ? ` (${noMount})` : ''}`, async () => {
  const image = await makeXfs(next(), '96M');
  const expected = await whileMounted(image, 'rw,nouuid', async (path) => {
    await makeSampleTree(path);
    await writeFile(join(path, 'etc/os-release'), 'ID=sample\n');
    return describeTree(path);
  });
  const out = join(folder.path, 'out');
  const options = { disk: image, name: 'x', out };
  // Refused before the tree, which would work, has been written.
  const sealed = pack({ ...options, filetypes: ['tgz', 'ddgz'] }, quietContext());
  await expect(sealed).rejects.toMatchObject({ code: 'root.edit-unsupported' });
  expect(await readdir(out).catch(() => [])).toEqual([]);
  const { artifacts } = await pack({ ...options, seal: false, filetypes: ['tgz', 'ddgz'] }, quietContext());
  await using extracted = await extractAsCurtin(artifacts[0]!.path);
  expect(treeDifferences(expected, await describeTree(extracted.path))).toEqual([]);
});
