import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/filesystem/file-tree.ts';
import { NameList } from '../../src/filesystem/name-list.ts';
import { type DirectoryReader, walkTree } from '../../src/filesystem/walk.ts';

type Node = { readonly [name: string]: number } | string | null;

/** A file system of three kinds: directories by name → inode, symlinks as their target, files as null. */
function reader(nodes: Readonly<Record<number, Node>>): DirectoryReader & { readonly asked: number[] } {
  const asked: number[] = [];
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  return {
    asked,
    root: 2,
    directory: (inode) => {
      asked.push(inode);
      const node = nodes[inode];
      const names = new NameList();
      if (node !== null && typeof node === 'object') {
        for (const [name, number] of Object.entries(node)) names.add(text(name), number);
      }
      return names.sort((name) => new Error(`${Buffer.from(name)} is there twice`));
    },
    entry: async (inode, path): Promise<Entry> => {
      const node = nodes[inode] ?? null;
      const common = { path, mode: 0, uid: 0, gid: 0, mtime: 0n, inode, links: 1, xattrs: [] };
      if (typeof node === 'string') return { ...common, kind: 'symlink', target: text(node) };
      return { ...common, kind: node === null ? 'file' : 'directory' };
    },
  };
}

const words = async (entries: AsyncIterable<Entry> | Iterable<Entry>): Promise<string[]> => {
  const out: string[] = [];
  for await (const { path, inode } of entries) out.push(`/${Buffer.from(path)} ${inode}`);
  return out;
};

describe('a walk', () => {
  test('gives parents before children, and children in the order of their bytes', async () => {
    const tree = walkTree(reader({ 2: { b: 3, a: 4, 'a.': 5, Z: 6 }, 3: { x: 7 }, 4: { y: 8 } }));
    expect(await words(tree.entries())).toEqual(['/ 2', '/Z 6', '/a 4', '/a/y 8', '/a. 5', '/b 3', '/b/x 7']);
  });

  test('ends at a directory that holds itself, and at one with two names', async () => {
    for (const nodes of [{ 2: { a: 2 } }, { 2: { a: 3 }, 3: { b: 3 } }, { 2: { a: 3, b: 3 }, 3: {} }]) {
      await expect(words(walkTree(reader(nodes)).entries())).rejects.toMatchObject({ code: 'tree.loop' });
    }
  });

  test('ends where a path is longer than any kernel takes', async () => {
    const nodes: Record<number, Node> = {};
    for (let i = 2; i < 400; i++) nodes[i] = { ['x'.repeat(255)]: i + 1 };
    await expect(words(walkTree(reader(nodes)).entries())).rejects.toMatchObject({ code: 'tree.too-deep' });
  });

  test('goes on in a mounted file system, whose inodes stay apart', async () => {
    const mounts = new Map([['a', reader({ 2: { x: 3 } })]]);
    const tree = walkTree(reader({ 2: { a: 3, b: 4 }, 3: { hidden: 5 } }), mounts);
    expect(await words(tree.entries())).toEqual(['/ 2', '/a 17592186044418', '/a/x 17592186044419', '/b 4']);
    expect(await words(await tree.list('/a'))).toEqual(['/a/x 17592186044419']);
    expect(await tree.lookup('/a/hidden')).toBeUndefined();
    expect((await tree.lookup('/a/../b'))?.inode).toBe(4);
  });
});

describe('a look-up', () => {
  const tree = walkTree(
    reader({
      2: { etc: 3, usr: 4, bin: 5, loop: 6, up: 7, far: 10 },
      3: { alternatives: 8, passwd: 9 },
      4: { bin: 11 },
      5: 'usr/bin',
      6: 'loop',
      7: '../../etc',
      8: '/etc/passwd',
      10: 'up/alternatives',
      11: { sh: 12 },
    }),
  );
  test.each<[string, boolean, number | undefined, string]>([
    ['/', false, 2, 'the root'],
    ['', false, 2, 'the root'],
    ['etc/passwd', false, 9, 'no leading slash'],
    ['/etc/', false, 3, 'a trailing slash'],
    ['/etc/./../usr/bin/sh', false, 12, 'dots'],
    ['/bin/sh', false, 12, 'a relative symlink on the way'],
    ['/bin', false, 5, 'the last symlink stays'],
    ['/bin', true, 11, 'the last symlink followed'],
    ['/etc/alternatives', true, 9, 'an absolute symlink'],
    ['/up/passwd', false, 9, 'above the root is the root'],
    ['/far', true, 9, 'symlinks to symlinks'],
    ['/loop', true, undefined, 'a loop'],
    ['/loop/x', false, undefined, 'a loop on the way'],
    ['/etc/passwd/x', false, undefined, 'a file is no directory'],
    ['/nothing', true, undefined, 'not there'],
  ])('of %s, follow %s, finds inode %s: %s', async (path, follow, inode) => {
    expect((await tree.lookup(path, { follow }))?.inode).toBe(inode);
  });

  test('lists directories only, through symlinks too', async () => {
    expect(await words(await tree.list('/bin'))).toEqual(['/usr/bin/sh 12']);
    expect(await tree.list('/etc/passwd')).toEqual([]);
  });
});
