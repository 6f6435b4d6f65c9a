import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  debugfs,
  debugfsWrite,
  e2fsckComplaints,
  makeImage,
  materialise,
  scratch,
  whileMounted,
  whyNoMount,
} from '../../fixtures/ext4-image.ts';
import { openDisk } from '../../src/disk/open.ts';
import { editExt4 } from '../../src/filesystem/ext4/edit.ts';
import { openExt4 } from '../../src/filesystem/ext4/open.ts';

/** The third level of a hash tree, which only large_dir allows; three names fill a block, so that 24,000 reach it. */

const run = promisify(execFile);
const noMount = await whyNoMount();
const COUNT = 24_000;
const LIMIT = { maxBuffer: 64 * 1024 * 1024 };
let folder: Awaited<ReturnType<typeof scratch>>;

beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Names of one file, as the kernel puts them into its tree; answers what the kernel lists. */
async function fill(image: string): Promise<string[]> {
  const script = `
import os, sys
os.chdir(sys.argv[1])
os.mkdir('d')
open('first', 'w').close()
for i in range(${COUNT}):
    os.link('first', 'd/' + f'{i:05d}-'.ljust(255, 'n'))
for i in range(0, ${COUNT}, 7):
    os.unlink('d/' + f'{i:05d}-'.ljust(255, 'n'))
print(chr(10).join(sorted(os.listdir('d'))))
`;
  return whileMounted(image, 'rw', async (path) => {
    const { stdout } = await run('python3', ['-c', script, path], LIMIT);
    return stdout.trim().split('\n');
  });
}

async function listed(image: string): Promise<{ names: string[]; links: number | undefined }> {
  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openExt4(disk);
  const names = (await fs.list('/d')).map(({ path }) => Buffer.from(path).toString().slice('d/'.length));
  return { names, links: (await fs.lookup('/first'))?.links };
}

test.skipIf(noMount !== undefined).each([
  ['checksums', []],
  ['block maps and no checksums', ['^metadata_csum,^extent,^64bit']],
])(`a hash tree of three levels, with %s${noMount ? ` (${noMount})` : ''}`, async (name, features) => {
  const image = await makeImage(join(folder.path, name), {
    mkfs: ['-t', 'ext4', '-b', '1024', '-O', ['large_dir', '^has_journal', ...features].join(), '-N', '200'],
    size: '64M',
  });
  const kernels = await fill(image);
  expect(await debugfs(image, 'htree_dump /d')).toContain('Indirect levels: 2');
  expect(await listed(image)).toEqual({ names: kernels, links: kernels.length + 1 });

  await using disk = await openDisk(image, { format: 'raw' });
  const edits = [{ kind: 'remove', path: '/d/*1*', reason: 'names of every leaf' }] as const;
  const edited = await materialise(
    (await editExt4(await openExt4(disk), edits)).source,
    join(folder.path, `${name} edited`),
  );
  expect(await e2fsckComplaints(edited)).toBe('');
  expect(await debugfs(edited, 'htree_dump /d')).toContain('Indirect levels: 2');
  const left = kernels.filter((one) => !one.includes('1'));
  expect(await whileMounted(edited, 'ro', async (path) => (await run('ls', [join(path, 'd')], LIMIT)).stdout)).toBe(
    `${left.join('\n')}\n`,
  );
  expect((await listed(edited)).names).toEqual(left);
});

test('a name that is alone in its leaf is removed where leaves have no checksums, and what was removed before it', async () => {
  const tree = join(folder.path, 'tree');
  await mkdir(join(tree, 'd'), { recursive: true });
  const names = Array.from({ length: 60 }, (_, i) => `${i}-secret-`.padEnd(250, 'n'));
  for (const name of names) await writeFile(join(tree, 'd', name), '');
  const image = await makeImage(join(folder.path, 'alone'), {
    mkfs: ['-t', 'ext3', '-b', '1024', '-O', '^has_journal'],
    size: '2M',
    tree,
    index: true,
  });
  const gone = names.filter((_, i) => i % 5 < 3);
  await debugfsWrite(
    image,
    gone.map((name) => `rm /d/${name}`),
  );
  expect(await e2fsckComplaints(image)).toBe('');
  const leaf = (bytes: Buffer): number[] =>
    Array.from({ length: bytes.length / 1024 }, (_, block) => block * 1024).filter(
      (at) => bytes.readUInt16LE(at + 4) === 1024 && bytes.subarray(at, at + 1024).includes('-secret-'),
    );
  const before = leaf(await readFile(image));
  expect(before.length).toBeGreaterThan(3);

  await using disk = await openDisk(image, { format: 'raw' });
  const fs = await openExt4(disk);
  const edits = [{ kind: 'remove', path: '/d/*-secret-*', reason: 'test' }] as const;
  const edited = await materialise((await editExt4(fs, edits)).source, join(folder.path, 'alone edited'));
  expect(await e2fsckComplaints(edited)).toBe('');
  expect((await listed(edited)).names).toEqual([]);
  expect((await readFile(edited)).includes('-secret-')).toBe(false);
});
