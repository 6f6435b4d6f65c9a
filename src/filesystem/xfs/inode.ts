import type { Awaitable } from '../../disk/block-source.ts';
import { FILE_FLAG } from '../file-flags.ts';
import type { EntryKind } from '../file-tree.ts';
import { be16, be32, be64, sameBytes } from './bytes.ts';
import { verifyChecksum } from './checksum.ts';
import { damaged } from './problems.ts';
import { blocksInGroup, type Volume } from './volume.ts';

/** Inodes (kernel: fs/xfs/libxfs/xfs_format.h, struct xfs_dinode). */

export const INODE = {
  magic: 0,
  mode: 2,
  version: 4,
  format: 5,
  oldLinks: 6,
  uid: 8,
  gid: 12,
  links: 16,
  projectLow: 20,
  projectHigh: 22,
  bigExtents: 24,
  mtime: 40,
  size: 56,
  extents: 76,
  attributeExtents: 80,
  forkOffset: 82,
  attributeFormat: 83,
  flags: 90,
  checksum: 100,
  flags2: 120,
  number: 152,
  uuid: 160,
} as const;
const INODE_MAGIC = 0x494e;
/** Where the forks begin. */
const OLD_CORE = 100;
const CORE = 176;

/** How a fork is stored. */
export const FORMAT = { device: 0, local: 1, extents: 2, btree: 3 } as const;

const FLAG_REALTIME = 0x1;
const FLAG2_DAX = 0x1;
const FLAG2_BIGTIME = 0x8;
const FLAG2_NREXT64 = 0x10;

/** Of `flags`, those that chattr(1) sets. */
const LOST_FLAGS: readonly (readonly [flag: number, lost: number])[] = [
  [0x8, FILE_FLAG.immutable],
  [0x10, FILE_FLAG.appendOnly],
  [0x20, FILE_FLAG.synchronous],
  [0x40, FILE_FLAG.noAtime],
  [0x80, FILE_FLAG.noDump],
  [0x200, FILE_FLAG.projectInherit],
];
const ANY_LOST_FLAG = LOST_FLAGS.reduce((mask, [flag]) => mask | flag, 0);

const KINDS: Readonly<Record<number, EntryKind>> = {
  1: 'fifo',
  2: 'character',
  4: 'directory',
  6: 'block',
  8: 'file',
  10: 'symlink',
  12: 'socket',
};

/** One of the two things an inode holds: its data, or its attributes. */
export interface Fork {
  readonly what: string;
  readonly format: number;
  /** The part of the inode record that is its; not to be written to. */
  readonly bytes: Uint8Array;
  /** Records in its list or tree of extents. */
  readonly extents: number;
}

export interface Inode {
  readonly number: number;
  readonly kind: EntryKind;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly links: number;
  /** What no archive holds of it: a sum of `FILE_FLAG`. */
  readonly lost: number;
  /** Its blocks are on the realtime device. */
  readonly realtime: boolean;
  readonly data: Fork;
  readonly attributes: Fork | undefined;
}

/** Byte position of inode `number`. @throws FormatError `xfs.damaged` for one that cannot be */
function inodePosition(volume: Volume, number: number): number {
  const { superblock } = volume;
  const perBlock = 2 ** superblock.inodesPerBlockLog;
  const perGroup = perBlock * 2 ** superblock.groupBlocksLog;
  const group = Math.floor(number / perGroup);
  const block = Math.floor((number % perGroup) / perBlock);
  // Inode 0 is where the first superblock is, so that no check of its own is needed for a name without inode.
  if (group >= superblock.groupsCount || block >= blocksInGroup(superblock, group)) {
    throw damaged(`inode ${number}`, 'a name points to it, but it lies outside the file system', { inode: number });
  }
  return (group * superblock.groupBlocks + block) * superblock.blockSize + (number % perBlock) * superblock.inodeSize;
}

/**
 * The inode a name points to.
 * @throws FormatError `xfs.damaged`, `xfs.checksum`
 */
export function readInode(volume: Volume, number: number): Awaitable<Inode> {
  const size = volume.superblock.inodeSize;
  const position = inodePosition(volume, number);
  const bytes = volume.cache.peek(position, size);
  if (bytes !== undefined) return decodeInode(volume, number, bytes);
  return volume.cache.load(position, size).then((loaded) => decodeInode(volume, number, loaded));
}

