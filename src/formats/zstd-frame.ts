/** Where a zstd frame ends (RFC 8878, sections 3.1.1 and 3.1.2), told without unpacking it. */

const MAGIC = 0xfd2fb528;
const SKIPPABLE = { first: 0x184d2a50, last: 0x184d2a5f, header: 8 };
const DICTIONARY_ID_LENGTHS = [0, 1, 2, 4] as const;
const CONTENT_SIZE_LENGTHS = [0, 2, 4, 8] as const;
const BLOCK_HEADER = 3;
const BLOCK = { rle: 1, reserved: 3 };
const CHECKSUM = 4;

/**
 * Bytes of the frame at the beginning of `bytes`, or undefined when no whole frame begins there. What follows it is not
 * looked at.
 */
export function zstdFrameLength(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fits = (length: number): number | undefined => (length <= bytes.length ? length : undefined);
  if (bytes.length < 5) return undefined;
  const magic = view.getUint32(0, true);
  if (magic >= SKIPPABLE.first && magic <= SKIPPABLE.last) {
    return bytes.length < SKIPPABLE.header ? undefined : fits(SKIPPABLE.header + view.getUint32(4, true));
  }
  if (magic !== MAGIC) return undefined;
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const sizeLength = descriptor >> 6 === 0 && single ? 1 : CONTENT_SIZE_LENGTHS[(descriptor >> 6) as 0 | 1 | 2 | 3];
  let at = 5 + (single ? 0 : 1) + DICTIONARY_ID_LENGTHS[(descriptor & 3) as 0 | 1 | 2 | 3] + sizeLength;
  for (let last = false; !last; ) {
    if (at + BLOCK_HEADER > bytes.length) return undefined;
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (header >> 1) & 3;
    if (type === BLOCK.reserved) return undefined;
    last = (header & 1) !== 0;
    at += BLOCK_HEADER + (type === BLOCK.rle ? 1 : header >> 3);
  }
  return fits(at + ((descriptor & 0x04) !== 0 ? CHECKSUM : 0));
}
