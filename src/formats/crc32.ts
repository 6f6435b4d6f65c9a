/** CRC-32 of ISO 3309 and IEEE 802.3 (reflected polynomial 0xEDB88320), the one of GPT, gzip, zip and PNG. */

const POLYNOMIAL = 0xedb88320;

const TABLE = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** CRC-32 of `bytes`, 0 to 2^32 - 1; `previous` is the CRC of what came before, to go on from. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}
