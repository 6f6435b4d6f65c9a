/** CRC-16/ARC (reflected polynomial 0xA001): the checksum of ext4 group descriptors without metadata_csum. */

const POLYNOMIAL = 0xa001;

const TABLE = new Uint16Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** The register after `bytes[start, end)`, from `register`; ext4 starts at 0xFFFF and inverts nothing. */
export function crc16Register(register: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = register;
  for (let at = start; at < end; at++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[at]!) & 0xff]!;
  return crc;
}
