import { crc32 } from '../crc32.ts';
import { multibyteInteger } from './integer.ts';

/** Filter ID of LZMA2 (section 5.3.1). */
const LZMA2 = 0x21;
/** Block flags (section 3.1.2): one filter, both sizes present. Threaded decoders need the sizes to find the next block. */
const BOTH_SIZES = 0x40 | 0x80;
const DICTIONARY_BITS_MAX = 40;

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

/** What a block holds: one LZMA2 stream with its end marker. Sizes are bytes. */
export interface BlockFacts {
  readonly compressedSize: number;
  readonly uncompressedSize: number;
  /** Size of the dictionary a decoder needs. */
  readonly dictionary: number;
}

/** Header of a block of LZMA2 (The .xz File Format 1.2.0, section 3.1). */
export function blockHeader(block: BlockFacts): Uint8Array<ArrayBuffer> {
  const fields = [
    BOTH_SIZES,
    ...multibyteInteger(block.compressedSize),
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
