import { crc32 } from '../crc32.ts';
import { multibyteInteger, readMultibyteInteger } from './integer.ts';

/** Filter ID of LZMA2 (section 5.3.1). */
const LZMA2 = 0x21;
/** Block flags (section 3.1.2): one filter, both sizes present. Threaded decoders need the sizes to find the next block. */
const BOTH_SIZES = 0x40 | 0x80;
const DICTIONARY_BITS_MAX = 40;
/** Bytes of CRC64. */
const CHECK_SIZE = 8;

/**
 * The byte that tells LZMA2's dictionary (section 5.3.1): the smallest 2^n or 2^n + 2^(n-1) that is not below `size` bytes.
 * @throws RangeError above 4 GiB - 1
 */
export function dictionaryByte(size: number): number {
  for (let bits = 0; bits < DICTIONARY_BITS_MAX; bits++) {
    if ((2 + (bits & 1)) * 2 ** ((bits >> 1) + 11) >= size) return bits;
  }
  if (size <= 0xffffffff) return DICTIONARY_BITS_MAX;
  throw new RangeError(`a dictionary cannot have ${size} bytes`);
}

export interface BlockOptions {
  /** Bytes of content. */
  readonly uncompressedSize: number;
  /** CRC64 of the content. */
  readonly check: bigint;
  /** Size of the dictionary a decoder needs. */
  readonly dictionary: number;
}

/** A block around `data`, one LZMA2 stream with its end marker: header, data, padding, check (section 3). */
export function makeBlock(data: Uint8Array, block: BlockOptions): Uint8Array<ArrayBuffer> {
  const header = blockHeader(data.length, block);
  const whole = new Uint8Array(header.length + Math.ceil(data.length / 4) * 4 + CHECK_SIZE);
  whole.set(header);
  whole.set(data, header.length);
  new DataView(whole.buffer).setBigUint64(whole.length - CHECK_SIZE, block.check, true);
  return whole;
}

/** Bytes before the data that `blockInPlace` needs at most (section 3.1: the longest header with both sizes and one filter). */
export const BLOCK_HEAD = 64;

/** As `makeBlock` of the `length` bytes of `room` from `BLOCK_HEAD` on, around them where they are: the part of `room` that is the block. */
export function blockInPlace(room: Uint8Array, length: number, block: BlockOptions): Uint8Array {
  const header = blockHeader(length, block);
  const end = BLOCK_HEAD + Math.ceil(length / 4) * 4;
  room.set(header, BLOCK_HEAD - header.length);
  room.fill(0, BLOCK_HEAD + length, end);
  new DataView(room.buffer, room.byteOffset).setBigUint64(end, block.check, true);
  return room.subarray(BLOCK_HEAD - header.length, end + CHECK_SIZE);
}

/** The size of a block made by `makeBlock` as the index lists it: without its padding. */
export function unpaddedSize(block: Uint8Array): number {
  const headerSize = ((block[0] ?? 0) + 1) * 4;
  return headerSize + readMultibyteInteger(block, 2) + CHECK_SIZE;
}

/** Header of a block of LZMA2 with both of its sizes (The .xz File Format 1.2.0, section 3.1). */
function blockHeader(compressedSize: number, block: BlockOptions): Uint8Array {
  const fields = [
    BOTH_SIZES,
    ...multibyteInteger(compressedSize),
    ...multibyteInteger(block.uncompressedSize),
    LZMA2,
    1,
    dictionaryByte(block.dictionary),
  ];
  // One byte of size before the fields, four of CRC32 after them, zeros up to a multiple of four.
  const length = Math.ceil((1 + fields.length + 4) / 4) * 4;
  const header = new Uint8Array(length);
  header[0] = length / 4 - 1;
  header.set(fields, 1);
  new DataView(header.buffer).setUint32(length - 4, crc32(header.subarray(0, length - 4)), true);
  return header;
}
