/** Reads the index at the end of an .xz file of one stream, which tells where each block is (section 4). */
import { crc32 } from '../crc32.ts';
import { readMultibyteInteger } from './integer.ts';
import type { IndexRecord } from './stream.ts';

/** Bytes of header and footer of a stream. */
export const XZ_FRAME = 12;
const FOOTER_MAGIC = 0x595a;
const CHECK_CRC64 = 4;

/** Bytes before the footer that are the index, by the footer (section 2.1.2); undefined where it is none, or checks by another sum than CRC64. */
export function xzIndexSize(footer: Uint8Array): number | undefined {
  const view = new DataView(footer.buffer, footer.byteOffset, footer.byteLength);
  if (footer.length !== XZ_FRAME || view.getUint16(10) !== FOOTER_MAGIC) return undefined;
  if (view.getUint32(0, true) !== crc32(footer.subarray(4, 10))) return undefined;
  if (footer[8] !== 0 || footer[9] !== CHECK_CRC64) return undefined;
  return (view.getUint32(4, true) + 1) * 4;
}

/** The blocks that an index lists; undefined where it is damaged. */
export function readXzIndex(index: Uint8Array): IndexRecord[] | undefined {
  const view = new DataView(index.buffer, index.byteOffset, index.byteLength);
  if (index.length < 8 || index[0] !== 0) return undefined;
  if (view.getUint32(index.length - 4, true) !== crc32(index.subarray(0, index.length - 4))) return undefined;
  let at = 1;
  const next = (): number => {
    const value = readMultibyteInteger(index, at);
    while ((index[at++] ?? 0) >= 0x80);
    return value;
  };
  try {
    const records: IndexRecord[] = [];
    for (let left = next(); left > 0; left--) {
      const unpaddedSize = next();
      records.push({ unpaddedSize, uncompressedSize: next() });
    }
    return records;
  } catch {
    return undefined;
  }
}
