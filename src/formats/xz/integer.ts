/**
 * Multibyte integer of an .xz file (The .xz File Format 1.2.0, section 1.2): seven bits a byte, lowest first, the highest
 * bit set in all bytes but the last.
 * @throws RangeError below 0 and above 2^53 - 1, the largest integer a number holds (the format ends at 2^63 - 1)
 */
export function multibyteInteger(value: number): number[] {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} cannot be a multibyte integer`);
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** The multibyte integer at `at`. @throws RangeError where there is none, or it is above 2^53 - 1 */
export function readMultibyteInteger(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = 0, unit = 1; i < 9; i++, unit *= 0x80) {
    const byte = bytes[at + i];
    if (byte === undefined || (byte === 0 && i > 0)) break;
    value += (byte & 0x7f) * unit;
    if (byte < 0x80 && Number.isSafeInteger(value)) return value;
  }
  throw new RangeError(`there is no multibyte integer at byte ${at}`);
}
