import { FormatError } from '../../errors.ts';
import { crc32cRegister } from '../../formats/crc32c.ts';
import { fixedText, u16, u32, wide } from './bytes.ts';
import { INCOMPAT, RO_COMPAT, refuseUnreadable } from './features.ts';
import { badChecksum, damaged } from './problems.ts';

/** The superblock of ext2, ext3 and ext4 (kernel: Documentation/filesystems/ext4/super.rst). */

export const SUPERBLOCK_POSITION = 1024;
export const SUPERBLOCK_SIZE = 1024;
export const EXT_MAGIC = 0xef53;
export const ROOT_INODE = 2;
/** Offsets in the superblock that the editor writes, and that more than one place reads. */
export const SB = {
  freeBlocksLow: 0x0c,
  freeInodes: 0x10,
  magic: 0x38,
  uuid: 0x68,
  label: 0x78,
  freeBlocksHigh: 0x158,
  compat: 0x5c,
  incompat: 0x60,
  roCompat: 0x64,
  checksum: 0x3fc,
} as const;

const AT = {
  inodesCount: 0x00,
  blocksLow: 0x04,
  firstDataBlock: 0x14,
  logBlockSize: 0x18,
  logClusterSize: 0x1c,
  blocksPerGroup: 0x20,
  clustersPerGroup: 0x24,
  inodesPerGroup: 0x28,
  state: 0x3a,
  revision: 0x4c,
  firstInode: 0x54,
  inodeSize: 0x58,
  reservedGdtBlocks: 0xce,
  journalInode: 0xe0,
  lastOrphan: 0xe8,
  descriptorSize: 0xfe,
  firstMetaBg: 0x104,
  blocksHigh: 0x150,
  mmpBlock: 0x168,
  checksumType: 0x175,
  userQuotaInode: 0x240,
  groupQuotaInode: 0x244,
  backupGroups: 0x24c,
  projectQuotaInode: 0x26c,
  checksumSeed: 0x270,
} as const;

const CHECKSUM_TYPE_CRC32C = 1;
const OLD_REVISION = 0;
const OLD_INODE_SIZE = 128;
const OLD_FIRST_INODE = 11;
const MIN_DESCRIPTOR = 32;
const MAX_LOG_BLOCK_SIZE = 6;

export const STATE_VALID = 0x1;
export const STATE_ERROR = 0x2;

export interface Superblock {
  /** Bytes. */
  readonly blockSize: number;
  readonly clusterSize: number;
  /** Blocks in a cluster; 1 without bigalloc. */
  readonly clusterRatio: number;
  readonly blocksCount: number;
  readonly inodesCount: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  readonly clustersPerGroup: number;
  readonly inodesPerGroup: number;
  readonly groupsCount: number;
  readonly inodeSize: number;
  readonly firstInode: number;
  readonly descriptorSize: number;
  readonly firstMetaBg: number;
  readonly reservedGdtBlocks: number;
  readonly backupGroups: readonly [number, number];
  readonly compat: number;
  readonly incompat: number;
  readonly roCompat: number;
  readonly state: number;
  readonly lastOrphan: number;
  readonly journalInode: number;
  readonly mmpBlock: number;
  readonly quotaInodes: readonly number[];
  readonly uuid: Uint8Array;
  readonly label: string;
  /** The register every metadata checksum starts from. */
  readonly checksumSeed: number;
  readonly metadataCsum: boolean;
  readonly gdtCsum: boolean;
}

/** The checksum of a superblock's 1024 bytes. */
export function superblockChecksum(bytes: Uint8Array): number {
  return crc32cRegister(0xffffffff, bytes, 0, SB.checksum);
}

/**
 * Reads the 1024 bytes of a superblock.
 * @throws FormatError `ext4.not-ext4` without the magic, `ext4.checksum`, `ext4.unsupported`, `ext4.damaged`
 */
