import type { Awaitable } from '../../disk/block-source.ts';
import type { FileExtent } from '../file-tree.ts';
import { readBlockMap } from './block-map.ts';
import { readExtentTree } from './extent-tree.ts';
import { FLAG, type Inode } from './inode.ts';
import { damaged } from './problems.ts';
import type { Run, Runs } from './runs.ts';
import type { Volume } from './volume.ts';

/**
 * Where the blocks of an inode are, and which blocks say so. Includes unwritten blocks and those past the end.
 * Not for inodes whose block area holds something else: inline data, short symlinks, devices.
 * @throws FormatError `ext4.damaged`, `ext4.checksum`
 */
export function readMapping(volume: Volume, inode: Inode): Awaitable<Runs> {
  return (inode.flags & FLAG.extents) !== 0 ? readExtentTree(volume, inode) : readBlockMap(volume, inode);
}

/** The runs of a file that hold data, in bytes, cut at the end of the file. */
export function fileExtents(volume: Volume, size: number, runs: readonly Run[]): FileExtent[] {
  const { blockSize } = volume.superblock;
  const extents: FileExtent[] = [];
  for (const run of runs) {
    const logical = run.logical * blockSize;
    if (run.unwritten || logical >= size) continue;
    extents.push({
      logical,
      length: Math.min(run.count * blockSize, size - logical),
      position: run.physical * blockSize,
    });
  }
  return extents;
}

/** The blocks of a directory in order, up to its size. @throws FormatError `ext4.damaged` for unwritten ones */
export function* directoryBlocks(
  volume: Volume,
  inode: Inode,
  runs: readonly Run[],
): Generator<{ logical: number; block: number }> {
  const end = Math.ceil(inode.size / volume.superblock.blockSize);
  for (const run of runs) {
    if (run.unwritten) {
      throw damaged(`directory inode ${inode.number}`, `its block ${run.logical} was never written`, {
        inode: inode.number,
      });
    }
    for (let i = 0; i < run.count && run.logical + i < end; i++) {
      yield { logical: run.logical + i, block: run.physical + i };
    }
  }
}
