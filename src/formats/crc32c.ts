/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4; reflected polynomial 0x82F63B78): the checksum of ext4, XFS and btrfs
 * metadata and of VHDX.
 */

const POLYNOMIAL = 0x82f63b78;

/** Eight tables of 256: table k advances a byte through k further zero bytes, so that eight bytes go in one step. */
const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    tables[byte] = value;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!;
    tables[at] = (before >>> 8) ^ tables[before & 0xff]!;
  }
  return tables;
}

/**
 * The shift register after `bytes[start, end)`, from `register`, with no inversion before or after. ext4 chains such
 * registers: it starts at 0xFFFFFFFF and stores the register as it is.
 */
export function crc32cRegister(register: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
  const t = TABLES;
  let crc = register | 0;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      t[1792 + (crc & 0xff)]! ^
      t[1536 + ((crc >>> 8) & 0xff)]! ^
      t[1280 + ((crc >>> 16) & 0xff)]! ^
      t[1024 + (crc >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 0xff]!;
  return crc >>> 0;
}

/** `crc32cRegister` over the four bytes of a little-endian 32-bit number. */
export function crc32cWord(register: number, value: number): number {
  const t = TABLES;
  const crc = register ^ value;
  return (
    (t[768 + (crc & 0xff)]! ^ t[512 + ((crc >>> 8) & 0xff)]! ^ t[256 + ((crc >>> 16) & 0xff)]! ^ t[crc >>> 24]!) >>> 0
  );
}

/** CRC-32C of `bytes` as the RFC defines it; `previous` is the CRC of what came before, to go on from. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return ~crc32cRegister(~previous, bytes) >>> 0;
}
