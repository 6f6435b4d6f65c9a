import { execFile } from 'node:child_process';
import { copyFile, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { debugfs, makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { openDisk } from '../../src/disk/open.ts';
import { isComposeError } from '../../src/errors.ts';
import { editExt4 } from '../../src/filesystem/ext4/edit.ts';
import { openExt4 } from '../../src/filesystem/ext4/open.ts';

const run = promisify(execFile);
let folder: Awaited<ReturnType<typeof scratch>>;
let image: string;

/** One of every structure that has a checksum, in 1 KiB blocks. */
beforeAll(async () => {
  folder = await scratch();
  const tree = join(folder.path, 'tree');
  await mkdir(join(tree, 'indexed'), { recursive: true });
  for (let i = 0; i < 600; i++) await writeFile(join(tree, 'indexed', `${'n'.repeat(240)}-${i}`), '');
  const pieces = await open(join(tree, 'pieces'), 'w');
  for (let i = 0; i < 20; i++) await pieces.write('x', i * 4096);
  await pieces.close();
  await run('setfattr', ['-n', 'user.long', '-v', 'v'.repeat(400), join(tree, 'pieces')]);
  image = await makeImage(join(folder.path, 'image'), {
    mkfs: ['-t', 'ext4', '-b', '1024', '-N', '1000'],
    size: '8M',
    tree,
    index: true,
  });
});
afterAll(() => folder[Symbol.asyncDispose]());

/** The first number after `words` in what debugfs prints. */
async function number(command: string, words: RegExp): Promise<number> {
  const found = words.exec(await debugfs(image, command));
  if (found === null) throw new Error(`${command}: no ${words}`);
  return Number(found[1]);
}

/** Byte position of each structure, found by debugfs. */
const STRUCTURES: readonly [what: string, place: () => Promise<number>, words: RegExp][] = [
  ['the superblock', async () => 1024 + 0x78, /the superblock/],
  ['a group descriptor', async () => 2048 + 0x12, /the descriptor of block group 0/],
  ['an inode', async () => (await number('imap /pieces', /block (\d+)/)) * 1024 + (await inodeOffset()), /inode \d+/],
  [
    'an extent tree block',
    async () => (await number('dump_extents /pieces', /\n\s+0\/\s*1\s+\d+\/\s*\d+\s+\d+ -\s+\d+\s+(\d+)/)) * 1024 + 20,
    /extent tree block \d+ of inode \d+/,
  ],
  ['a directory leaf', async () => (await number('bmap /indexed 40', /(\d+)/)) * 1024 + 30, /block 40 of directory/],
  [
    'the root of a hash tree',
    async () => (await number('bmap /indexed 0', /(\d+)/)) * 1024 + 40,
    /block 0 of directory/,
  ],
  [
    'a node of a hash tree',
    async () => (await number(`bmap /indexed ${await hashNode()}`, /(\d+)/)) * 1024 + 12,
    /block \d+ of directory/,
  ],
  [
    'an attribute block',
    async () => (await number('stat /pieces', /File ACL: (\d+)/)) * 1024 + 500,
    /attribute block \d+/,
  ],
];

async function inodeOffset(): Promise<number> {
  const text = await debugfs(image, 'imap /pieces');
  return Number.parseInt(/offset (0x[0-9a-f]+)/.exec(text)![1]!, 16) + 0x10;
}

async function hashNode(): Promise<number> {
  const text = await debugfs(image, 'htree_dump /indexed');
  return Number(/Entry #1: Hash 0x[0-9a-f]+, block (\d+)/.exec(text)![1]);
}

async function readEverything(path: string): Promise<void> {
  await using disk = await openDisk(path, { format: 'raw' });
  for await (const _ of (await openExt4(disk)).entries());
}

async function flipped(name: string, position: number): Promise<string> {
  const path = join(folder.path, `broken ${name}`);
  await copyFile(image, path);
  const file = await open(path, 'r+');
  const byte = new Uint8Array(1);
  await file.read(byte, 0, 1, position);
  await file.write(Uint8Array.of(byte[0]! ^ 0x04), 0, 1, position);
  await file.close();
  return path;
}

test('the image is whole before anything is flipped, and two levels of hash tree deep', async () => {
  await readEverything(image);
  expect(await debugfs(image, 'htree_dump /indexed')).toContain('Indirect levels: 1');
});

test.each(STRUCTURES)('one bit flipped in %s is found by its checksum', async (name, place, words) => {
  const path = await flipped(name, await place());
  await expect(readEverything(path)).rejects.toMatchObject({
    code: 'ext4.checksum',
    message: expect.stringMatching(words),
  });
});

test.each([
  ['block', 'Block bitmap at'],
  ['inode', 'Inode bitmap at'],
])('one bit flipped in a %s bitmap is found before it is edited', async (kind, words) => {
  const { stdout } = await run('dumpe2fs', [image]);
  const block = Number(new RegExp(`${words} (\\d+)`).exec(stdout)![1]);
  const path = await flipped(`${kind} bitmap`, block * 1024 + 1);
  await using disk = await openDisk(path, { format: 'raw' });
  const fs = await openExt4(disk);
  await expect(editExt4(fs, [])).rejects.toMatchObject({
    code: expect.stringMatching(/^ext4\.(checksum|damaged)$/),
    message: expect.stringContaining(kind === 'block' ? 'block group 0' : 'the inode bitmap of block group 0'),
  });
});

describe('what is not there or not known', () => {
  const small = (commands: readonly string[], mkfs: readonly string[] = []): Promise<string> =>
    makeImage(join(folder.path, 'small'), {
      mkfs: ['-t', 'ext4', '-O', '^has_journal', ...mkfs],
      size: '2M',
      debugfs: commands,
    });

  test.each([
    ['encrypt', 'feature encrypt', /encrypt/],
    ['compression', 'feature compression', /compression/],
    ['dirdata', 'set_super_value feature_incompat 0x12C2', /dirdata/],
    ['a bit of the future', 'set_super_value feature_incompat 0x800002C2', /0x80000000/],
  ])('%s is refused by name', async (_, command, words) => {
    await expect(readEverything(await small([command]))).rejects.toMatchObject({
      code: 'ext4.unsupported',
      message: expect.stringMatching(words),
    });
  });

  test('a journal device is refused by name', async () => {
    const path = join(folder.path, 'journal');
    await run('truncate', ['-s', '4M', path]);
    await run('mke2fs', ['-q', '-F', '-O', 'journal_dev', path]);
    await expect(readEverything(path)).rejects.toMatchObject({ message: expect.stringMatching(/journal_dev/) });
  });

  test.each([
    ['shared_blocks', 'feature shared_blocks', /shared_blocks/],
    ['a bit of the future', 'set_super_value feature_ro_compat 0x4000046A', /0x40000000/],
  ])('%s is read, but not edited', async (_, command, words) => {
    const path = await small([command]);
    await readEverything(path);
    await using disk = await openDisk(path, { format: 'raw' });
    await expect(editExt4(await openExt4(disk), [])).rejects.toMatchObject({
      code: 'ext4.unsupported',
      message: expect.stringMatching(words),
    });
  });

  test('quotas in use are not edited', async () => {
    const path = await makeImage(join(folder.path, 'quota'), { mkfs: ['-t', 'ext4', '-O', 'quota'], size: '8M' });
    await using disk = await openDisk(path, { format: 'raw' });
    await expect(editExt4(await openExt4(disk), [])).rejects.toMatchObject({
      code: 'ext4.unsupported',
      message: expect.stringMatching(/quota/),
    });
  });

  test('an unclean file system opens, says why, and is not edited', async () => {
    await using disk = await openDisk(await small(['set_super_value state 0']), { format: 'raw' });
    const fs = await openExt4(disk);
    expect([fs.clean, fs.unclean]).toEqual([false, 'it was not unmounted']);
    await expect(editExt4(fs, [])).rejects.toMatchObject({ code: 'ext4.not-clean' });
  });

  test('a journal that has something in it makes the file system unclean, whatever the superblock says', async () => {
    const path = await makeImage(join(folder.path, 'log'), { mkfs: ['-t', 'ext4'], size: '8M' });
    const journal = Number(/(\d+)/.exec(await debugfs(path, 'bmap <8> 0'))![1]);
    const file = await open(path, 'r+');
    await file.write(Uint8Array.of(0, 0, 0, 1), 0, 4, journal * 1024 + 0x1c);
    await file.close();
    await using disk = await openDisk(path, { format: 'raw' });
    expect((await openExt4(disk)).unclean).toBe('its journal is not empty');
  });

  test('an image that was cut off is said to be', async () => {
    const bytes = new Uint8Array(await readFile(image));
    await expect(openExt4(memorySource(bytes.subarray(0, bytes.length - 1024)))).rejects.toMatchObject({
      code: 'ext4.truncated',
    });
    for (const length of [0, 1000, 1080, 1500, 2047]) {
      await expect(openExt4(memorySource(bytes.subarray(0, length)))).rejects.toMatchObject({ code: 'ext4.not-ext4' });
    }
    for (const length of [2048, 3000]) {
      await expect(openExt4(memorySource(bytes.subarray(0, length)))).rejects.toSatisfy(isComposeError);
    }
  });

  test('the root directory is not removed', async () => {
    await using disk = await openDisk(await small([]), { format: 'raw' });
    const fs = await openExt4(disk);
    const edit = { kind: 'remove', path: '/', reason: 'a mistake' } as const;
    await expect(editExt4(fs, [edit])).rejects.toMatchObject({ code: 'edit.root' });
    const { applied } = await editExt4(fs, [{ kind: 'clear', path: '/', reason: 'nothing there' }]);
    expect(applied).toEqual([]);
  });
});
