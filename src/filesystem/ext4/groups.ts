import { type BlockSource, readBytes } from '../../disk/block-source.ts';
import { crc16Register } from '../../formats/crc16.ts';
import { crc32cRegister, crc32cWord } from '../../formats/crc32c.ts';
import { u16, u32, wide } from './bytes.ts';
import { COMPAT, RO_COMPAT } from './features.ts';
import { badChecksum, damaged } from './problems.ts';
import type { Superblock } from './superblock.ts';

/** Block group descriptors (kernel: Documentation/filesystems/ext4/group_descr.rst). */

export const GD = {
  blockBitmap: 0x00,
  inodeBitmap: 0x04,
  inodeTable: 0x08,
  freeBlocks: 0x0c,
  freeInodes: 0x0e,
  usedDirs: 0x10,
  flags: 0x12,
  blockBitmapChecksum: 0x18,
  inodeBitmapChecksum: 0x1a,
  itableUnused: 0x1c,
  checksum: 0x1e,
  blockBitmapHigh: 0x20,
  inodeBitmapHigh: 0x24,
  inodeTableHigh: 0x28,
  freeBlocksHigh: 0x2c,
  freeInodesHigh: 0x2e,
  usedDirsHigh: 0x30,
  itableUnusedHigh: 0x32,
  blockBitmapChecksumHigh: 0x38,
  inodeBitmapChecksumHigh: 0x3a,
} as const;

const LARGE_DESCRIPTOR = 64;
export const INODE_UNINIT = 0x1;
export const BLOCK_UNINIT = 0x2;

/** The group descriptors of a volume, checked when they were read. */
export class Groups {
  readonly #superblock: Superblock;
  readonly #bytes: Uint8Array;
  readonly #large: boolean;

  constructor(superblock: Superblock, bytes: Uint8Array) {
    this.#superblock = superblock;
    this.#bytes = bytes;
    this.#large = superblock.descriptorSize >= LARGE_DESCRIPTOR;
  }

  /** The bytes of one descriptor; not to be written to. */
  descriptor(group: number): Uint8Array {
    const size = this.#superblock.descriptorSize;
    return this.#bytes.subarray(group * size, (group + 1) * size);
  }

  blockBitmap(group: number): number {
    return this.#pointer(group, GD.blockBitmap, GD.blockBitmapHigh);
  }

  inodeBitmap(group: number): number {
    return this.#pointer(group, GD.inodeBitmap, GD.inodeBitmapHigh);
  }

  inodeTable(group: number): number {
    return this.#pointer(group, GD.inodeTable, GD.inodeTableHigh);
  }

