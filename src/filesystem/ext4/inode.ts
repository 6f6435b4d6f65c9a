import type { Awaitable } from '../../disk/block-source.ts';
import { FILE_FLAG, KERNEL_FLAGS } from '../file-flags.ts';
import type { EntryKind } from '../file-tree.ts';
import { i32, u16, u32, wide } from './bytes.ts';
import { inodeChecksum, inodeSeed, storedInodeChecksum } from './checksum.ts';
import { DOUBTFUL_INODE, INCOMPAT, RO_COMPAT, refuseUnreadableInode } from './features.ts';
import { badChecksum, damaged } from './problems.ts';
import { ROOT_INODE } from './superblock.ts';
import type { Volume } from './volume.ts';

/** Index nodes (kernel: Documentation/filesystems/ext4/inodes.rst). */

export const INODE = {
  mode: 0x00,
  uid: 0x02,
  sizeLow: 0x04,
  mtime: 0x10,
  gid: 0x18,
  links: 0x1a,
  blocksLow: 0x1c,
  flags: 0x20,
  /** 60 bytes: an extent tree's root, a block map, a short symlink's target, a device number or inline data. */
  block: 0x28,
  xattrBlockLow: 0x68,
  sizeHigh: 0x6c,
  blocksHigh: 0x74,
  xattrBlockHigh: 0x76,
  uidHigh: 0x78,
  gidHigh: 0x7a,
  extraSize: 0x80,
  mtimeExtra: 0x88,
  project: 0x9c,
} as const;

export const BLOCK_AREA = 60;
export const BASE_SIZE = 128;

export const FLAG = {
  index: 0x1000,
  hugeFile: 0x40000,
  extents: 0x80000,
  verity: 0x100000,
  eaInode: 0x200000,
  /** Blocks past the end of the file (EOFBLOCKS, of older kernels). */
  pastEnd: 0x400000,
  inlineData: 0x10000000,
} as const;

const KINDS: Readonly<Record<number, EntryKind>> = {
  1: 'fifo',
  2: 'character',
  4: 'directory',
  6: 'block',
  8: 'file',
  10: 'symlink',
  12: 'socket',
};

export interface Inode {
  readonly number: number;
  /** The whole record; not to be written to. */
  readonly bytes: Uint8Array;
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
  readonly flags: number;
  /** Those of its flags that no archive holds, and whether it belongs to a project: a sum of `FILE_FLAG`. */
  readonly lost: number;
  /** Block with extended attributes, or 0. */
  readonly xattrBlock: number;
  /** Where the extended attributes inside the record begin; the record's length when there is no place for them. */
  readonly xattrStart: number;
  /** What the checksums of its blocks start from; 0 without metadata_csum. */
  readonly seed: number;
}

/** Byte position of inode `number`. */
export function inodePosition(volume: Volume, number: number): number {
  const { inodesPerGroup, inodeSize, blockSize } = volume.superblock;
  const group = Math.floor((number - 1) / inodesPerGroup);
  return volume.groups.inodeTable(group) * blockSize + ((number - 1) % inodesPerGroup) * inodeSize;
}

/**
 * The inode a name points to.
 * @throws FormatError `ext4.damaged` when no name may point to it, `ext4.checksum`
 */
export function readInode(volume: Volume, number: number): Awaitable<Inode> {
  const { inodesCount, firstInode } = volume.superblock;
  if (number !== ROOT_INODE && (number < firstInode || number > inodesCount)) {
    throw damaged(`inode ${number}`, 'a name points to it, but it is reserved or past the last one', { inode: number });
  }
  return readAnyInode(volume, number);
}

/** As `readInode`, the reserved ones too. */
export function readAnyInode(volume: Volume, number: number): Awaitable<Inode> {
  const size = volume.superblock.inodeSize;
  const position = inodePosition(volume, number);
  const bytes = volume.cache.peek(position, size);
  if (bytes !== undefined) return decodeInode(volume, number, bytes);
  return volume.cache.load(position, size).then((loaded) => decodeInode(volume, number, loaded));
}

function decodeInode(volume: Volume, number: number, bytes: Uint8Array): Inode {
  const { superblock } = volume;
  let seed = 0;
  if (superblock.metadataCsum) {
    seed = inodeSeed(superblock.checksumSeed, number, bytes);
    const computed = inodeChecksum(seed, bytes);
    const stored = storedInodeChecksum(bytes);
    if (computed !== stored) throw badChecksum(`inode ${number}`, stored, computed, { inode: number });
  }
  const mode = u16(bytes, INODE.mode);
  const links = u16(bytes, INODE.links);
  const kind = KINDS[mode >> 12];
  if (kind === undefined) {
    throw damaged(`inode ${number}`, `0o${mode.toString(8)} is no mode of a file`, { inode: number });
  }
  if (links === 0) throw damaged(`inode ${number}`, 'a name points to it, but it is deleted', { inode: number });
  const flags = u32(bytes, INODE.flags);
  if ((flags & DOUBTFUL_INODE) !== 0) refuseUnreadableInode(number, kind === 'directory', flags);
  const extra = bytes.length > BASE_SIZE ? u16(bytes, INODE.extraSize) : 0;
  if (extra % 4 !== 0 || BASE_SIZE + extra > bytes.length) {
    throw damaged(`inode ${number}`, `its extra size ${extra} does not fit`, { inode: number });
  }
  // Directories and symlinks keep other things in the upper half of the size unless large_dir is on.
  const wideSize = kind === 'file' || (kind === 'directory' && (superblock.incompat & INCOMPAT.largeDir) !== 0);
  const size = wide(u32(bytes, INODE.sizeLow), wideSize ? u32(bytes, INODE.sizeHigh) : 0);
  if (size > superblock.blockSize * 0x1_0000_0000) {
    throw damaged(`inode ${number}`, `a size of ${size} bytes is more than its blocks can count`, { inode: number });
  }
  const bits64 = (superblock.incompat & INCOMPAT.bits64) !== 0;
  return {
    number,
    bytes,
    kind,
    mode: mode & 0xfff,
    uid: u16(bytes, INODE.uid) + u16(bytes, INODE.uidHigh) * 0x10000,
    gid: u16(bytes, INODE.gid) + u16(bytes, INODE.gidHigh) * 0x10000,
    size,
    mtime: time(bytes, extra),
    links,
    flags,
    lost: lostFlags(bytes, extra, (superblock.roCompat & RO_COMPAT.project) !== 0),
    xattrBlock: wide(u32(bytes, INODE.xattrBlockLow), bits64 ? u16(bytes, INODE.xattrBlockHigh) : 0),
    xattrStart: extra === 0 ? bytes.length : BASE_SIZE + extra,
    seed,
  };
}

function lostFlags(bytes: Uint8Array, extra: number, projects: boolean): number {
  const flags = u32(bytes, INODE.flags) & KERNEL_FLAGS;
  const project = projects && BASE_SIZE + extra >= INODE.project + 4 ? u32(bytes, INODE.project) : 0;
  return project === 0 ? flags : flags + FILE_FLAG.project;
}

/** Signed 32-bit seconds; the extra word, where there is one, holds two more bits of the epoch and 30 of nanoseconds. */
function time(bytes: Uint8Array, extra: number): bigint {
  const seconds = i32(bytes, INODE.mtime);
  if (BASE_SIZE + extra < INODE.mtimeExtra + 4) return BigInt(seconds) * 1_000_000_000n;
  const word = u32(bytes, INODE.mtimeExtra);
  return BigInt(seconds + (word & 3) * 0x1_0000_0000) * 1_000_000_000n + BigInt(word >>> 2);
}
