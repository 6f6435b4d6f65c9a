import { describe, expect, test } from 'vitest';
import { memorySource } from '../../fixtures/memory-source.ts';
import { MetadataCache } from '../../src/filesystem/metadata-cache.ts';
import { aclValue } from '../../src/filesystem/xfs/acl.ts';
import { checksum } from '../../src/filesystem/xfs/checksum.ts';
import { parseShortForm } from '../../src/filesystem/xfs/dirents.ts';
import { readRuns } from '../../src/filesystem/xfs/extents.ts';
import { FORMAT, type Inode, readInode } from '../../src/filesystem/xfs/inode.ts';
import { whyLogDirty } from '../../src/filesystem/xfs/log.ts';
import { parseSuperblock, SB, type Superblock } from '../../src/filesystem/xfs/superblock.ts';
import type { Volume } from '../../src/filesystem/xfs/volume.ts';

const MIB = 1024 * 1024;

/** Bytes that are written by place, big-endian as XFS has them. */
function paper(length: number) {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  return { bytes, view };
}

/** The superblock of 4 MiB in two groups of blocks of 1 KiB, version 4. */
function superblockBytes(change: (view: DataView) => void = () => {}): Uint8Array {
  const { bytes, view } = paper(512);
  view.setUint32(SB.magic, 0x58465342);
  view.setUint32(SB.blockSize, 1024);
  view.setBigUint64(SB.blocksCount, 4096n);
  view.setBigUint64(SB.rootInode, 64n);
  view.setUint32(SB.groupBlocks, 2048);
  view.setUint32(SB.groupsCount, 2);
  view.setUint16(SB.version, 0xb4a4);
  view.setUint16(SB.sectorSize, 512);
  view.setUint16(SB.inodeSize, 256);
  for (const [at, log] of [
    [SB.blockLog, 10],
    [SB.sectorLog, 9],
    [SB.inodeLog, 8],
    [SB.inodesPerBlockLog, 2],
    [SB.groupBlocksLog, 11],
  ] as const) {
    view.setUint8(at, log);
  }
  change(view);
  return bytes;
}

function volumeOf(bytes: Uint8Array, changes: Partial<Superblock> = {}): Volume {
  const source = memorySource(bytes);
  return {
    source,
    superblock: { ...parseSuperblock(superblockBytes()), ...changes },
    cache: new MetadataCache(source),
  };
}

describe('a superblock', () => {
  test.each<[string, (view: DataView) => void, string]>([
    ['of something else', (view) => view.setUint32(SB.magic, 1), 'xfs.not-xfs'],
    ['of version 3', (view) => view.setUint16(SB.version, 0xb4a3), 'xfs.unsupported'],
    ['with version 1 directories', (view) => view.setUint16(SB.version, 0x94a4), 'xfs.unsupported'],
    ['of version 6', (view) => view.setUint16(SB.version, 0xb4a6), 'xfs.unsupported'],
    ['of version 5 without checksum', (view) => view.setUint16(SB.version, 0xb4a5), 'xfs.checksum'],
    ['with blocks of 256 bytes', (view) => view.setUint32(SB.blockSize, 256), 'xfs.damaged'],
    ['with a shift beyond 32 bits', (view) => view.setUint8(SB.blockLog, 42), 'xfs.damaged'],
    ['with inodes longer than blocks', (view) => view.setUint16(SB.inodeSize, 2048), 'xfs.damaged'],
    ['with directory blocks of 128 KiB', (view) => view.setUint8(SB.directoryBlockLog, 7), 'xfs.damaged'],
    ['with a group too many', (view) => view.setUint32(SB.groupsCount, 3), 'xfs.damaged'],
    ['without groups', (view) => view.setUint32(SB.groupBlocks, 0), 'xfs.damaged'],
    ['with more blocks than can be', (view) => view.setBigUint64(SB.blocksCount, 1n << 60n), 'xfs.damaged'],
    ['of a copy that did not end', (view) => view.setUint8(SB.inProgress, 1), 'xfs.damaged'],
    [
      'with inode numbers beyond 2^53',
      (view) => {
        view.setUint32(SB.groupBlocks, 0x7fffffff);
        view.setUint8(SB.groupBlocksLog, 31);
        view.setUint32(SB.groupsCount, 2 ** 21);
        view.setBigUint64(SB.blocksCount, 0x7fffffffn * BigInt(2 ** 21));
      },
      'xfs.unsupported',
    ],
  ])('%s is refused', (_, change, code) => {
    expect(() => parseSuperblock(superblockBytes(change))).toThrow(expect.objectContaining({ code }));
  });

  test('shorter than its fields is none', () => {
    expect(() => parseSuperblock(superblockBytes().subarray(0, 200))).toThrow(
      expect.objectContaining({ code: 'xfs.not-xfs' }),
    );
  });
});