  flags(group: number): number {
    return u16(this.#bytes, group * this.#superblock.descriptorSize + GD.flags);
  }

  #pointer(group: number, low: number, high: number): number {
    const at = group * this.#superblock.descriptorSize;
    return wide(u32(this.#bytes, at + low), this.#large ? u32(this.#bytes, at + high) : 0);
  }
}

/**
 * Reads and checks every group descriptor.
 * @throws FormatError `ext4.checksum`, `ext4.damaged`
 */
export async function readGroups(source: BlockSource, superblock: Superblock): Promise<Groups> {
  const { groupsCount, descriptorSize, blockSize, blocksCount } = superblock;
  const perBlock = blockSize / descriptorSize;
  const blocks = Math.ceil(groupsCount / perBlock);
  if (blocks >= blocksCount) {
    throw damaged('the superblock', `${groupsCount} block groups do not fit into ${blocksCount} blocks`);
  }
  const bytes = new Uint8Array(blocks * blockSize);
  for (let index = 0; index < blocks; index++) {
    const block = descriptorBlock(superblock, index);
    if (block >= blocksCount) throw damaged('the group descriptors', `block ${block} is past the end`, { block });
    // Without meta_bg the descriptors lie in one run.
    const run = index < superblock.firstMetaBg ? Math.min(blocks, superblock.firstMetaBg) - index : 1;
    if (block + run > blocksCount) throw damaged('the group descriptors', 'they go past the end', { block });
    bytes.set(await readBytes(source, block * blockSize, run * blockSize), index * blockSize);
    index += run - 1;
  }
  const groups = new Groups(superblock, bytes);
  for (let group = 0; group < groupsCount; group++) check(superblock, groups, group);
  return groups;
}

/** The block that holds piece `index` of the group descriptors; see ext4_super's descriptor_loc for meta_bg. */
export function descriptorBlock(superblock: Superblock, index: number): number {
  const { blockSize, firstDataBlock, descriptorSize } = superblock;
  if (index < superblock.firstMetaBg) return (blockSize === 1024 ? 1 : 0) + 1 + index;
  const group = index * (blockSize / descriptorSize);
  let offset = hasBackup(superblock, group) ? 1 : 0;
  if (blockSize === 1024 && index === 0 && firstDataBlock === 0) offset++;
  return firstBlock(superblock, group) + offset;
}

export function firstBlock(superblock: Superblock, group: number): number {
  return superblock.firstDataBlock + group * superblock.blocksPerGroup;
}

/** Blocks in `group`; the last one may be shorter. */
export function blocksIn(superblock: Superblock, group: number): number {
  return Math.min(superblock.blocksPerGroup, superblock.blocksCount - firstBlock(superblock, group));
}

/** Blocks of an inode table. */
export function tableBlocks(superblock: Superblock): number {
  return Math.ceil((superblock.inodesPerGroup * superblock.inodeSize) / superblock.blockSize);
}

/** True when `group` begins with a superblock or its copy. */
export function hasBackup(superblock: Superblock, group: number): boolean {
  if (group === 0) return true;
  if ((superblock.compat & COMPAT.sparseSuper2) !== 0) return superblock.backupGroups.includes(group);
  if (group === 1 || (superblock.roCompat & RO_COMPAT.sparseSuper) === 0) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

/** What `GD.checksum` of a descriptor must be; undefined on a file system without such checksums. */
export function descriptorChecksum(superblock: Superblock, group: number, bytes: Uint8Array): number | undefined {
  const after = GD.checksum + 2;
  if (superblock.metadataCsum) {
    let crc = crc32cRegister(crc32cWord(superblock.checksumSeed, group), bytes, 0, GD.checksum);
    crc = crc32cRegister(crc, ZERO_CHECKSUM);
    return crc32cRegister(crc, bytes, after, superblock.descriptorSize) & 0xffff;
  }
  if (!superblock.gdtCsum) return undefined;
  let crc = crc16Register(0xffff, superblock.uuid);
  crc = crc16Register(crc, Uint8Array.of(group, group >>> 8, group >>> 16, group >>> 24));
  crc = crc16Register(crc, bytes, 0, GD.checksum);
  return crc16Register(crc, bytes, after, superblock.descriptorSize);
}

const ZERO_CHECKSUM = new Uint8Array(2);

function check(superblock: Superblock, groups: Groups, group: number): void {
  const bytes = groups.descriptor(group);
  const computed = descriptorChecksum(superblock, group, bytes);
  const stored = u16(bytes, GD.checksum);
  if (computed !== undefined && computed !== stored) {
    throw badChecksum(`the descriptor of block group ${group}`, stored, computed, { group });
  }
  const places = [
    ['block bitmap', groups.blockBitmap(group), 1],
    ['inode bitmap', groups.inodeBitmap(group), 1],
    ['inode table', groups.inodeTable(group), tableBlocks(superblock)],
  ] as const;
  for (const [what, block, count] of places) {
    if (block < superblock.firstDataBlock || block === 0 || block + count > superblock.blocksCount) {
      throw damaged(
        `the descriptor of block group ${group}`,
        `its ${what} is at block ${block}, outside the file system`,
        { group, block },
      );
    }
  }
}
