import type { Range } from '../../disk/patched.ts';
import { isSet, isZero } from './bytes.ts';
import { blocksIn, firstBlock, hasBackup, tableBlocks } from './groups.ts';
import { damaged } from './problems.ts';
import type { Superblock } from './superblock.ts';
import type { Volume } from './volume.ts';
import type { Workspace } from './workspace.ts';

/** What may read as zeros because nothing uses it, as the bitmaps of a workspace say. Bytes from the start of the volume. */

/** Every free block, and the bitmaps and reserved descriptor blocks that nobody has filled yet. */
export async function* freeBlocks(work: Workspace): AsyncGenerator<Range> {
  const { superblock, groups } = work.volume;
  const { blockSize } = superblock;
  for (let group = 0; group < superblock.groupsCount; group++) {
    const bitmap = await work.bitmap('block', group);
    yield* clearRuns(superblock, group, bitmap ?? untouchedBitmap(work.volume, group));
    if (bitmap === undefined) yield { position: groups.blockBitmap(group) * blockSize, length: blockSize };
    // In group 0 the reserved blocks are the resize inode's map, in the others only room for copies to come.
    if (group > 0) {
      const end = firstBlock(superblock, group) + blocksIn(superblock, group);
      for (const [block, count] of overhead(superblock, group).reserved) {
        if (block + count > end) {
          throw damaged('the superblock', `${count} reserved descriptor blocks do not fit into block group ${group}`);
        }
        yield { position: block * blockSize, length: count * blockSize };
      }
    }
  }
}

/**
 * Every unused inode, in whole blocks; blocks that hold used and unused ones are wiped in the workspace. A deleted inode
 * keeps its attributes, and with inline data its content.
 */
export async function* freeInodes(work: Workspace): AsyncGenerator<Range> {
  const { superblock, groups } = work.volume;
  const { blockSize, inodeSize, inodesPerGroup } = superblock;
  const perBlock = blockSize / inodeSize;
  const count = tableBlocks(superblock);
  for (let group = 0; group < superblock.groupsCount; group++) {
    const bitmap = await work.bitmap('inode', group);
    const table = groups.inodeTable(group);
    if (bitmap === undefined) {
      yield { position: table * blockSize, length: count * blockSize };
      yield { position: groups.inodeBitmap(group) * blockSize, length: blockSize };
      continue;
    }
    for (let block = 0; block < count; block++) {
      const unused: number[] = [];
      const here = Math.min(perBlock, inodesPerGroup - block * perBlock);
      for (let i = 0; i < here; i++) if (!isSet(bitmap, block * perBlock + i)) unused.push(i);
      if (unused.length === here) {
        // Freeing one of them brought the others into the workspace, which lies over the zeros.
        work.blocks.delete(table + block);
        yield { position: (table + block) * blockSize, length: blockSize };
      } else if (unused.length > 0) await wipeInodes(work, table + block, unused);
    }
  }
}

async function wipeInodes(work: Workspace, block: number, unused: readonly number[]): Promise<void> {
  const { inodeSize } = work.volume.superblock;
  const bytes = await work.read(block);
  const stale = unused.filter((i) => !isZero(bytes, i * inodeSize, (i + 1) * inodeSize));
  if (stale.length === 0) return;
  const own = await work.block(block);
  for (const i of stale) own.fill(0, i * inodeSize, (i + 1) * inodeSize);
}

/** The runs of clear bits as ranges of bytes. */
function* clearRuns(superblock: Superblock, group: number, bitmap: Uint8Array): Generator<Range> {
  const { blockSize, clusterRatio } = superblock;
  const blocks = blocksIn(superblock, group);
  const clusters = Math.ceil(blocks / clusterRatio);
  const base = firstBlock(superblock, group);
  for (let start = 0; start < clusters; start++) {
    if (isSet(bitmap, start)) continue;
    let end = start + 1;
    while (end < clusters && !isSet(bitmap, end)) end++;
    const first = start * clusterRatio;
    const length = Math.min(end * clusterRatio, blocks) - first;
    yield { position: (base + first) * blockSize, length: length * blockSize };
    start = end;
  }
}

/** The bitmap of a group that never had one written: only tables and backups are in use. */
function untouchedBitmap(volume: Volume, group: number): Uint8Array {
  const { superblock, groups } = volume;
  const bitmap = new Uint8Array(superblock.blockSize);
  const base = firstBlock(superblock, group);
  const end = base + blocksIn(superblock, group);
  const use = (block: number, count: number): void => {
    for (let at = Math.max(block, base); at < Math.min(block + count, end); at++) {
      const bit = Math.floor((at - base) / superblock.clusterRatio);
      bitmap[bit >>> 3]! |= 1 << (bit & 7);
    }
  };
  const { copies, reserved } = overhead(superblock, group);
  for (const [block, count] of [...copies, ...reserved]) use(block, count);
  // With flex_bg the tables of other groups may be in this one.
  for (let other = 0; other < superblock.groupsCount; other++) {
    use(groups.blockBitmap(other), 1);
    use(groups.inodeBitmap(other), 1);
    use(groups.inodeTable(other), tableBlocks(superblock));
  }
  return bitmap;
}

type Run = readonly [block: number, count: number];

/** The copies of the superblock and of the group descriptors at the start of a group, and the room to add to them. */
function overhead(superblock: Superblock, group: number): { copies: Run[]; reserved: Run[] } {
  const { blockSize, descriptorSize, groupsCount, firstMetaBg, reservedGdtBlocks } = superblock;
  const base = firstBlock(superblock, group);
  const perBlock = blockSize / descriptorSize;
  const backup = hasBackup(superblock, group);
  const copies: Run[] = backup ? [[base, 1]] : [];
  if (Math.floor(group / perBlock) < firstMetaBg) {
    if (!backup) return { copies, reserved: [] };
    const count = Math.min(Math.ceil(groupsCount / perBlock), firstMetaBg);
    copies.push([base + 1, count]);
    return { copies, reserved: [[base + 1 + count, reservedGdtBlocks]] };
  }
  const within = group % perBlock;
  if (within < 2 || within === perBlock - 1) copies.push([base + (backup ? 1 : 0), 1]);
  return { copies, reserved: [] };
}
