import type { Awaitable, BlockSource } from '../../disk/block-source.ts';
import type { MetadataCache } from '../metadata-cache.ts';
import type { Groups } from './groups.ts';
import { damaged } from './problems.ts';
import type { Superblock } from './superblock.ts';

/** What every reader of a structure needs: the bytes of the file system and where its tables are. */
export interface Volume {
  readonly source: BlockSource;
  readonly superblock: Superblock;
  readonly groups: Groups;
  readonly cache: MetadataCache;
}

/** Block `number` of the file system, for reading only. `what` names it in an error. */
export function readBlock(volume: Volume, number: number, what: string): Awaitable<Uint8Array> {
  checkBlocks(volume, number, 1, what);
  const size = volume.superblock.blockSize;
  return volume.cache.peek(number * size, size) ?? volume.cache.load(number * size, size);
}

/** @throws FormatError `ext4.damaged` unless [number, number + count) are blocks that content may lie in */
export function checkBlocks(volume: Volume, number: number, count: number, what: string): void {
  const { firstDataBlock, blocksCount } = volume.superblock;
  if (number > firstDataBlock && number + count <= blocksCount) return;
  const where = count === 1 ? `block ${number}` : `blocks ${number} to ${number + count - 1}`;
  throw damaged(what, `it points to ${where}, outside ${firstDataBlock + 1} to ${blocksCount - 1}`, { block: number });
}
