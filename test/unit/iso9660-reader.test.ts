import { expect, test } from 'vitest';
import { isoContent, sampleFiles } from '../../fixtures/iso-tree.ts';
import { memoryFiles, memorySource } from '../../fixtures/memory-source.ts';
import { openDiskWith } from '../../src/disk/open.ts';
import { readPath } from '../../src/filesystem/file-tree.ts';
import { writeIso9660 } from '../../src/formats/iso9660/writer.ts';
import { openIso9660 } from '../../src/formats/iso9660-reader.ts';

const SECTOR = 2048;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function image(): Uint8Array {
  return writeIso9660(
    [
      { path: 'a/b/c', content: text('deep') },
      { path: 'a/link', symlink: 'b' },
      { path: 'a/absolute', symlink: '/a/b/c' },
      { path: 'a/out', symlink: '../../../a/b' },
      { path: 'a/loop', symlink: 'loop' },
      { path: 'Readme.TXT', content: text('readme') },
    ],
    { volumeId: 'test' },
  );
}

/** Position of the record in which `name` stands, in the primary tree. */
function recordOf(bytes: Uint8Array, identifier: string): number {
  return Buffer.from(bytes).indexOf(identifier, 19 * SECTOR, 'latin1') - 33;
}

test('paths are looked up through symlinks, and never above the root', async () => {
  const iso = await openIso9660(memorySource(image()));
  expect((await iso.lookup('/a/b/c'))?.kind).toBe('file');
  expect((await iso.lookup('a//b/./c/'))?.kind).toBe('file');
  expect((await iso.lookup('/a/link'))?.kind).toBe('symlink');
  expect((await iso.lookup('/a/link', { follow: true }))?.kind).toBe('directory');
  expect((await iso.lookup('/a/link/c'))?.kind).toBe('file');
  expect((await iso.lookup('/a/absolute', { follow: true }))?.data?.size).toBe(4);
  expect((await iso.lookup('/a/out/c'))?.kind).toBe('file');
  expect(await iso.lookup('/a/loop', { follow: true })).toBeUndefined();
  expect(await iso.lookup('/a/loop/x')).toBeUndefined();
  expect(await iso.lookup('/README.txt'), 'Rock Ridge names have a case').toBeUndefined();
  expect((await iso.lookup('/'))?.kind).toBe('directory');
  expect(await iso.list('/nothing')).toEqual([]);
  expect(await iso.list('/Readme.TXT')).toEqual([]);
  expect(await iso.bootImages()).toEqual([]);
});

test('Joliet and plain names match in any case', async () => {
  const bytes = image();
  for (const prefer of ['joliet', 'plain'] as const) {
    const iso = await openIso9660(memorySource(bytes), { prefer });
    expect((await iso.lookup('/README.txt'))?.data?.size).toBe(6);
  }
});

test('on a disk it is a file tree: entries carry extents of their source', async () => {
  const { openFile } = memoryFiles(new Map([['/x.iso', image()]]));
  await using disk = await openDiskWith(openFile, '/x.iso', { format: 'raw' });
  const iso = await openIso9660(disk);
  expect(new TextDecoder().decode(await readPath(iso, '/a/absolute'))).toBe('deep');
});

test('a file in several extents is one entry', async () => {
  const bytes = writeIso9660(
    [
      { path: 'big', content: new Uint8Array(2 * SECTOR).fill(0x61) },
      { path: 'bih', content: text('the rest') },
    ],
    { volumeId: 'x' },
  );
  const first = recordOf(bytes, 'BIG.;1');
  bytes[first + 25] = 0x80;
  const source = memorySource(bytes);
  const iso = await openIso9660(source);
  const entries = await iso.list('/');
  expect(entries).toHaveLength(1);
  expect(entries[0]?.data).toMatchObject({ size: 2 * SECTOR + 8, extents: [{ logical: 0 }, { logical: 2 * SECTOR }] });
  expect(new TextDecoder().decode((await isoContent(source, entries[0]!)).subarray(2 * SECTOR))).toBe('the rest');
  bytes[recordOf(bytes, 'BIH.;1') + 25] = 0x80;
  await expect(iso.list('/'), 'the last part never comes').rejects.toMatchObject({ code: 'iso9660.damaged' });
});

test('a directory that holds itself ends a walk', async () => {
  const bytes = image();
  const view = new DataView(bytes.buffer);
  const root = view.getUint32(16 * SECTOR + 156 + 2, true);
  let record = root * SECTOR;
  for (let skipped = 0; skipped < 2; skipped++) record += bytes[record]!;
  view.setUint32(record + 2, root, true);
  const iso = await openIso9660(memorySource(bytes));
  const walk = async (): Promise<void> => {
    for await (const _ of iso.entries());
  };
  await expect(walk()).rejects.toMatchObject({ code: 'iso9660.damaged' });
  expect(await iso.lookup('/a/a/a/a/a')).toBeDefined();
});

const BREAKS: readonly (readonly [why: string, code: string, breakIt: (bytes: Uint8Array, view: DataView) => void])[] = [
  ['no descriptor', 'iso9660.not-iso9660', (bytes) => bytes.fill(0, 16 * SECTOR, 17 * SECTOR)],
  ['blocks of 3 bytes', 'iso9660.damaged', (_, view) => view.setUint16(16 * SECTOR + 128, 3, true)],
  ['a root past the end', 'iso9660.truncated', (_, view) => view.setUint32(16 * SECTOR + 158, 0x7fffffff, true)],
  ['an empty root', 'iso9660.damaged', (_, view) => view.setUint32(16 * SECTOR + 166, 0, true)],
  ['a root of 4 GiB', 'iso9660.damaged', (_, view) => view.setUint32(16 * SECTOR + 166, 0xfffff800, true)],
  ['a record across a sector', 'iso9660.damaged', (bytes, view) => {
    bytes[view.getUint32(16 * SECTOR + 158, true) * SECTOR + 140] = 0xff;
    bytes[view.getUint32(16 * SECTOR + 158, true) * SECTOR] = 20;
  }],
  ['a name with a slash', 'iso9660.damaged', (bytes) => {
    const at = Buffer.from(bytes).indexOf('Readme.TXT');
    bytes[at] = 0x2f;
  }],
]; // biome-ignore format: a row is a case

test.each(BREAKS)('refused: %s', async (_, code, breakIt) => {
  const bytes = image();
  breakIt(bytes, new DataView(bytes.buffer));
  const all = async (): Promise<void> => {
    const iso = await openIso9660(memorySource(bytes));
    for await (const _entry of iso.entries());
  };
  await expect(all()).rejects.toMatchObject({ code });
});

test('an image that was cut short says so', async () => {
  const bytes = writeIso9660(sampleFiles(), { volumeId: 'x' });
  const iso = await openIso9660(memorySource(bytes.subarray(0, bytes.length - 300 * SECTOR)));
  expect(iso.volumeSize).toBe(bytes.length);
  await expect(openIso9660(memorySource(bytes.subarray(0, 20 * SECTOR)))).rejects.toMatchObject({
    code: 'iso9660.truncated',
  });
  await expect(openIso9660(memorySource(new Uint8Array(100)))).rejects.toMatchObject({ code: 'iso9660.not-iso9660' });
});
