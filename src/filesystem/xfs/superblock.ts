import { FormatError } from '../../errors.ts';
import { be16, be32, be64 } from './bytes.ts';
import { verifyChecksum } from './checksum.ts';
import { FEATURES2, INCOMPAT, refuseUnreadable, VERSION, VERSION_NUMBER } from './features.ts';
import { damaged, unsupported } from './problems.ts';

/** The superblock at the start of the file system (kernel: fs/xfs/libxfs/xfs_format.h, struct xfs_dsb). */

export const XFS_MAGIC = 0x58465342;
/** The longest sector a superblock can fill. */
export const MAX_SECTOR = 32768;

export const SB = {
  magic: 0,
  blockSize: 4,
  blocksCount: 8,
  realtimeBlocks: 16,
  uuid: 32,
  logStart: 48,
  rootInode: 56,
  groupBlocks: 84,
  groupsCount: 88,
  logBlocks: 96,
  version: 100,
  sectorSize: 102,
  inodeSize: 104,
  label: 108,
  blockLog: 120,
  sectorLog: 121,
  inodeLog: 122,
  inodesPerBlockLog: 123,
  groupBlocksLog: 124,
  inProgress: 126,
  directoryBlockLog: 192,
  features2: 200,
  badFeatures2: 204,
  roCompat: 212,
  incompat: 216,
  checksum: 224,
  metaUuid: 248,
} as const;
const LABEL_LENGTH = 12;
/** Everything of the above. */
const USED = 264;

export interface Superblock {
  /** Bytes. */
  readonly blockSize: number;
  readonly blockLog: number;
  readonly sectorSize: number;
  readonly inodeSize: number;
  readonly inodesPerBlockLog: number;
  readonly blocksCount: number;
  readonly groupBlocks: number;
  readonly groupBlocksLog: number;
  readonly groupsCount: number;
  readonly rootInode: number;
  /** First block of the log, or 0 when it is on a device of its own. */
  readonly logStart: number;
  readonly logBlocks: number;
  /** File system blocks in a directory block, a power of two. */
  readonly directoryBlocks: number;
  /** Version 5: every block of metadata has a checksum and says what it is. */
  readonly checked: boolean;
  /** Directory entries carry a file type. */
  readonly ftype: boolean;
  readonly incompat: number;
  readonly uuid: Uint8Array;
  /** The identifier in blocks of metadata, which stays when the other is changed. */
  readonly metaUuid: Uint8Array;
  readonly label: string;
}

/**
 * Reads a superblock; `bytes` are the first 32768 of the file system, or all there are.
 * @throws FormatError `xfs.not-xfs` without the magic, `xfs.checksum`, `xfs.unsupported`, `xfs.needs-repair`, `xfs.damaged`
 */
