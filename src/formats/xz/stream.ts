import { crc32 } from '../crc32.ts';
import { multibyteInteger } from './integer.ts';

const HEADER_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const FOOTER_MAGIC = [0x59, 0x5a];
/** Stream flags (section 2.1.1.2): the check after each block is CRC64. */
const FLAGS = [0x00, 0x04];

/** Header of a stream whose blocks end with CRC64 (The .xz File Format 1.2.0, section 2.1.1). */
export function streamHeader(): Uint8Array<ArrayBuffer> {
  const header = Uint8Array.from([...HEADER_MAGIC, ...FLAGS, 0, 0, 0, 0]);
  new DataView(header.buffer).setUint32(8, crc32(Uint8Array.from(FLAGS)), true);
  return header;
}

/** One block as the index lists it: bytes of header, compressed data and check, without the padding between them, and of its content. */
export interface IndexRecord {
  readonly unpaddedSize: number;
  readonly uncompressedSize: number;
}

/** What ends a stream: the index of its blocks and the footer (sections 4 and 2.1.2). */
export function streamEnd(records: readonly IndexRecord[]): Uint8Array<ArrayBuffer> {
  const fields = [0x00, ...multibyteInteger(records.length)];
  for (const { unpaddedSize, uncompressedSize } of records) {
    fields.push(...multibyteInteger(unpaddedSize), ...multibyteInteger(uncompressedSize));
  }
  const indexSize = Math.ceil(fields.length / 4) * 4 + 4;
  const end = new Uint8Array(indexSize + 12);
  end.set(fields);
  const view = new DataView(end.buffer);
  view.setUint32(indexSize - 4, crc32(end.subarray(0, indexSize - 4)), true);
  view.setUint32(indexSize + 4, indexSize / 4 - 1, true);
  end.set(FLAGS, indexSize + 8);
  view.setUint32(indexSize, crc32(end.subarray(indexSize + 4, indexSize + 10)), true);
  end.set(FOOTER_MAGIC, indexSize + 10);
  return end;
}