function decodeInode(volume: Volume, number: number, bytes: Uint8Array): Inode {
  const what = `inode ${number}`;
  const fail = (why: string) => damaged(what, why, { inode: number });
  if (be16(bytes, INODE.magic) !== INODE_MAGIC) throw fail('a name points to it, but there is no inode');
  const version = checkVersion(volume, number, bytes, what);
  const mode = be16(bytes, INODE.mode);
  const kind = KINDS[mode >> 12];
  if (mode === 0) throw fail('a name points to it, but it is deleted');
  if (kind === undefined) throw fail(`0o${mode.toString(8)} is no mode of a file`);
  const links = version === 1 ? be16(bytes, INODE.oldLinks) : be32(bytes, INODE.links);
  if (links === 0) throw fail('a name points to it, but it is deleted');
  const size = be64(bytes, INODE.size);
  if (!Number.isSafeInteger(size)) throw fail(`a size of ${size} bytes is more than compose can count`);
  const flags2 = version === 3 ? be32(bytes, INODE.flags2 + 4) : 0;
  return {
    number,
    kind,
    mode: mode & 0xfff,
    uid: be32(bytes, INODE.uid),
    gid: be32(bytes, INODE.gid),
    size,
    mtime: (flags2 & FLAG2_BIGTIME) !== 0 ? bigTime(bytes, INODE.mtime) : smallTime(bytes, INODE.mtime),
    links,
    lost: lostFlags(bytes, version, flags2),
    realtime: (be16(bytes, INODE.flags) & FLAG_REALTIME) !== 0,
    ...forks(what, bytes, version === 3 ? CORE : OLD_CORE, (flags2 & FLAG2_NREXT64) !== 0),
  };
}

function lostFlags(bytes: Uint8Array, version: number, flags2: number): number {
  const flags = be16(bytes, INODE.flags);
  // Version 1 has no project.
  const project = version > 1 && (be16(bytes, INODE.projectLow) | be16(bytes, INODE.projectHigh)) !== 0;
  let lost = (project ? FILE_FLAG.project : 0) + ((flags2 & FLAG2_DAX) === 0 ? 0 : FILE_FLAG.dax);
  if ((flags & ANY_LOST_FLAG) === 0) return lost;
  for (const [flag, bit] of LOST_FLAGS) if ((flags & flag) !== 0) lost += bit;
  return lost;
}

/** Checks what the inode says of itself. Version 3 is that of version 5 file systems, 1 and 2 those of version 4. */
function checkVersion(volume: Volume, number: number, bytes: Uint8Array, what: string): number {
  const { superblock } = volume;
  const version = bytes[INODE.version]!;
  if (superblock.checked ? version !== 3 : version !== 1 && version !== 2) {
    throw damaged(what, `its version is ${version}`, { inode: number });
  }
  if (!superblock.checked) return version;
  verifyChecksum(bytes, INODE.checksum, what);
  const named = be64(bytes, INODE.number);
  if (named !== number) throw damaged(what, `it says it is inode ${named}`, { inode: number });
  if (!sameBytes(bytes, INODE.uuid, superblock.metaUuid, 0, 16)) {
    throw damaged(what, 'it is of another file system', { inode: number });
  }
  return version;
}

function forks(what: string, bytes: Uint8Array, core: number, nrext64: boolean): Pick<Inode, 'data' | 'attributes'> {
  // Counted in eight bytes from the end of the core; zero when there are no attributes.
  const offset = bytes[INODE.forkOffset]! * 8;
  const split = offset === 0 ? bytes.length : core + offset;
  if (split > bytes.length || (offset > 0 && split === bytes.length)) {
    throw damaged(what, `its attributes begin at byte ${split}, past its end`);
  }
  const data = {
    what: `the data of ${what}`,
    format: bytes[INODE.format]!,
    bytes: bytes.subarray(core, split),
    extents: nrext64 ? be64(bytes, INODE.bigExtents) : be32(bytes, INODE.extents),
  };
  if (offset === 0) return { data, attributes: undefined };
  const attributes = {
    what: `the attributes of ${what}`,
    format: bytes[INODE.attributeFormat]!,
    bytes: bytes.subarray(split),
    // With 64-bit counters this one takes the place of the 32-bit counter of data extents.
    extents: nrext64 ? be32(bytes, INODE.extents) : be16(bytes, INODE.attributeExtents),
  };
  return { data, attributes };
}

/** Signed 32-bit seconds, then nanoseconds. */
function smallTime(bytes: Uint8Array, at: number): bigint {
  return BigInt(be32(bytes, at) | 0) * 1_000_000_000n + BigInt(be32(bytes, at + 4) | 0);
}

/** With bigtime: unsigned 64-bit nanoseconds since 2^31 seconds before 1970. */
function bigTime(bytes: Uint8Array, at: number): bigint {
  const count = (BigInt(be32(bytes, at)) << 32n) | BigInt(be32(bytes, at + 4));
  return count - (1n << 31n) * 1_000_000_000n;
}
