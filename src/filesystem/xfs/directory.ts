import { type NamedInode, NameList } from '../name-list.ts';
import { be32 } from './bytes.ts';
import { parseDirents, parseShortForm } from './dirents.ts';
import { type Run, readRuns } from './extents.ts';
import { type HeaderLayout, verifyHeader } from './header.ts';
import { FORMAT, type Inode } from './inode.ts';
import { damaged } from './problems.ts';
import { readBlockAt, type Volume } from './volume.ts';

/**
 * Directories: in the inode, in one block with its index behind the names, or in data blocks with the index past
 * byte 2^35 of the fork (kernel: fs/xfs/libxfs/xfs_dir2.h, xfs_da_format.h). The index is not needed to list names.
 */

const INDEX_START = 2 ** 35;

const ONE_BLOCK = 0x58443242;
const DATA_BLOCK = 0x58443244;
const ONE_BLOCK_V5 = 0x58444233;
const DATA_BLOCK_V5 = 0x58444433;
const OLD_HEADER = 16;
const HEADER = 64;
const LAYOUT: HeaderLayout = { checksum: 4, sector: 8, uuid: 24, owner: 40, ownerBytes: 8 };

/** Behind the names of a directory of one block: its index, 8 bytes an entry, and two counts. */
const INDEX_ENTRY = 8;
const TAIL = 8;

/**
 * The names in a directory without "." and "..", in the order they are stored.
 * @throws FormatError `xfs.damaged`, `xfs.checksum`
 */
export async function readDirectory(volume: Volume, inode: Inode): Promise<NameList> {
  const { superblock } = volume;
  const found = new NameList();
  const add = (names: readonly NamedInode[]): void => {
    for (const { name, inode } of names) found.add(name, inode);
  };
  if (inode.data.format === FORMAT.local) {
    add(parseShortForm(superblock, inode.number, inode.data.bytes, inode.size));
    return found;
  }
  const runs = await readRuns(volume, inode, inode.data);
  for (const positions of directoryBlocks(volume, inode, runs)) {
    const bytes = await assemble(volume, positions);
    const magic = be32(bytes, 0);
    const alone = magic === (superblock.checked ? ONE_BLOCK_V5 : ONE_BLOCK);
    if (!alone && magic !== (superblock.checked ? DATA_BLOCK_V5 : DATA_BLOCK)) {
      throw damaged(`directory inode ${inode.number}`, `0x${magic.toString(16)} does not begin a block of names`, {
        inode: inode.number,
      });
    }
    verifyHeader(superblock, bytes, LAYOUT, {
      position: positions[0]!,
      owner: inode.number,
      what: `directory inode ${inode.number}`,
    });
    const end = alone ? indexStart(inode, bytes) : bytes.length;
    add(parseDirents(superblock, inode.number, bytes, superblock.checked ? HEADER : OLD_HEADER, end));
  }
  return found;
}

/** The byte positions of the file system blocks that each directory block is made of. */
function* directoryBlocks(volume: Volume, inode: Inode, runs: readonly Run[]): Generator<number[]> {
  const { blockSize, directoryBlocks: parts } = volume.superblock;
  const end = INDEX_START / blockSize;
  let positions: number[] = [];
  let next = 0;
  const fail = (why: string) => damaged(`directory inode ${inode.number}`, why, { inode: inode.number });
  let blocks = 0;
  for (const run of runs) {
    if (run.logical >= end) break;
    // Directories share no blocks; if they did, a small image could hold more names than fit into memory.
    blocks += run.count;
    if (blocks > volume.superblock.blocksCount) throw fail('it is larger than the file system');
    if (run.unwritten) throw fail(`its block ${run.logical} was never written`);
    if (positions.length > 0 && run.logical !== next) throw fail(`its block ${next} is missing`);
    if (positions.length === 0 && run.logical % parts !== 0) throw fail(`its block ${run.logical - 1} is missing`);
    for (let i = 0; i < run.count && run.logical + i < end; i++) {
      positions.push(run.position + i * blockSize);
      if (positions.length < parts) continue;
      yield positions;
      positions = [];
    }
    next = run.logical + run.count;
  }
  if (positions.length > 0) throw fail(`its block ${next} is missing`);
}

async function assemble(volume: Volume, positions: readonly number[]): Promise<Uint8Array> {
  const { blockSize } = volume.superblock;
  const bytes = new Uint8Array(positions.length * blockSize);
  for (const [i, position] of positions.entries()) {
    const read = readBlockAt(volume, position);
    bytes.set(read instanceof Promise ? await read : read, i * blockSize);
  }
  return bytes;
}

function indexStart(inode: Inode, bytes: Uint8Array): number {
  const count = be32(bytes, bytes.length - TAIL);
  const start = bytes.length - TAIL - count * INDEX_ENTRY;
  if (start >= HEADER) return start;
  throw damaged(`directory inode ${inode.number}`, `an index of ${count} names does not fit into its block`, {
    inode: inode.number,
  });
}
