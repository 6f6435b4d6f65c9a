import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openExt4 } from '../../src/filesystem/ext4/open.ts';
import { findRoot } from '../../src/filesystem/root.ts';

/** Casefold and encryption: as mke2fs makes them, and as flags of an inode that the superblock does not tell of. */

const run = promisify(execFile);
let folder: Awaited<ReturnType<typeof scratch>>;
let tree: string;
let count = 0;

beforeAll(async () => {
  folder = await scratch();
  tree = join(folder.path, 'tree');
  await mkdir(join(tree, 'etc'), { recursive: true });
  await writeFile(join(tree, 'etc/os-release'), 'ID=x\n');
});
afterAll(() => folder[Symbol.asyncDispose]());

const make = (mkfs: readonly string[], debugfs: readonly string[] = []): Promise<string> =>
  makeImage(join(folder.path, `image${count++}`), { mkfs: ['-t', 'ext4', ...mkfs], size: '8M', tree, debugfs });

async function read(image: string): Promise<ReadonlyMap<string, string>> {
  await using disk = await openDisk(image, { format: 'raw' });
  return await describeOurs(await openExt4(disk));
}

test.each([
  ['casefold', ['-O', 'casefold'], 'tune2fs -O ^casefold'],
  ['casefold', ['-O', 'casefold', '-E', 'encoding=utf8-12.1,encoding_flags=strict'], 'lsattr -R'],
  ['casefold', ['-O', 'casefold,^metadata_csum'], '--format ddgz --no-seal'],
  ['encrypt', ['-O', 'encrypt'], 'mke2fs -O ^encrypt'],
])('the feature %s of mke2fs %j is refused by name, with what to do', async (feature, mkfs, advice) => {
  const image = await make(mkfs);
  const refusal = {
    code: 'ext4.unsupported',
    message: `Cannot read the ext4 file system: it uses ${feature}, which compose does not read`,
    hint: expect.stringContaining(advice),
    evidence: { features: [feature] },
  };
  await expect(read(image)).rejects.toMatchObject(refusal);
  await using disk = await openDisk(image, { format: 'raw' });
  await expect(findRoot(disk)).rejects.toMatchObject(refusal);
});

test('both at once are both named', async () => {
  await expect(read(await make(['-O', 'casefold,encrypt']))).rejects.toMatchObject({
    evidence: { features: ['encrypt', 'casefold'] },
    hint: expect.stringMatching(
      /tune2fs -O \^casefold.*mke2fs -O \^encrypt|mke2fs -O \^encrypt.*tune2fs -O \^casefold/,
    ),
  });
});

test('the advice for casefold works: tune2fs takes the feature off, and the file system is read', async () => {
  const image = await make(['-O', 'casefold']);
  await run('tune2fs', ['-O', '^casefold', image]);
  expect([...(await read(image)).keys()]).toContain('etc/os-release');
});

test('tune2fs leaves the feature where a directory uses it', async () => {
  const image = await make(['-O', 'casefold'], ['set_inode_field /etc flags 0x40080000']);
  await run('tune2fs', ['-O', '^casefold', image]).catch(() => undefined);
  await expect(read(image)).rejects.toMatchObject({ evidence: { features: ['casefold'] } });
});

test.each([
  ['a casefolded directory', 'casefold', 'set_inode_field /etc flags 0x40080000'],
  ['an encrypted directory', 'encrypt', 'set_inode_field /etc flags 0x80800'],
  ['an encrypted file', 'encrypt', 'set_inode_field /etc/os-release flags 0x80800'],
])('%s is refused where the superblock says nothing', async (_, feature, command) => {
  await expect(read(await make([], [command]))).rejects.toMatchObject({
    code: 'ext4.unsupported',
    message: expect.stringMatching(new RegExp(`^Cannot read inode \\d+ .*feature ${feature}`)),
    hint: expect.stringContaining('e2fsck -f'),
    evidence: { inode: expect.any(Number), features: [feature] },
  });
});
