import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { memorySource } from '../../fixtures/memory-source.ts';
import { FILE_FLAG, FlagCounts, KERNEL_FLAGS } from '../../src/filesystem/file-flags.ts';
import type { Entry, FileData, FileTree } from '../../src/filesystem/file-tree.ts';
import { contentDigest, LONGEST_WHOLE } from '../../src/pack/content-digest.ts';
import { manifestLines } from '../../src/pack/tree-manifest.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const ROOT: Entry = {
  path: utf8(''),
  kind: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: 0n,
  inode: 2,
  links: 2,
  xattrs: [],
};
const content = (text: string): FileData => ({ size: text.length, extents: [], inline: utf8(text) });
const FILE: Entry = { ...ROOT, path: utf8('a'), kind: 'file', mode: 0o644, inode: 12, links: 1, data: content('a') };

async function lines(entries: readonly Entry[], latestTime?: bigint): Promise<string> {
  const tree = { entries: () => entries } as unknown as FileTree;
  let text = '';
  for await (const line of manifestLines(tree, latestTime)) text += line;
  return text;
}

describe('the manifest of a tree', () => {
  test('is a JSON object a line, keys in one order', async () => {
    const xattrs = ['user.b', 'user.a'].map((name) => ({ name: utf8(name), value: Uint8Array.of(0, 255) }));
    const device = { ...ROOT, path: utf8('c'), kind: 'character' as const, device: { major: 1, minor: 3 } };
    const link = { ...FILE, path: utf8('l'), kind: 'symlink' as const, target: Uint8Array.of(0xff), data: undefined };
    const { data: _, ...symlink } = link;
    const text = await lines([
      ROOT,
      { ...FILE, mtime: -1_500_000_000n, xattrs },
      { ...device, inode: 5, links: 1 },
      symlink,
    ]);
    expect(text.split('\n')).toEqual([
      '{"path":"/","type":"directory","mode":"0755","uid":0,"gid":0,"mtime":"0"}',
      `{"path":"/a","type":"file","mode":"0644","uid":0,"gid":0,"mtime":"-1.5","size":1,"sha256":"${createHash('sha256').update('a').digest('hex')}","xattrs":[{"name":"user.a","value":"AP8="},{"name":"user.b","value":"AP8="}]}`,
      '{"path":"/c","type":"character","mode":"0755","uid":0,"gid":0,"mtime":"0","device":[1,3]}',
      '{"path":"/l","type":"symlink","mode":"0644","uid":0,"gid":0,"mtime":"0","targetBase64":"/w=="}',
      '',
    ]);
  });

  test.each<[what: string, change: Partial<Entry>]>([
    ['a name', { path: utf8('b') }],
    ['a byte of a name that is not UTF-8', { path: Uint8Array.of(0xff) }],
    ['a mode', { mode: 0o4644 }],
    ['an owner', { uid: 1 }],
    ['a group', { gid: 1 }],
    ['a nanosecond', { mtime: 1n }],
    ['content', { data: content('b') }],
    ['an attribute', { xattrs: [{ name: utf8('user.a'), value: utf8('') }] }],
    ['its kind', { kind: 'fifo' }],
  ])('differs by %s', async (_, change) => {
    expect(await lines([ROOT, { ...FILE, ...change }])).not.toBe(await lines([ROOT, FILE]));
  });

  test('does not tell inode numbers, counts of links, and sockets', async () => {
    const other = [
      { ...ROOT, inode: 7, links: 9 },
      { ...FILE, inode: 99 },
      { ...FILE, kind: 'socket' as const },
    ];
    expect(await lines(other)).toBe(await lines([ROOT, FILE]));
  });

  test('tells an ACL once, where XFS shows it twice', async () => {
    const acl = { name: utf8('system.posix_acl_access'), value: utf8('acl') };
    const stored = { name: utf8('trusted.SGI_ACL_FILE'), value: utf8('acl as XFS has it') };
    expect(await lines([{ ...FILE, xattrs: [acl, stored] }])).toBe(await lines([{ ...FILE, xattrs: [acl] }]));
    expect(await lines([{ ...FILE, xattrs: [stored] }])).not.toBe(await lines([FILE]));
  });

  test('a byte order mark in a name stays, and names no text can hold do not meet', async () => {
    const names = [utf8('\ufeffa'), utf8('a'), Uint8Array.of(0x61, 0xff), utf8('a\ufffd')];
    const text = await lines(names.map((path, at) => ({ ...FILE, path, inode: at })));
    expect(new Set(text.trimEnd().split('\n')).size).toBe(4);
    expect(text).toContain('"path":"/\ufeffa"');
    expect(text).toContain(`"pathBase64":"${Buffer.from([0x2f, 0x61, 0xff]).toString('base64')}"`);
  });

  test('a hard link is told by the first name, and a file whose other names are gone as any', async () => {
    const linked = { ...FILE, links: 3 };
    const text = await lines([ROOT, linked, { ...linked, path: utf8('b') }]);
    expect(text).toContain('{"path":"/b","type":"hardLink","target":"/a"}');
    expect(await lines([ROOT, linked])).toBe(await lines([ROOT, FILE]));
  });

  test('times after the latest are the latest', async () => {
    expect(await lines([{ ...FILE, mtime: 9n }], 5n)).toBe(await lines([{ ...FILE, mtime: 5n }]));
    expect(await lines([{ ...FILE, mtime: 4n }], 5n)).toBe(await lines([{ ...FILE, mtime: 4n }]));
  });
});

