import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { isComposeError } from '../../src/errors.ts';
import { editExt4 } from '../../src/filesystem/ext4/edit.ts';
import { openExt4 } from '../../src/filesystem/ext4/open.ts';
import { probeFileSystem } from '../../src/filesystem/probe.ts';
import { findRoot } from '../../src/filesystem/root.ts';

const run = promisify(execFile);
const ROUNDS = 400;
let folder: Awaited<ReturnType<typeof scratch>>;

/** Small enough that most mutations hit something that is read, and with one of everything. */
beforeAll(async () => {
  folder = await scratch();
  const tree = join(folder.path, 'tree');
  for (const path of ['etc', 'a/b', 'many']) await mkdir(join(tree, path), { recursive: true });
  await writeFile(join(tree, 'etc/os-release'), 'ID=x');
  await writeFile(join(tree, 'etc/fstab'), '/dev/vda1 / ext4');
  for (let i = 0; i < 40; i++) await writeFile(join(tree, `many/some-name-that-takes-room-${i}`), '');
  await run('sh', [
    '-c',
    'for i in $(seq 0 2 20); do printf x | dd of="$1" bs=1024 seek=$i conv=notrunc status=none; done',
    'sh',
    join(tree, 'a/fragments'),
  ]);
  await run('ln', ['-s', 'y'.repeat(70), join(tree, 'a/slow')]);
  await run('ln', ['-s', 'fast', join(tree, 'a/fast')]);
  await run('setfattr', ['-n', 'user.big', '-v', 'v'.repeat(300), join(tree, 'a/b')]);
  await run('setfattr', ['-n', 'user.small', '-v', 'v', join(tree, 'a/fragments')]);
  await run('setfacl', ['-m', 'u:7:r', join(tree, 'a/fragments')]);
});
afterAll(() => folder[Symbol.asyncDispose]());

const EDITS = [
  { kind: 'remove', path: '/many/*1*', reason: 'fuzz' },
  { kind: 'empty', path: '/a/fragments', reason: 'fuzz' },
  { kind: 'remove', path: '/a', reason: 'fuzz' },
] as const;

/** Everything that reads these bytes; the property is that it answers, or throws one of ours. */
async function readAll(bytes: Uint8Array): Promise<boolean> {
  const source = memorySource(bytes);
  try {
    await probeFileSystem(source);
    const fs = await openExt4(source);
    await editExt4(fs, EDITS);
    for await (const entry of fs.entries()) {
      const end = entry.data?.extents.at(-1);
      if (end !== undefined && end.position + end.length > bytes.length) throw new Error('data beyond the end');
    }
    await fs.lookup('/a/slow/x', { follow: true });
    await findRoot(source);
    return true;
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return false;
  }
}

test.each([
  ['checksums', ['-t', 'ext4', '-b', '1024', '-O', '^has_journal']],
  ['no checksums', ['-t', 'ext4', '-b', '1024', '-O', '^has_journal,^metadata_csum']],
  ['uninit_bg', ['-t', 'ext4', '-b', '1024', '-O', '^has_journal,^metadata_csum,uninit_bg']],
  ['inline data', ['-t', 'ext4', '-b', '1024', '-O', '^has_journal,^metadata_csum,inline_data']],
  ['block maps', ['-t', 'ext2', '-b', '1024']],
  ['ea_inode', ['-t', 'ext4', '-b', '1024', '-O', '^has_journal,^metadata_csum,ea_inode', '-I', '128']],
])('mutations of an image with %s end in a tree or in an error of ours', async (name, mkfs) => {
  const image = await makeImage(join(folder.path, name), {
    mkfs: [...mkfs, '-N', '80'],
    size: '256K',
    tree: join(folder.path, 'tree'),
    index: true,
  });
  const original = new Uint8Array(await readFile(image));
  expect(await readAll(original)).toBe(true);
  const next = random(7);
  let survived = 0;
  for (let round = 0; round < ROUNDS; round++) {
    if (await readAll(mutated(original, next))) survived++;
  }
  // Both ends of the property were met.
  expect(survived).toBeGreaterThan(0);
  expect(survived).toBeLessThan(ROUNDS);
});

/** One to three blocks mutated in place, now and then the end cut off. */
function mutated(original: Uint8Array, next: () => number): Uint8Array {
  const bytes = original.slice();
  for (let i = next() % 3; i >= 0; i--) {
    const start = next() % 4 === 0 ? 1024 : (next() % (bytes.length / 1024)) * 1024;
    const part = mutate(bytes.subarray(start, start + 1024), next);
    bytes.set(part, start);
  }
  return next() % 32 === 0 ? bytes.subarray(0, next() % bytes.length) : bytes;
}
