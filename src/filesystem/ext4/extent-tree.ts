import type { Awaitable } from '../../disk/block-source.ts';
import { u16, u32, wide } from './bytes.ts';
import { blockChecksum } from './checksum.ts';
import { BLOCK_AREA, INODE, type Inode } from './inode.ts';
import { badChecksum, damaged } from './problems.ts';
import { pushRun, type Run, type Runs } from './runs.ts';
import { checkBlocks, readBlock, type Volume } from './volume.ts';

/** Extent trees (kernel: Documentation/filesystems/ext4/ifork.rst). */

export const EXTENT_MAGIC = 0xf30a;
export const EXTENT_HEADER = { magic: 0, entries: 2, max: 4, depth: 6 } as const;
export const EXTENT_HEADER_SIZE = 12;
export const EXTENT_SIZE = 12;
const EXTENT = { logical: 0, length: 4, startHigh: 6, startLow: 8 } as const;
const INDEX = { logical: 0, leafLow: 4, leafHigh: 8 } as const;
const MAX_DEPTH = 5;
/** Lengths above this are unwritten extents of the length less this. */
const UNWRITTEN_BASE = 32768;
const LOGICAL_END = 0x1_0000_0000;

interface Node {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly entries: number;
  readonly depth: number;
}

interface Walk {
  readonly runs: Run[];
  readonly mapBlocks: number[];
  readonly seen: Set<number>;
  /** First logical block that the next extent may cover. */
  next: number;
  blocks: number;
}

/** @throws FormatError `ext4.damaged` for a tree that loops, overlaps or points outside; `ext4.checksum` */
export function readExtentTree(volume: Volume, inode: Inode): Awaitable<Runs> {
  const walk: Walk = { runs: [], mapBlocks: [], seen: new Set(), next: 0, blocks: 0 };
  const root = parseNode(inode, inode.bytes, INODE.block, BLOCK_AREA, undefined);
  if (root.depth > 0) return descend(volume, inode, root, LOGICAL_END, walk).then(() => walk);
  readLeaf(volume, inode, root, LOGICAL_END, walk);
  return walk;
}

async function descend(volume: Volume, inode: Inode, node: Node, end: number, walk: Walk): Promise<void> {
  for (let i = 0; i < node.entries; i++) {
    const at = node.start + EXTENT_HEADER_SIZE + i * EXTENT_SIZE;
    const logical = u32(node.bytes, at + INDEX.logical);
    const block = wide(u32(node.bytes, at + INDEX.leafLow), u16(node.bytes, at + INDEX.leafHigh));
    const nextLogical = i + 1 < node.entries ? u32(node.bytes, at + EXTENT_SIZE + INDEX.logical) : end;
    if (logical < walk.next || nextLogical <= logical || nextLogical > end) {
      throw broken(inode, `its index of logical block ${logical} is out of order`);
    }
    if (walk.seen.has(block)) throw broken(inode, `block ${block} is in its extent tree twice`);
    walk.seen.add(block);
    const read = readBlock(volume, block, `the extent tree of inode ${inode.number}`);
    const bytes = read instanceof Promise ? await read : read;
    const child = parseNode(inode, bytes, 0, bytes.length, node.depth - 1);
    verifyNode(volume, inode, child, block);
    walk.mapBlocks.push(block);
    walk.next = logical;
    if (child.depth === 0) readLeaf(volume, inode, child, nextLogical, walk);
    else await descend(volume, inode, child, nextLogical, walk);
  }
}

function readLeaf(volume: Volume, inode: Inode, node: Node, end: number, walk: Walk): void {
  for (let i = 0; i < node.entries; i++) {
    const at = node.start + EXTENT_HEADER_SIZE + i * EXTENT_SIZE;
    const logical = u32(node.bytes, at + EXTENT.logical);
    const length = u16(node.bytes, at + EXTENT.length);
    const physical = wide(u32(node.bytes, at + EXTENT.startLow), u16(node.bytes, at + EXTENT.startHigh));
    const unwritten = length > UNWRITTEN_BASE;
    const count = unwritten ? length - UNWRITTEN_BASE : length;
    if (count === 0 || logical < walk.next || logical + count > end) {
      throw broken(inode, `its extent of ${count} blocks at logical block ${logical} overlaps another`);
    }
    checkBlocks(volume, physical, count, `the extent tree of inode ${inode.number}`);
    walk.blocks += count;
    if (walk.blocks > volume.superblock.blocksCount) throw broken(inode, 'it maps more blocks than there are');
    pushRun(walk.runs, logical, physical, count, unwritten);
    walk.next = logical + count;
  }
}

function parseNode(inode: Inode, bytes: Uint8Array, start: number, room: number, depth: number | undefined): Node {
  const magic = u16(bytes, start + EXTENT_HEADER.magic);
  const entries = u16(bytes, start + EXTENT_HEADER.entries);
  const max = u16(bytes, start + EXTENT_HEADER.max);
  const found = u16(bytes, start + EXTENT_HEADER.depth);
  if (magic !== EXTENT_MAGIC) throw broken(inode, `a node begins with 0x${magic.toString(16)} in place of 0xf30a`);
  if (entries > max || EXTENT_HEADER_SIZE + max * EXTENT_SIZE > room) {
    throw broken(inode, `a node says it holds ${entries} of at most ${max} entries in ${room} bytes`);
  }
  if (depth === undefined ? found > MAX_DEPTH : found !== depth) {
    throw broken(inode, `a node says its depth is ${found}`);
  }
  return { bytes, start, entries, depth: found };
}

function verifyNode(volume: Volume, inode: Inode, node: Node, block: number): void {
  if (!volume.superblock.metadataCsum) return;
  const end = extentTail(node.bytes);
  if (end + 4 > node.bytes.length) throw broken(inode, `block ${block} has no room for its checksum`);
  const stored = u32(node.bytes, end);
  const computed = blockChecksum(inode.seed, node.bytes, end);
  if (stored === computed) return;
  throw badChecksum(`extent tree block ${block} of inode ${inode.number}`, stored, computed, {
    block,
    inode: inode.number,
  });
}

/** Where the checksum of an extent tree block is. */
function extentTail(bytes: Uint8Array): number {
  return EXTENT_HEADER_SIZE + u16(bytes, EXTENT_HEADER.max) * EXTENT_SIZE;
}

function broken(inode: Inode, why: string): Error {
  return damaged(`the extent tree of inode ${inode.number}`, why, { inode: inode.number });
}