test('the checksum takes its own field as zero', () => {
  const { bytes, view } = paper(64);
  bytes.fill(7);
  const before = checksum(bytes, 12);
  view.setUint32(12, 0xdeadbeef);
  expect(checksum(bytes, 12)).toBe(before);
  bytes[40]! ^= 1;
  expect(checksum(bytes, 12)).not.toBe(before);
});

describe('an inode of version 4', () => {
  const inode = async (change: (view: DataView) => void) => {
    const { bytes, view } = paper(4 * MIB);
    const at = 20 * 1024 + 256;
    const part = new DataView(view.buffer, at, 256);
    part.setUint16(0, 0x494e);
    part.setUint16(2, 0o100644);
    part.setUint8(4, 2);
    part.setUint8(5, FORMAT.extents);
    part.setUint32(16, 3);
    change(part);
    return readInode(volumeOf(bytes), 81);
  };

  test('counts its links in 16 bits in the first version', async () => {
    const one = await inode((view) => {
      view.setUint8(4, 1);
      view.setUint16(6, 7);
      view.setUint32(16, 0);
    });
    expect(one.links).toBe(7);
    expect((await inode(() => {})).links).toBe(3);
  });

  test.each([
    [-1, 999_999_999, -1n],
    [0, 0, 0n],
    [-(2 ** 31), 5, -2_147_483_648n * 1_000_000_000n + 5n],
    [2 ** 31 - 1, 1, 2_147_483_647n * 1_000_000_000n + 1n],
  ])('has its time from %d seconds and %d nanoseconds', async (seconds, nanoseconds, expected) => {
    const one = await inode((view) => {
      view.setInt32(40, seconds);
      view.setInt32(44, nanoseconds);
    });
    expect(one.mtime).toBe(expected);
  });

  test.each<[string, (view: DataView) => void]>([
    ['without its magic', (view) => view.setUint16(0, 0)],
    ['of version 3', (view) => view.setUint8(4, 3)],
    ['that is deleted', (view) => view.setUint16(2, 0)],
    ['without links', (view) => view.setUint32(16, 0)],
    ['of no known kind', (view) => view.setUint16(2, 0o170644)],
    ['larger than can be counted', (view) => view.setUint8(56, 0x7f)],
    ['with attributes past its end', (view) => view.setUint8(82, 20)],
  ])('%s is damaged', async (_, change) => {
    await expect(inode(change)).rejects.toMatchObject({ code: 'xfs.damaged' });
  });

  test.each([0, 2 ** 13 * 2, 2 ** 52])('numbered %d is damaged', async (number) => {
    const read = async () => readInode(volumeOf(new Uint8Array(4 * MIB)), number);
    await expect(read()).rejects.toMatchObject({ code: 'xfs.damaged' });
  });
});

/** 128 bits: unwritten, place in the fork, block, number of blocks. */
function record(view: DataView, at: number, logical: bigint, block: bigint, count: bigint, unwritten = 0n): void {
  const value = (unwritten << 127n) | (logical << 73n) | (block << 21n) | count;
  view.setBigUint64(at, value >> 64n);
  view.setBigUint64(at + 8, value & 0xffffffffffffffffn);
}

