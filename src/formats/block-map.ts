/** What disk formats have in common that store a disk in blocks of one size and say in a table where each block is. */

/** Reads `length` bytes of the image from `position`; fewer where the file ends. */
export type ReadImage = (position: number, length: number) => Promise<Uint8Array>;

export interface BlockMap {
  /** Bytes of the disk. */
  readonly size: number;
  readonly blockSize: number;
  /** Byte of the file at which block `index` begins; undefined where the block reads as zeros. */
  readonly offsetOf: (index: number) => number | undefined;
}

/** Longest table of blocks that is held in memory, bytes. */
export const BLOCK_TABLE_LIMIT = 16 * 1024 * 1024;

/** Bytes from `position`, as a view; undefined where the file ends before them. */
export async function viewAt(read: ReadImage, position: number, length: number): Promise<DataView | undefined> {
  if (!Number.isSafeInteger(position + length)) return undefined;
  const bytes = await read(position, length);
  return bytes.length < length ? undefined : new DataView(bytes.buffer, bytes.byteOffset, length);
}
