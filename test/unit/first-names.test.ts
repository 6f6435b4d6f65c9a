import { expect, test } from 'vitest';
import { retainedBy } from '../../fixtures/retained.ts';
import type { Entry } from '../../src/filesystem/file-tree.ts';
import { FirstNames } from '../../src/pack/first-names.ts';

/** Told of a file with several names. */
const of = (names: FirstNames, inode: number, path: Uint8Array, kind: Entry['kind'] = 'file', links = 2) =>
  names.of({ inode, kind, links, path });
const text = (path: Uint8Array | undefined) => path && Buffer.from(path).toString();

test('paths of any length come back as they were told, whatever becomes of what they were told from', () => {
  const names = new FirstNames();
  const lengths = [0, 1, 2, 3, 4095, 60_000, 65_519, 65_520, 65_521, 65_536, 200_000, 7];
  for (const directory of ['', 'usr/', 'usr/lib/']) {
    for (const [at, length] of lengths.entries()) {
      const path = Buffer.concat([Buffer.from(directory), new Uint8Array(length).fill(at + 0x41)]);
      expect(of(names, directory.length * 100 + at, path)).toBeUndefined();
      path.fill(0xff);
    }
  }
  for (const directory of ['', 'usr/', 'usr/lib/']) {
    for (const [at, length] of lengths.entries()) {
      const path = Buffer.concat([Buffer.from(directory), Buffer.alloc(length, at + 0x41)]);
      const first = of(names, directory.length * 100 + at, Buffer.from('again'));
      expect(Buffer.compare(first!, path), `${directory} and ${length} bytes`).toBe(0);
    }
  }
});

test('a hundred thousand inodes in thousands of directories each have their own', () => {
  const names = new FirstNames();
  const path = (at: number) => `d${at % 7}/of-${Math.floor(at / 30)}/name-${at}`;
  // As ext4 numbers them, as XFS does, and those of a second file system.
  const inode = (at: number) => [at, (at << 6) * 64, 2 ** 44 + at, 2 ** 40 * (at % 1000) + at][at % 4]! + 0.0;
  const numbers = new Set<number>();
  for (let at = 0; at < 100_000; at++) {
    if (numbers.has(inode(at))) continue;
    numbers.add(inode(at));
    if (of(names, inode(at), Buffer.from(path(at))) !== undefined) expect.unreachable(`inode ${inode(at)} was new`);
  }
  expect(numbers.size).toBeGreaterThan(90_000);
  const asked = new Set<number>();
  for (let at = 0; at < 100_000; at++) {
    if (asked.has(inode(at))) continue;
    asked.add(inode(at));
    const first = text(of(names, inode(at), Buffer.from('other')));
    if (first !== path(at)) expect.unreachable(`inode ${inode(at)}: ${first}`);
  }
});

test('names that differ in their directory alone, or in where the slash is, are different', () => {
  const names = new FirstNames();
  const paths = ['a', 'a/a', 'a/b/a', 'b/a', 'a/a/', 'ab/a', 'a/c', 'c', 'b/c'];
  for (const [inode, path] of paths.entries()) of(names, inode, Buffer.from(path));
  expect(paths.map((_, inode) => text(of(names, inode, Buffer.from('x'))))).toEqual(paths);
});

test('directories, and files with one name, are not kept', () => {
  const names = new FirstNames();
  expect(of(names, 5, Buffer.from('a'), 'directory', 3)).toBeUndefined();
  expect(of(names, 5, Buffer.from('b'), 'file', 1)).toBeUndefined();
  expect(of(names, 5, Buffer.from('c'), 'symlink', 2)).toBeUndefined();
  expect(text(of(names, 5, Buffer.from('d'), 'symlink', 2))).toBe('c');
});

test('a path takes the bytes of its name and few more, its directory next to none', () => {
  const count = 200_000;
  const bytes = retainedBy(() => {
    const names = new FirstNames();
    for (let at = 0; at < count; at++)
      of(names, at, Buffer.from(`usr/share/objects/${at >> 5}/a-name-of-thirty-bytes-${at + 1e5}`));
    return names;
  });
  expect(bytes / count).toBeGreaterThan(30);
  // 61 it is; with a view and an entry of a map for each it would be 190.
  expect(bytes / count).toBeLessThan(80);
});