describe('the extents of a fork', () => {
  const inode = { number: 81 } as Inode;
  const list = async (...records: [logical: bigint, block: bigint, count: bigint, unwritten?: bigint][]) => {
    const { bytes, view } = paper(160);
    for (const [i, one] of records.entries()) record(view, i * 16, ...one);
    const fork = { what: 'a fork', format: FORMAT.extents, bytes, extents: records.length };
    return readRuns(volumeOf(new Uint8Array(0)), inode, fork);
  };

  test('are read field by field', async () => {
    expect(await list([0n, 5n, 3n], [3n, 2048n + 7n, 1n, 1n], [(1n << 45n) + 1n, 9n, 2n])).toEqual([
      { logical: 0, position: 5 * 1024, count: 3, unwritten: false },
      { logical: 3, position: (2048 + 7) * 1024, count: 1, unwritten: true },
      { logical: 2 ** 45 + 1, position: 9 * 1024, count: 2, unwritten: false },
    ]);
  });

  test.each<[string, Parameters<typeof list>]>([
    ['without length', [[0n, 5n, 0n]]],
    [
      'that overlap',
      [
        [0n, 5n, 3n],
        [2n, 9n, 1n],
      ],
    ],
    ['in the headers of a group', [[0n, 1n, 1n]]],
    ['past the last group', [[0n, 3n << 11n, 1n]]],
    ['that leave their group', [[0n, 2040n, 9n]]],
    ['far outside', [[0n, (1n << 52n) - 1n, 1n]]],
  ])('%s are damaged', async (_, records) => {
    await expect(list(...records)).rejects.toMatchObject({ code: 'xfs.damaged' });
  });

  /** A root over `pointers`, and a leaf in block 100 with one extent for place 10. */
  const tree = async (pointers: readonly number[], extents: number, level = 1) => {
    const { bytes, view } = paper(4 * MIB);
    view.setUint32(100 * 1024, 0x424d4150);
    view.setUint16(100 * 1024 + 4, level - 1);
    view.setUint16(100 * 1024 + 6, 1);
    record(view, 100 * 1024 + 24, 10n, 50n, 2n);
    const root = paper(100);
    root.view.setUint16(0, level);
    root.view.setUint16(2, pointers.length);
    for (const [i, pointer] of pointers.entries()) root.view.setBigUint64(4 + 6 * 8 + i * 8, BigInt(pointer));
    const fork = { what: 'a fork', format: FORMAT.btree, bytes: root.bytes, extents };
    return readRuns(volumeOf(bytes), inode, fork);
  };

  test('are found below a root', async () => {
    expect(await tree([100], 1)).toEqual([{ logical: 10, position: 50 * 1024, count: 2, unwritten: false }]);
  });

  test.each([
    ['with one leaf twice', [100, 100], 2, 1],
    ['with more than the inode counts', [100], 2, 1],
    ['without pointers', [], 0, 1],
    ['to a block that is no node', [101], 1, 1],
    ['of no level', [100], 1, 0],
    ['deeper than any', [100], 1, 60000],
  ] as const)('in a tree %s are damaged', async (_, pointers, extents, level) => {
    await expect(tree(pointers, extents, level)).rejects.toMatchObject({ code: 'xfs.damaged' });
  });
});

