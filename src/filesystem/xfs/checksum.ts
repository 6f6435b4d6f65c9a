import { crc32cRegister } from '../../formats/crc32c.ts';
import { le32 } from './bytes.ts';
import { badChecksum } from './problems.ts';

/** The CRC-32C that version 5 keeps in every block of metadata; the only field that is little-endian. */

const ZEROS = new Uint8Array(4);

/** The CRC-32C of `bytes` with the field at `field` taken as zero. */
export function checksum(bytes: Uint8Array, field: number): number {
  const crc = crc32cRegister(crc32cRegister(0xffffffff, bytes, 0, field), ZEROS);
  return ~crc32cRegister(crc, bytes, field + 4) >>> 0;
}

/** @throws FormatError `xfs.checksum` */
export function verifyChecksum(bytes: Uint8Array, field: number, what: string): void {
  const stored = le32(bytes, field);
  const computed = checksum(bytes, field);
  if (stored !== computed) throw badChecksum(what, stored, computed);
}
