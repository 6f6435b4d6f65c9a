import type { Awaitable } from '../../disk/block-source.ts';
import { be16, be32, be64 } from './bytes.ts';
import { type HeaderLayout, verifyHeader } from './header.ts';
import { FORMAT, type Fork, type Inode } from './inode.ts';
import { damaged } from './problems.ts';
import { blockPosition, readBlockAt, type Volume } from './volume.ts';

/**
 * Where the blocks of a fork are: a list of extents in the inode, or a B-tree whose root is there (kernel:
 * fs/xfs/libxfs/xfs_bmap_btree.c, xfs_format.h).
 */

const RECORD = 16;
const KEY = 8;
const POINTER = 8;

/** The root in the inode: a short header, then keys, then pointers. */
const ROOT_HEADER = 4;
const NODE = { magic: 0, level: 4, records: 6 } as const;
const OLD_HEADER = 24;
const HEADER = 72;
const LAYOUT: HeaderLayout = { sector: 24, uuid: 40, owner: 56, ownerBytes: 8, checksum: 64 };
const OLD_MAGIC = 0x424d4150;
const MAGIC = 0x424d4133;
/** More than any tree of 2^48 extents has, in blocks of 512 bytes. */
const MAX_LEVEL = 24;

/** Blocks of a fork that lie one after the other, in blocks of the file system. */
export interface Run {
  readonly logical: number;
  /** Byte position of the first one in the file system. */
  readonly position: number;
  readonly count: number;
  /** Allocated but reads as zeros. */
  readonly unwritten: boolean;
}

/**
 * The runs of a fork, sorted by `logical` and not overlapping; one for each record, so that two may touch.
 * @throws FormatError `xfs.damaged`, `xfs.checksum`
 */
export function readRuns(volume: Volume, inode: Inode, fork: Fork): Awaitable<readonly Run[]> {
  if (fork.format === FORMAT.extents) {
    if (fork.extents * RECORD > fork.bytes.length) {
      throw damaged(fork.what, `its ${fork.extents} extents do not fit into the inode`, { inode: inode.number });
    }
    const runs: Run[] = [];
    decodeRecords(volume, fork, fork.bytes, 0, fork.extents, runs);
    return runs;
  }
  if (fork.format === FORMAT.btree) return readTree(volume, inode, fork);
  throw damaged(fork.what, `its format ${fork.format} has no blocks`, { inode: inode.number });
}

async function readTree(volume: Volume, inode: Inode, fork: Fork): Promise<Run[]> {
  const { bytes, what } = fork;
  const level = be16(bytes, 0);
  const count = be16(bytes, 2);
  const room = Math.floor((bytes.length - ROOT_HEADER) / (KEY + POINTER));
  if (level === 0 || level > MAX_LEVEL || count === 0 || count > room) {
    throw damaged(what, `the root of its tree has ${count} records at level ${level}`, { inode: inode.number });
  }
  const runs: Run[] = [];
  const pointers = ROOT_HEADER + room * KEY;
  for (let i = 0; i < count; i++) {
    await readNode(volume, inode, fork, be64(bytes, pointers + i * POINTER), level - 1, runs);
  }
  if (runs.length !== fork.extents) {
    throw damaged(what, `its tree has ${runs.length} extents, its inode counts ${fork.extents}`, {
      inode: inode.number,
    });
  }
  return runs;
}

/**
 * Adds the records below one block. Every block has one at least, and records only go up, so that a tree that leads
 * to one block twice ends in an error and not in a walk of all the ways there.
 */
async function readNode(
  volume: Volume,
  inode: Inode,
  fork: Fork,
  number: number,
  level: number,
  runs: Run[],
): Promise<void> {
  const { checked, blockSize } = volume.superblock;
  const { what } = fork;
  const position = blockPosition(volume, number, 1, what);
  const bytes = await readBlockAt(volume, position);
  const header = checked ? HEADER : OLD_HEADER;
  const count = be16(bytes, NODE.records);
  const size = level === 0 ? RECORD : KEY + POINTER;
  const room = Math.floor((blockSize - header) / size);
  if (be32(bytes, NODE.magic) !== (checked ? MAGIC : OLD_MAGIC) || be16(bytes, NODE.level) !== level) {
    throw damaged(what, `block ${number} is no node of its tree at level ${level}`, { inode: inode.number });
  }
  verifyHeader(volume.superblock, bytes, LAYOUT, { position, owner: inode.number, what });
  if (count === 0 || count > room) throw damaged(what, `block ${number} of its tree has ${count} records`);
  if (level === 0) {
    decodeRecords(volume, fork, bytes, header, count, runs);
    return;
  }
  const pointers = header + room * KEY;
  for (let i = 0; i < count; i++) {
    await readNode(volume, inode, fork, be64(bytes, pointers + i * POINTER), level - 1, runs);
  }
}

/** A record is 128 bits: 1 of unwritten, 54 of the place in the fork, 52 of the block, 21 of the number of blocks. */
function decodeRecords(volume: Volume, fork: Fork, bytes: Uint8Array, start: number, count: number, runs: Run[]): void {
  const before = runs.at(-1);
  let next = before === undefined ? 0 : before.logical + before.count;
  for (let at = start, end = start + count * RECORD; at < end; at += RECORD) {
    const word0 = be32(bytes, at);
    const word1 = be32(bytes, at + 4);
    const word3 = be32(bytes, at + 12);
    const logical = (word0 & 0x7fffffff) * 2 ** 23 + (word1 >>> 9);
    const block = (word1 & 0x1ff) * 2 ** 43 + be32(bytes, at + 8) * 2 ** 11 + (word3 >>> 21);
    const length = word3 & 0x1fffff;
    if (length === 0 || logical < next) {
      throw damaged(fork.what, `an extent of ${length} blocks at block ${logical} comes where ${next} or more should`);
    }
    const position = blockPosition(volume, block, length, fork.what);
    runs.push({ logical, position, count: length, unwritten: word0 >>> 31 === 1 });
    next = logical + length;
  }
}

/** Byte position of block `logical` of a fork, or undefined where it has none. */
export function positionOf(volume: Volume, runs: readonly Run[], logical: number): number | undefined {
  let low = 0;
  let high = runs.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const run = runs[middle]!;
    if (logical < run.logical) high = middle - 1;
    else if (logical >= run.logical + run.count) low = middle + 1;
    else return run.unwritten ? undefined : run.position + (logical - run.logical) * volume.superblock.blockSize;
  }
  return undefined;
}