describe('the log', () => {
  const BLOCKS = 1024;
  const START = 64 * 1024;
  /** A log whose first `head` blocks are of cycle `newer`, the rest of `older`, with an unmount record before `head`. */
  const log = async (
    head: number,
    newer: number,
    older: number,
    change: (view: DataView, at: number) => void = () => {},
  ) => {
    const { bytes, view } = paper(4 * MIB);
    for (let i = 0; i < BLOCKS; i++) view.setUint32(START + i * 512, i < head ? newer : older);
    const first = (head - 2 + BLOCKS) % BLOCKS;
    const at = START + first * 512;
    view.setUint32(at, 0xfeedbabe);
    view.setUint32(at + 4, head === 0 ? older : newer);
    view.setUint32(at + 8, 2);
    view.setUint32(at + 12, 512);
    view.setUint32(at + 40, 1);
    view.setUint32(at + 320, 32768);
    view.setUint8(START + ((head - 1 + BLOCKS) % BLOCKS) * 512 + 9, 0x20);
    change(view, at);
    return whyLogDirty(volumeOf(bytes, { logStart: 64, logBlocks: BLOCKS / 2 }));
  };

  test.each([
    ['just made', 2, 1, 0],
    ['on its first round', 700, 1, 0],
    ['on a later one', 500, 8, 7],
    ['that ends with the ring', 0, 8, 8],
    ['with one block to go', 1023, 8, 7],
  ])('%s, unmounted, is clean', async (_, head, newer, older) => {
    expect(await log(head, newer, older)).toBeUndefined();
  });

  test('of nothing but zeros is clean, and so is one elsewhere', async () => {
    const bytes = new Uint8Array(4 * MIB);
    expect(await whyLogDirty(volumeOf(bytes, { logStart: 64, logBlocks: 512 }))).toBeUndefined();
    expect(await whyLogDirty(volumeOf(bytes, { logStart: 0, logBlocks: 512 }))).toBeUndefined();
  });

  test.each<[string, (view: DataView, at: number) => void]>([
    ['that ends with another operation', (view, at) => view.setUint8(at + 512 + 9, 0x01)],
    ['whose last record has two operations', (view, at) => view.setUint32(at + 40, 2)],
    ['whose last record ends early', (view, at) => view.setUint32(at + 12, 0)],
    ['whose last record goes on', (view, at) => view.setUint32(at + 12, 1024)],
    ['without a record', (view, at) => view.setUint32(at, 8)],
    ['with a header of four blocks', (view, at) => view.setUint32(at + 320, 131072)],
  ])('%s has to be replayed', async (_, change) => {
    expect(await log(500, 8, 7, change)).toContain('log');
  });

  test('outside the file system is damaged', async () => {
    const volume = volumeOf(new Uint8Array(4 * MIB), { logStart: 2000, logBlocks: 512 });
    await expect(whyLogDirty(volume)).rejects.toMatchObject({ code: 'xfs.damaged' });
  });
});

test('an ACL comes out as getxattr gives it', () => {
  const { bytes, view } = paper(4 + 3 * 12);
  view.setUint32(0, 3);
  for (const [i, [tag, id, permissions]] of [
    [0x01, 0xffffffff, 6],
    [0x02, 1234, 7],
    [0x20, 0, 4],
  ].entries()) {
    view.setUint32(4 + i * 12, tag!);
    view.setUint32(8 + i * 12, id!);
    view.setUint16(12 + i * 12, permissions!);
  }
  const hex = '0200000001000600ffffffff02000700d204000020000400ffffffff';
  expect(Buffer.from(aclValue(1, bytes)).toString('hex')).toBe(hex);
  for (const broken of [bytes.subarray(0, 30), new Uint8Array(2), new Uint8Array(4), new Uint8Array(40).fill(255)]) {
    expect(() => aclValue(1, broken)).toThrow(expect.objectContaining({ code: 'xfs.damaged' }));
  }
});

describe('a directory in its inode', () => {
  const superblock = { ...parseSuperblock(superblockBytes()), ftype: true };
  // One entry: "ab" at inode 0x01020304.
  const short = [1, 0, 0, 0, 0, 64, 2, 0, 96, 0x61, 0x62, 1, 1, 2, 3, 4];

  test('gives its names, with short and with long inode numbers', () => {
    const found = parseShortForm(superblock, 64, Uint8Array.from(short), short.length);
    expect(found).toEqual([{ name: Uint8Array.of(0x61, 0x62), inode: 0x01020304 }]);
    const long = [1, 1, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 96, 0x61, 1, 0, 0, 0, 2, 0, 0, 0, 5];
    const [one] = parseShortForm(superblock, 64, Uint8Array.from(long), long.length);
    expect(one?.inode).toBe(2 * 2 ** 32 + 5);
  });

  test.each([
    ['a name without length', 6, 0],
    ['a name past the end', 6, 30],
    ['more entries than there are', 0, 2],
    ['fewer entries than there are', 0, 0],
    ['a slash in a name', 9, 0x2f],
    ['a zero in a name', 9, 0],
  ])('with %s is damaged', (_, at, value) => {
    const bytes = Uint8Array.from(short);
    bytes[at] = value;
    expect(() => parseShortForm(superblock, 64, bytes, bytes.length)).toThrow(
      expect.objectContaining({ code: 'xfs.damaged' }),
    );
  });
});
