import { u16, u32 } from './bytes.ts';
import { blockChecksum, indexChecksum } from './checksum.ts';
import { FLAG, type Inode } from './inode.ts';
import { badChecksum, damaged } from './problems.ts';
import type { Superblock } from './superblock.ts';

/** Directory blocks (kernel: Documentation/filesystems/ext4/directory.rst). */

export const DIRENT = { inode: 0, recordLength: 4, nameLength: 6, fileType: 7, name: 8 } as const;
const MIN_RECORD = 12;
const LARGE_BLOCK = 65536;

/** The last 12 bytes of a leaf look like an unused entry of this type and hold the checksum. */
export const LEAF_TAIL_SIZE = 12;
const LEAF_TAIL_TYPE = 0xde;
const LEAF_TAIL_CHECKSUM = 8;

/** Hash-tree blocks: entries of 8 bytes, the first of which holds the limit and the count. */
const INDEX_ENTRY_SIZE = 8;
const INDEX_ROOT_INFO = 0x18;
const INDEX_ROOT_INFO_LENGTH = 8;
const INDEX_ROOT_INFO_LENGTH_AT = 0x1d;
const INDEX_TAIL_SIZE = 8;

export interface Dirent {
  readonly inode: number;
  /** A view of the bytes it was read from. */
  readonly name: Uint8Array;
}

/** Length of the entry at `at`; blocks of 64 KiB have lengths that do not fit 16 bits and are folded. */
export function recordLength(bytes: Uint8Array, at: number, blockSize: number): number {
  const stored = u16(bytes, at + DIRENT.recordLength);
  if (blockSize < LARGE_BLOCK) return stored;
  if (stored === 0xffff || stored === 0) return blockSize;
  return (stored & 0xfffc) | ((stored & 3) << 16);
}

/** Stores a length as `recordLength` reads it. */
export function setRecordLength(bytes: Uint8Array, at: number, length: number, blockSize: number): void {
  let stored = length;
  if (blockSize >= LARGE_BLOCK) stored = length === LARGE_BLOCK ? 0xffff : (length & 0xfffc) | ((length >>> 16) & 3);
  bytes[at + DIRENT.recordLength] = stored & 0xff;
  bytes[at + DIRENT.recordLength + 1] = stored >>> 8;
}

/**
 * The names in use among the entries of `bytes[start, end)`, "." and ".." left out. Names are at most 255 bytes long, so
 * that file systems without the filetype feature, where the length has 16 bits, read the same.
 * @throws FormatError `ext4.damaged`
 */
export function parseDirents(
  superblock: Superblock,
  directory: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): Dirent[] {
  const entries: Dirent[] = [];
  for (let at = start; at < end; ) {
    if (at + MIN_RECORD > end) throw broken(directory, `an entry at byte ${at} goes past the end`);
    const length = recordLength(bytes, at, superblock.blockSize);
    const nameLength = bytes[at + DIRENT.nameLength]!;
    if (length < MIN_RECORD || length % 4 !== 0 || at + length > end || DIRENT.name + nameLength > length) {
      throw broken(directory, `an entry at byte ${at} of ${length} bytes with a name of ${nameLength} does not fit`);
    }
    const inode = u32(bytes, at + DIRENT.inode);
    if (inode !== 0) {
      const name = bytes.subarray(at + DIRENT.name, at + DIRENT.name + nameLength);
      if (!isDots(name)) {
        if (nameLength === 0 || name.includes(0x2f) || name.includes(0)) {
          throw broken(directory, `the name at byte ${at} is no file name`);
        }
        entries.push({ inode, name });
      }
    }
    at += length;
  }
  return entries;
}

function isDots(name: Uint8Array): boolean {
  return name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
}

/** @throws FormatError `ext4.checksum` where the block's checksum is wrong or missing */
export function verifyDirectoryBlock(
  superblock: Superblock,
  directory: Inode,
  logical: number,
  block: Uint8Array,
): void {
  if (!superblock.metadataCsum) return;
  const place = checksumPlace(superblock, directory, logical, block);
  const stored = u32(block, place.at);
  const computed = directoryChecksum(directory, block, place);
  if (stored === computed) return;
  throw badChecksum(`block ${logical} of directory inode ${directory.number}`, stored, computed, {
    inode: directory.number,
    block: logical,
  });
}