export function parseSuperblock(bytes: Uint8Array): Superblock {
  if (bytes.length < SUPERBLOCK_SIZE || u16(bytes, SB.magic) !== EXT_MAGIC) {
    throw new FormatError('ext4.not-ext4', 'Cannot read an ext4 file system here: there is no ext2/3/4 superblock', {
      hint: 'compose inspect shows what the disk holds.',
    });
  }
  const old = u32(bytes, AT.revision) === OLD_REVISION;
  const compat = old ? 0 : u32(bytes, SB.compat);
  const incompat = old ? 0 : u32(bytes, SB.incompat);
  const roCompat = old ? 0 : u32(bytes, SB.roCompat);
  const has = (word: number, bit: number): boolean => (word & bit) !== 0;
  const metadataCsum = has(roCompat, RO_COMPAT.metadataCsum);
  if (metadataCsum) verify(bytes);
  refuseUnreadable(incompat);

  const logBlockSize = u32(bytes, AT.logBlockSize);
  if (logBlockSize > MAX_LOG_BLOCK_SIZE) throw wrong('the block size', `2^${10 + logBlockSize}`);
  const blockSize = 1024 << logBlockSize;
  const bigalloc = has(roCompat, RO_COMPAT.bigalloc);
  const logClusterSize = bigalloc ? u32(bytes, AT.logClusterSize) : logBlockSize;
  if (logClusterSize < logBlockSize || logClusterSize > 19) throw wrong('the cluster size', `2^${10 + logClusterSize}`);
  const clusterSize = 1024 * 2 ** logClusterSize;
  const bits64 = has(incompat, INCOMPAT.bits64);
  const blocksCount = wide(u32(bytes, AT.blocksLow), bits64 ? u32(bytes, AT.blocksHigh) : 0);
  const firstDataBlock = u32(bytes, AT.firstDataBlock);
  const blocksPerGroup = u32(bytes, AT.blocksPerGroup);
  const clustersPerGroup = bigalloc ? u32(bytes, AT.clustersPerGroup) : blocksPerGroup;
  const inodesPerGroup = u32(bytes, AT.inodesPerGroup);
  const inodesCount = u32(bytes, AT.inodesCount);
  const clusterRatio = clusterSize / blockSize;
  const bitsPerBlock = blockSize * 8;
  if (firstDataBlock > 1 || firstDataBlock >= blocksCount) throw wrong('the first data block', firstDataBlock);
  if (blocksPerGroup === 0 || clustersPerGroup > bitsPerBlock || blocksPerGroup !== clustersPerGroup * clusterRatio) {
    throw wrong('the blocks per group', blocksPerGroup);
  }
  if (inodesPerGroup === 0 || inodesPerGroup > bitsPerBlock) throw wrong('the inodes per group', inodesPerGroup);
  const groupsCount = Math.ceil((blocksCount - firstDataBlock) / blocksPerGroup);
  if (inodesCount !== groupsCount * inodesPerGroup) throw wrong('the number of inodes', inodesCount);
  const inodeSize = old ? OLD_INODE_SIZE : u16(bytes, AT.inodeSize);
  if (inodeSize < OLD_INODE_SIZE || inodeSize > blockSize || (inodeSize & (inodeSize - 1)) !== 0) {
    throw wrong('the inode size', inodeSize);
  }
  const descriptorSize = bits64 ? u16(bytes, AT.descriptorSize) : MIN_DESCRIPTOR;
  if (descriptorSize < (bits64 ? 64 : 32) || descriptorSize > 1024 || (descriptorSize & (descriptorSize - 1)) !== 0) {
    throw wrong('the size of group descriptors', descriptorSize);
  }
  const reservedGdtBlocks = u16(bytes, AT.reservedGdtBlocks);
  // As the kernel does (fs/ext4/super.c): each has a place in one indirect block of the resize inode.
  if (reservedGdtBlocks > blockSize / 4) throw wrong('the reserved descriptor blocks', reservedGdtBlocks);
  const uuid = bytes.slice(SB.uuid, SB.uuid + 16);
  return {
    blockSize,
    clusterSize,
    clusterRatio,
    blocksCount,
    inodesCount,
    firstDataBlock,
    blocksPerGroup,
    clustersPerGroup,
    inodesPerGroup,
    groupsCount,
    inodeSize,
    firstInode: old ? OLD_FIRST_INODE : u32(bytes, AT.firstInode),
    descriptorSize,
    firstMetaBg: has(incompat, INCOMPAT.metaBg) ? u32(bytes, AT.firstMetaBg) : 0xffffffff,
    reservedGdtBlocks,
    backupGroups: [u32(bytes, AT.backupGroups), u32(bytes, AT.backupGroups + 4)],
    compat,
    incompat,
    roCompat,
    state: u16(bytes, AT.state),
    lastOrphan: u32(bytes, AT.lastOrphan),
    journalInode: u32(bytes, AT.journalInode),
    mmpBlock: wide(u32(bytes, AT.mmpBlock), u32(bytes, AT.mmpBlock + 4)),
    quotaInodes: [AT.userQuotaInode, AT.groupQuotaInode, AT.projectQuotaInode].map((at) => u32(bytes, at)),
    uuid,
    label: fixedText(bytes.subarray(SB.label, SB.label + 16)),
    checksumSeed: has(incompat, INCOMPAT.csumSeed) ? u32(bytes, AT.checksumSeed) : crc32cRegister(0xffffffff, uuid),
    metadataCsum,
    gdtCsum: !metadataCsum && has(roCompat, RO_COMPAT.gdtCsum),
  };
}

function verify(bytes: Uint8Array): void {
  const type = bytes[AT.checksumType]!;
  if (type !== CHECKSUM_TYPE_CRC32C) throw wrong('the checksum type', type);
  const stored = u32(bytes, SB.checksum);
  const computed = superblockChecksum(bytes);
  if (stored !== computed) throw badChecksum('the superblock', stored, computed);
}

function wrong(what: string, value: number | string): FormatError {
  return damaged('the superblock', `${what} cannot be ${value}`, { value });
}