export function parseSuperblock(bytes: Uint8Array): Superblock {
  if (bytes.length < USED || be32(bytes, SB.magic) !== XFS_MAGIC) {
    throw new FormatError('xfs.not-xfs', 'Cannot read an XFS file system here: there is no XFS superblock', {
      hint: 'compose inspect shows what the disk holds.',
    });
  }
  const version = be16(bytes, SB.version);
  const number = version & VERSION_NUMBER;
  const sectorSize = powerOfTwo('the sector size', be16(bytes, SB.sectorSize), bytes[SB.sectorLog]!, 512, MAX_SECTOR);
  if (sectorSize > bytes.length) throw wrong('the sector size', sectorSize);
  const checked = number === 5;
  if (checked) verifyChecksum(bytes.subarray(0, sectorSize), SB.checksum, 'the superblock');
  refuseOld(number, version);
  const incompat = checked ? be32(bytes, SB.incompat) : 0;
  refuseUnreadable(incompat);
  if (bytes[SB.inProgress] !== 0) throw damaged('the superblock', 'mkfs.xfs or xfs_copy did not finish');

  const blockLog = bytes[SB.blockLog]!;
  const blockSize = powerOfTwo('the block size', be32(bytes, SB.blockSize), blockLog, 512, 65536);
  const inodeLog = bytes[SB.inodeLog]!;
  const inodeSize = powerOfTwo('the inode size', be16(bytes, SB.inodeSize), inodeLog, checked ? 512 : 256, 2048);
  const inodesPerBlockLog = bytes[SB.inodesPerBlockLog]!;
  if (inodesPerBlockLog !== blockLog - inodeLog) throw wrong('the inodes per block', `2^${inodesPerBlockLog}`);
  const directoryLog = bytes[SB.directoryBlockLog]!;
  if (directoryLog + blockLog > 16) throw wrong('the size of directory blocks', `2^${blockLog + directoryLog}`);
  const uuid = bytes.slice(SB.uuid, SB.uuid + 16);
  // An old kernel padded the structure and put its features four bytes on; either place may hold the true ones.
  const features2 = (version & VERSION.moreBits) === 0 ? 0 : be32(bytes, SB.features2) | be32(bytes, SB.badFeatures2);
  return {
    blockSize,
    blockLog,
    sectorSize,
    inodeSize,
    inodesPerBlockLog,
    ...geometry(bytes, inodesPerBlockLog),
    rootInode: be64(bytes, SB.rootInode),
    logStart: be64(bytes, SB.logStart),
    logBlocks: be32(bytes, SB.logBlocks),
    directoryBlocks: 1 << directoryLog,
    checked,
    ftype: checked ? (incompat & INCOMPAT.ftype) !== 0 : (features2 & FEATURES2.ftype) !== 0,
    incompat,
    uuid,
    metaUuid: (incompat & INCOMPAT.metaUuid) !== 0 ? bytes.slice(SB.metaUuid, SB.metaUuid + 16) : uuid,
    label: labelText(bytes.subarray(SB.label, SB.label + LABEL_LENGTH)),
  };
}

function refuseOld(number: number, version: number): void {
  const needed = VERSION.dirV2 | VERSION.extentFlag;
  const old = number < 4 || (number === 4 && (version & needed) !== needed);
  if (!old && number <= 5) return;
  throw unsupported(
    number > 5 ? `its version is ${number}` : `it is of an old form (version ${number}, or version 1 directories)`,
    'compose reads versions 4 and 5, which every Linux of the last twenty years writes.',
    { version: number },
  );
}

function geometry(
  bytes: Uint8Array,
  inodesPerBlockLog: number,
): Pick<Superblock, 'blocksCount' | 'groupBlocks' | 'groupBlocksLog' | 'groupsCount'> {
  const blocksCount = be64(bytes, SB.blocksCount);
  const groupBlocks = be32(bytes, SB.groupBlocks);
  const groupBlocksLog = bytes[SB.groupBlocksLog]!;
  const groupsCount = be32(bytes, SB.groupsCount);
  if (groupBlocks === 0 || Math.ceil(Math.log2(groupBlocks)) !== groupBlocksLog) {
    throw wrong('the blocks per allocation group', groupBlocks);
  }
  if (!Number.isSafeInteger(blocksCount) || Math.ceil(blocksCount / groupBlocks) !== groupsCount || groupsCount === 0) {
    throw wrong('the number of blocks', blocksCount);
  }
  if (groupsCount * 2 ** (groupBlocksLog + inodesPerBlockLog) > Number.MAX_SAFE_INTEGER) {
    throw unsupported(
      'its inode numbers can be larger than 2^53, which compose cannot count',
      'Make the file system smaller; no disk of today needs such numbers.',
      { groups: groupsCount },
    );
  }
  return { blocksCount, groupBlocks, groupBlocksLog, groupsCount };
}

function powerOfTwo(what: string, value: number, log: number, least: number, most: number): number {
  if (log > 31 || value !== 2 ** log || value < least || value > most) throw wrong(what, value);
  return value;
}

function labelText(field: Uint8Array): string {
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function wrong(what: string, value: number | string): FormatError {
  return damaged('the superblock', `${what} cannot be ${value}`, { value });
}
