import type { Awaitable, BlockSource } from '../../disk/block-source.ts';
import type { MetadataCache } from '../metadata-cache.ts';
import { damaged } from './problems.ts';
import type { Superblock } from './superblock.ts';

/** What every reader of a structure needs. */
export interface Volume {
  readonly source: BlockSource;
  readonly superblock: Superblock;
  readonly cache: MetadataCache;
}

/** The superblock, free space, inode and free list headers at the start of an allocation group, a sector each. */
export const HEADER_SECTORS = 4;

/** Blocks in allocation group `group`; the last one may be shorter. */
export function blocksInGroup(superblock: Superblock, group: number): number {
  return Math.min(superblock.groupBlocks, superblock.blocksCount - group * superblock.groupBlocks);
}

/**
 * The byte position of block `number`, which holds the allocation group in its upper bits and the block within it in
 * its lower ones. `what` names in an error who pointed there.
 * @throws FormatError `xfs.damaged` unless all `count` blocks from it on lie in one group, behind its headers
 */
export function blockPosition(volume: Volume, number: number, count: number, what: string): number {
  const { superblock } = volume;
  const span = 2 ** superblock.groupBlocksLog;
  const group = Math.floor(number / span);
  const within = number % span;
  if (group < superblock.groupsCount) return groupBlockPosition(volume, group, within, count, what);
  throw damaged(what, `it points to block ${number} in allocation group ${group} of ${superblock.groupsCount}`);
}

/** As `blockPosition`, for block `within` of allocation group `group`. */
export function groupBlockPosition(volume: Volume, group: number, within: number, count: number, what: string): number {
  const { superblock } = volume;
  const { blockSize, sectorSize, groupBlocks } = superblock;
  const first = Math.ceil((HEADER_SECTORS * sectorSize) / blockSize);
  const end = blocksInGroup(superblock, group);
  if (within < first || within + count > end) {
    const where = count === 1 ? `block ${within}` : `blocks ${within} to ${within + count - 1}`;
    throw damaged(what, `it points to ${where} of allocation group ${group}, outside ${first} to ${end - 1}`);
  }
  return (group * groupBlocks + within) * blockSize;
}

/** The block of the file system at `position`, for reading only. */
export function readBlockAt(volume: Volume, position: number): Awaitable<Uint8Array> {
  const size = volume.superblock.blockSize;
  return volume.cache.peek(position, size) ?? volume.cache.load(position, size);
}
