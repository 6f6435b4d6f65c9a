import type { Awaitable } from '../../disk/block-source.ts';
import { u32 } from './bytes.ts';
import { INODE, type Inode } from './inode.ts';
import { damaged } from './problems.ts';
import { pushRun, type Run, type Runs } from './runs.ts';
import { checkBlocks, readBlock, type Volume } from './volume.ts';

/** Block maps of ext2 and ext3: 12 direct blocks, then single, double and triple indirect ones. */

const DIRECT = 12;
const LEVELS = 3;

interface Walk {
  readonly runs: Run[];
  readonly mapBlocks: number[];
  readonly seen: Set<number>;
  blocks: number;
}

/** @throws FormatError `ext4.damaged` for a map that loops or points outside */
export function readBlockMap(volume: Volume, inode: Inode): Awaitable<Runs> {
  const walk: Walk = { runs: [], mapBlocks: [], seen: new Set(), blocks: 0 };
  const what = `the block map of inode ${inode.number}`;
  for (let i = 0; i < DIRECT; i++) {
    addBlock(volume, what, walk, i, u32(inode.bytes, INODE.block + i * 4));
  }
  for (let level = 1; level <= LEVELS; level++) {
    if (u32(inode.bytes, INODE.block + (DIRECT + level - 1) * 4) !== 0) return indirect(volume, inode, what, walk);
  }
  return walk;
}

async function indirect(volume: Volume, inode: Inode, what: string, walk: Walk): Promise<Runs> {
  const perBlock = volume.superblock.blockSize / 4;
  let logical = DIRECT;
  for (let level = 1; level <= LEVELS; level++) {
    const block = u32(inode.bytes, INODE.block + (DIRECT + level - 1) * 4);
    if (block !== 0) await descend(volume, what, walk, block, level, logical);
    logical += perBlock ** level;
  }
  return walk;
}

async function descend(
  volume: Volume,
  what: string,
  walk: Walk,
  block: number,
  level: number,
  logical: number,
): Promise<void> {
  if (walk.seen.has(block)) throw damaged(what, `block ${block} is in it twice`, { block });
  walk.seen.add(block);
  walk.mapBlocks.push(block);
  const read = readBlock(volume, block, what);
  const bytes = read instanceof Promise ? await read : read;
  const span = (bytes.length / 4) ** (level - 1);
  for (let i = 0; i < bytes.length / 4; i++) {
    const pointer = u32(bytes, i * 4);
    if (pointer === 0) continue;
    if (level === 1) addBlock(volume, what, walk, logical + i, pointer);
    else await descend(volume, what, walk, pointer, level - 1, logical + i * span);
  }
}

function addBlock(volume: Volume, what: string, walk: Walk, logical: number, block: number): void {
  if (block === 0) return;
  checkBlocks(volume, block, 1, what);
  if (++walk.blocks > volume.superblock.blocksCount) throw damaged(what, 'it maps more blocks than there are');
  pushRun(walk.runs, logical, block, 1, false);
}
