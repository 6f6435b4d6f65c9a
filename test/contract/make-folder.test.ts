import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratch } from '../../fixtures/ext4-image.ts';
import { makeFolder } from '../../src/host/make-folder.ts';

test('folders are made with those above them, several callers at once, and again', async () => {
  await using place = await scratch();
  const deep = join(place.path, 'a/b/c');
  await Promise.all(Array.from({ length: 8 }, () => makeFolder(deep, { mode: 0o700 })));
  await makeFolder(deep);
  expect((await stat(deep)).mode & 0o777).toBe(0o700);
  expect(await readdir(place.path)).toEqual(['a']);
});

test('a file in the way is told, and nothing is made', async () => {
  await using place = await scratch();
  await writeFile(join(place.path, 'file'), '');
  await mkdir(join(place.path, 'folder'));
  await expect(makeFolder(join(place.path, 'file/x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  await expect(makeFolder(join(place.path, 'file'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  expect((await readdir(place.path)).sort()).toEqual(['file', 'folder']);
});

test.skipIf(process.platform !== 'linux')(
  'a folder that can never be is an error, not a loop (not on Linux)',
  async () => {
    await expect(makeFolder('/proc/nothing/here')).rejects.toMatchObject({ code: 'ENOENT' });
  },
);
