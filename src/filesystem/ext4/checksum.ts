import { crc32cRegister, crc32cWord } from '../../formats/crc32c.ts';
import { high32, u16, u32 } from './bytes.ts';

/**
 * The crc32c checksums of metadata_csum (kernel: Documentation/filesystems/ext4/checksums.rst). Each function answers
 * what the stored field must be; the field itself counts as zero.
 */

const ZEROS = new Uint8Array(4);

const INODE_GENERATION = 0x64;
const INODE_CHECKSUM_LOW = 0x7c;
const INODE_EXTRA_SIZE = 0x80;
const INODE_CHECKSUM_HIGH = 0x82;
const SMALL_INODE = 128;

/** What the checksums of an inode's own blocks start from. */
export function inodeSeed(seed: number, inode: number, bytes: Uint8Array): number {
  return crc32cWord(crc32cWord(seed, inode), u32(bytes, INODE_GENERATION));
}

/** True when the inode is large enough to hold the upper half of its checksum. */
export function hasHighChecksum(bytes: Uint8Array): boolean {
  return bytes.length > SMALL_INODE && u16(bytes, INODE_EXTRA_SIZE) >= INODE_CHECKSUM_HIGH + 2 - SMALL_INODE;
}

/** `bytes` is the whole inode; the upper half is cut off where the inode has no place for it. */
export function inodeChecksum(own: number, bytes: Uint8Array): number {
  let crc = crc32cRegister(own, bytes, 0, INODE_CHECKSUM_LOW);
  crc = crc32cRegister(crc, ZEROS, 0, 2);
  crc = crc32cRegister(crc, bytes, INODE_CHECKSUM_LOW + 2, SMALL_INODE);
  if (bytes.length === SMALL_INODE) return crc & 0xffff;
  if (!hasHighChecksum(bytes)) return crc32cRegister(crc, bytes, SMALL_INODE) & 0xffff;
  crc = crc32cRegister(crc, bytes, SMALL_INODE, INODE_CHECKSUM_HIGH);
  crc = crc32cRegister(crc, ZEROS, 0, 2);
  return crc32cRegister(crc, bytes, INODE_CHECKSUM_HIGH + 2);
}

export function storedInodeChecksum(bytes: Uint8Array): number {
  const low = u16(bytes, INODE_CHECKSUM_LOW);
  return hasHighChecksum(bytes) ? ((u16(bytes, INODE_CHECKSUM_HIGH) << 16) | low) >>> 0 : low;
}

export function storeInodeChecksum(bytes: Uint8Array, checksum: number): void {
  bytes[INODE_CHECKSUM_LOW] = checksum & 0xff;
  bytes[INODE_CHECKSUM_LOW + 1] = (checksum >>> 8) & 0xff;
  if (!hasHighChecksum(bytes)) return;
  bytes[INODE_CHECKSUM_HIGH] = (checksum >>> 16) & 0xff;
  bytes[INODE_CHECKSUM_HIGH + 1] = checksum >>> 24;
}

/** Of an extent tree block or a directory leaf: everything before the checksum field at `end`. */
export function blockChecksum(own: number, block: Uint8Array, end: number): number {
  return crc32cRegister(own, block, 0, end);
}

/** Of a hash-tree block: entries up to `count`, then the reserved word of the tail at `tail`, then a zero word. */
export function indexChecksum(own: number, block: Uint8Array, end: number, tail: number): number {
  const crc = crc32cRegister(crc32cRegister(own, block, 0, end), block, tail, tail + 4);
  return crc32cRegister(crc, ZEROS);
}

/** Of an extended attribute block, which is tied to its block number and not to an inode. */
export function xattrBlockChecksum(seed: number, number: number, block: Uint8Array, field: number): number {
  let crc = crc32cWord(crc32cWord(seed, number % 0x1_0000_0000), high32(number));
  crc = crc32cRegister(crc, block, 0, field);
  crc = crc32cRegister(crc, ZEROS);
  return crc32cRegister(crc, block, field + 4);
}

/** Of the first `length` bytes of a block or inode bitmap. */
export function bitmapChecksum(seed: number, bytes: Uint8Array, length: number): number {
  return crc32cRegister(seed, bytes, 0, length);
}
