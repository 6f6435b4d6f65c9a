import { COMPAT } from './features.ts';
import { readAnyInode } from './inode.ts';
import { readMapping } from './mapping.ts';
import { damaged } from './problems.ts';
import type { Run } from './runs.ts';
import { readBlock, type Volume } from './volume.ts';

/** The journal inside the file system (kernel: Documentation/filesystems/ext4/journal.rst). All its numbers are big-endian. */

const JBD2_MAGIC = 0xc03b3998;
const MAGIC = 0x00;
const BLOCK_TYPE = 0x04;
const FIRST_LOG_BLOCK = 0x1c;
const ERROR_NUMBER = 0x20;
const SUPERBLOCK_TYPES = [3, 4];

/** Where the journal's blocks are; undefined when there is none, or it is on a device of its own. */
export async function journalRuns(volume: Volume): Promise<readonly Run[] | undefined> {
  const { superblock } = volume;
  if ((superblock.compat & COMPAT.hasJournal) === 0 || superblock.journalInode === 0) return undefined;
  if (superblock.journalInode > superblock.inodesCount) {
    throw damaged('the journal', `its inode ${superblock.journalInode} is past the last one`);
  }
  const inode = await readAnyInode(volume, superblock.journalInode);
  const { runs } = await readMapping(volume, inode);
  if (runs[0]?.logical !== 0 || runs.some((run) => run.unwritten)) {
    throw damaged('the journal', 'parts of it have no blocks', { inode: inode.number });
  }
  return runs;
}

/** True when the journal holds changes, or an error, that a mount or a check would act on. */
export async function journalHasData(volume: Volume): Promise<boolean> {
  const runs = await journalRuns(volume);
  if (runs === undefined) return false;
  const block = await readBlock(volume, runs[0]!.physical, 'the journal');
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  if (view.getUint32(MAGIC) !== JBD2_MAGIC || !SUPERBLOCK_TYPES.includes(view.getUint32(BLOCK_TYPE))) {
    throw damaged('the journal', 'its first block is no journal superblock', { block: runs[0]!.physical });
  }
  return view.getUint32(FIRST_LOG_BLOCK) !== 0 || view.getInt32(ERROR_NUMBER) !== 0;
}