describe('the digest of content', () => {
  const stored = Uint8Array.from({ length: 3_000_000 }, (_, at) => (at * 7) & 0xff);
  const source = memorySource(stored);

  test('is that of the file, wherever its holes are', async () => {
    const whole = new Uint8Array(5_000_001);
    whole.set(stored.subarray(100, 2_000_100), 1_000_000);
    whole.set(stored.subarray(0, 500), 4_999_501);
    const extents = [
      { logical: 1_000_000, length: 1_500_000, position: 100 },
      { logical: 2_500_000, length: 500_000, position: 1_500_100 },
      { logical: 4_999_501, length: 500, position: 0 },
    ];
    const sha256 = createHash('sha256').update(whole).digest('hex');
    expect(await contentDigest({ size: whole.length, extents, source })).toEqual({ sha256 });
    expect(await contentDigest({ size: whole.length, extents: [], inline: whole })).toEqual({ sha256 });
    const empty = createHash('sha256').digest('hex');
    expect(await contentDigest({ size: 0, extents: [] })).toEqual({ sha256: empty });
  });

  test('beyond 1 GiB is that of the blocks that hold something, however they are stored', async () => {
    const size = LONGEST_WHOLE * 1000 + 777;
    const last = Math.floor(size / 4096);
    const at = (block: number): Buffer => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(BigInt(block));
      return bytes;
    };
    const block = Buffer.alloc(4096);
    block.set(stored.subarray(1, 101), 1000);
    block.set(stored.subarray(200, 300), 1100);
    const hash = createHash('sha256').update(at(5)).update(block);
    hash.update(at(6)).update(stored.subarray(0, 4096));
    hash.update(at(last)).update(stored.subarray(8192, 8192 + (size % 4096)));
    const sha256Blocks = hash.digest('hex');
    const end = { logical: last * 4096, length: size % 4096, position: 8192 };
    const pieces = [
      { logical: 5 * 4096 + 1000, length: 100, position: 1 },
      { logical: 5 * 4096 + 1100, length: 100, position: 200 },
      { logical: 6 * 4096, length: 4096, position: 0 },
      end,
    ];
    expect(await contentDigest({ size, extents: pieces, source })).toEqual({ sha256Blocks });
    const joined = Buffer.concat([Buffer.alloc(8192), block, stored.subarray(0, 4096), Buffer.alloc(4096), stored]);
    const whole = [
      { logical: 3 * 4096, length: 5 * 4096, position: 0 },
      { ...end, position: 5 * 4096 + 8192 },
    ];
    expect(await contentDigest({ size, extents: whole, source: memorySource(joined) })).toEqual({ sha256Blocks });
  });
});

describe('flags that no archive holds', () => {
  test('are counted by name', () => {
    const counts = new FlagCounts();
    expect(`${counts}`).toBe('');
    counts.add(FILE_FLAG.immutable);
    counts.add(FILE_FLAG.immutable + FILE_FLAG.project);
    counts.add(FILE_FLAG.project);
    expect(counts.inodes).toBe(3);
    expect(`${counts}`).toBe('2 immutable (i), 2 project number');
  });

  test("leave out what a file system sets for itself: extents, hash trees, inline data, a value's inode", () => {
    expect(KERNEL_FLAGS & (0x1000 | 0x40000 | 0x80000 | 0x200000 | 0x400000 | 0x10000000)).toBe(0);
    expect(KERNEL_FLAGS & FILE_FLAG.caseFolded).toBe(FILE_FLAG.caseFolded);
  });
});
