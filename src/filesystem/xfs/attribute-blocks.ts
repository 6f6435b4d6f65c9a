import { ATTRIBUTE_FLAG, NODE_INFO, NODE_LAYOUT, parseLeaf, type RawAttribute } from './attribute-leaf.ts';
import { be16, be32 } from './bytes.ts';
import { positionOf, type Run, readRuns } from './extents.ts';
import { verifyHeader } from './header.ts';
import type { Fork, Inode } from './inode.ts';
import { damaged } from './problems.ts';
import { type RemoteFork, readRemote } from './remote.ts';
import { readBlockAt, type Volume } from './volume.ts';

/** Attributes in blocks: one leaf, or leaves in a chain below nodes (kernel: fs/xfs/libxfs/xfs_attr_leaf.c). */

const LEAF_MAGIC = 0xfbee;
const LEAF_MAGIC_V5 = 0x3bee;
const NODE_MAGIC = 0xfebe;
const NODE_MAGIC_V5 = 0x3ebe;
const OLD_NODE = { level: 14, count: 12, firstBelow: 20 } as const;
const NODE = { level: 58, count: 56, firstBelow: 68 } as const;
/** More than the kernel's XFS_DA_NODE_MAXDEPTH (5). */
const MAX_LEVEL = 8;
/** The longest value an attribute may have (kernel: XFS_XATTR_SIZE_MAX). */
const MAX_VALUE = 65536;

/**
 * Every attribute in the blocks of `fork`, those that a crash left half-made too, values read.
 * @throws FormatError `xfs.damaged`, `xfs.checksum`
 */
export async function readAttributeBlocks(volume: Volume, inode: Inode, fork: Fork): Promise<RawAttribute[]> {
  const runs = await readRuns(volume, inode, fork);
  if (runs.length === 0) return [];
  const blocks = runs.reduce((sum, run) => sum + run.count, 0);
  const found: RawAttribute[] = [];
  let leaf = await firstLeaf(volume, inode, fork, runs);
  for (let left = blocks; ; left--) {
    if (left === 0) throw damaged(fork.what, 'the chain of its leaves has no end', { inode: inode.number });
    found.push(...parseLeaf(volume.superblock, fork.what, leaf));
    const forward = be32(leaf, NODE_INFO.forward);
    if (forward === 0) break;
    leaf = await readNode(volume, inode, fork, runs, forward);
    if (!isLeaf(leaf)) throw damaged(fork.what, `its block ${forward} is no leaf`, { inode: inode.number });
  }
  return addValues(volume, { inode, what: fork.what, runs, blocks }, found);
}

async function firstLeaf(volume: Volume, inode: Inode, fork: Fork, runs: readonly Run[]): Promise<Uint8Array> {
  const shape = volume.superblock.checked ? NODE : OLD_NODE;
  let bytes = await readNode(volume, inode, fork, runs, 0);
  for (let above = MAX_LEVEL; !isLeaf(bytes); ) {
    const level = be16(bytes, shape.level);
    if (level === 0 || level >= above || be16(bytes, shape.count) === 0) {
      throw damaged(fork.what, `a node of level ${level} stands where one below ${above} should`, {
        inode: inode.number,
      });
    }
    bytes = await readNode(volume, inode, fork, runs, be32(bytes, shape.firstBelow));
    above = level;
  }
  return bytes;
}

function isLeaf(bytes: Uint8Array): boolean {
  const magic = be16(bytes, NODE_INFO.magic);
  return magic === LEAF_MAGIC || magic === LEAF_MAGIC_V5;
}

async function readNode(
  volume: Volume,
  inode: Inode,
  fork: Fork,
  runs: readonly Run[],
  logical: number,
): Promise<Uint8Array> {
  const { superblock } = volume;
  const position = positionOf(volume, runs, logical);
  if (position === undefined) throw damaged(fork.what, `it has no block ${logical}`, { inode: inode.number });
  const bytes = await readBlockAt(volume, position);
  const magic = be16(bytes, NODE_INFO.magic);
  const known = superblock.checked ? [LEAF_MAGIC_V5, NODE_MAGIC_V5] : [LEAF_MAGIC, NODE_MAGIC];
  if (!known.includes(magic)) {
    throw damaged(fork.what, `its block ${logical} is neither leaf nor node (0x${magic.toString(16)})`);
  }
  verifyHeader(superblock, bytes, NODE_LAYOUT, { position, owner: inode.number, what: fork.what });
  return bytes;
}

async function addValues(volume: Volume, fork: RemoteFork, found: readonly RawAttribute[]): Promise<RawAttribute[]> {
  const out: RawAttribute[] = [];
  let left = fork.blocks;
  for (const one of found) {
    if (one.value !== undefined || (one.flags & ATTRIBUTE_FLAG.incomplete) !== 0) {
      out.push(one);
      continue;
    }
    // Values do not share blocks; if they did, a damaged leaf could stand for more than fits into memory.
    left -= Math.ceil(one.valueSize / volume.superblock.blockSize);
    if (one.valueSize > MAX_VALUE || left < 0) {
      throw damaged(fork.what, `a value of ${one.valueSize} bytes is too long`, { inode: fork.inode.number });
    }
    out.push({ ...one, value: await readRemote(volume, fork, one.valueBlock, one.valueSize) });
  }
  return out;
}