/** Writes the checksum that `block` must have after it was changed. */
export function sealDirectoryBlock(superblock: Superblock, directory: Inode, logical: number, block: Uint8Array): void {
  if (!superblock.metadataCsum) return;
  const place = checksumPlace(superblock, directory, logical, block);
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  view.setUint32(place.at, directoryChecksum(directory, block, place), true);
}

/** Where a directory block keeps its checksum; `count` is the end of the entries of a hash-tree block. */
interface ChecksumPlace {
  readonly at: number;
  readonly count: number | undefined;
}

function directoryChecksum(directory: Inode, block: Uint8Array, place: ChecksumPlace): number {
  return place.count === undefined
    ? blockChecksum(directory.seed, block, block.length - LEAF_TAIL_SIZE)
    : indexChecksum(directory.seed, block, place.count, place.at - 4);
}

function checksumPlace(superblock: Superblock, directory: Inode, logical: number, block: Uint8Array): ChecksumPlace {
  const entries = indexEntries(superblock, directory, logical, block);
  if (entries !== undefined) {
    const limit = u16(block, entries);
    const count = u16(block, entries + 2);
    const tail = entries + limit * INDEX_ENTRY_SIZE;
    if (count > limit || tail + INDEX_TAIL_SIZE > block.length) {
      throw broken(directory.number, `hash-tree block ${logical} says it holds ${count} of ${limit} entries`);
    }
    return { at: tail + 4, count: entries + count * INDEX_ENTRY_SIZE };
  }
  const tail = block.length - LEAF_TAIL_SIZE;
  if (!isLeafTail(block, tail, block.length))
    throw broken(directory.number, `block ${logical} has no place for its checksum`);
  return { at: tail + LEAF_TAIL_CHECKSUM, count: undefined };
}

/** Whether the entry at `at` of a leaf that ends at `end` is the place of its checksum. */
export function isLeafTail(block: Uint8Array, at: number, end: number): boolean {
  return (
    at === end - LEAF_TAIL_SIZE &&
    u32(block, at) === 0 &&
    u16(block, at + DIRENT.recordLength) === LEAF_TAIL_SIZE &&
    block[at + DIRENT.nameLength] === 0 &&
    block[at + DIRENT.fileType] === LEAF_TAIL_TYPE
  );
}

/** Whether a block holds no names but a part of the hash tree. */
export function isIndexBlock(superblock: Superblock, directory: Inode, logical: number, block: Uint8Array): boolean {
  return indexEntries(superblock, directory, logical, block) !== undefined;
}

/** Where the entries of a hash-tree block begin; undefined for a leaf. */
function indexEntries(
  superblock: Superblock,
  directory: Inode,
  logical: number,
  block: Uint8Array,
): number | undefined {
  if ((directory.flags & FLAG.index) === 0) return undefined;
  if (recordLength(block, 0, superblock.blockSize) === block.length) return nodeEntries(superblock, block);
  if (logical !== 0) return undefined;
  // A root: "." takes 12 bytes, ".." all the rest, and the tree's header lies in the room of "..".
  const dotdot = recordLength(block, MIN_RECORD, superblock.blockSize);
  const isRoot = recordLength(block, 0, superblock.blockSize) === MIN_RECORD && dotdot === block.length - MIN_RECORD;
  if (!isRoot || block[INDEX_ROOT_INFO_LENGTH_AT] !== INDEX_ROOT_INFO_LENGTH) return undefined;
  return INDEX_ROOT_INFO + INDEX_ROOT_INFO_LENGTH;
}

/**
 * Where the entries of an inner node begin in a block whose first name entry takes all of it; undefined for a leaf of one
 * name or none, which without checksums begins as a node does (kernel: fs/ext4/namei.c, `struct dx_node`, `dx_node_limit`).
 */
function nodeEntries(superblock: Superblock, block: Uint8Array): number | undefined {
  if (superblock.metadataCsum) return DIRENT.name;
  const limit = (block.length - DIRENT.name) / INDEX_ENTRY_SIZE;
  return u32(block, DIRENT.inode) === 0 && u16(block, DIRENT.name) === limit ? DIRENT.name : undefined;
}

function broken(directory: number, why: string): Error {
  return damaged(`directory inode ${directory}`, why, { inode: directory });
}
