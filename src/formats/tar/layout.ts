/** The POSIX.1-1988 ustar header: offsets and sizes of its fields (POSIX pax, "ustar Interchange Format"). */

export const BLOCK = 512;
/** Blocks a tar file is filled up to: GNU tar's default blocking factor of 20. */
export const RECORD = 20 * BLOCK;

export const NAME = 0;
export const NAME_SIZE = 100;
export const MODE = 100;
export const MODE_SIZE = 8;
export const UID = 108;
export const GID = 116;
export const ID_SIZE = 8;
export const SIZE = 124;
export const SIZE_SIZE = 12;
export const MTIME = 136;
export const MTIME_SIZE = 12;
export const CHECKSUM = 148;
export const CHECKSUM_SIZE = 8;
export const TYPEFLAG = 156;
export const LINKNAME = 157;
export const LINKNAME_SIZE = 100;
export const MAGIC = 257;
export const DEVMAJOR = 329;
export const DEVMINOR = 337;
export const DEV_SIZE = 8;
export const PREFIX = 345;
export const PREFIX_SIZE = 155;

export const TYPE = {
  file: 0x30,
  oldFile: 0x00,
  hardLink: 0x31,
  symlink: 0x32,
  character: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
  contiguous: 0x37,
  paxExtended: 0x78,
  paxGlobal: 0x67,
  gnuLongName: 0x4c,
  gnuLongLink: 0x4b,
  gnuSparse: 0x53,
} as const;

/** Sum of all header bytes with the checksum field taken as spaces. */
export function headerChecksum(header: Uint8Array, offset = 0): number {
  let sum = 0x20 * CHECKSUM_SIZE;
  const field = offset + CHECKSUM;
  for (let at = offset; at < field; at++) sum += header[at] ?? 0;
  for (let at = field + CHECKSUM_SIZE; at < offset + BLOCK; at++) sum += header[at] ?? 0;
  return sum;
}

/** Bytes that fill `size` up to a whole block. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
