/**
 * GUIDs as UEFI stores them: the first three groups little-endian, the last two as they are read (UEFI 2.10, appendix A).
 */

export const GUID_LENGTH = 16;
export const NIL_GUID = '00000000-0000-0000-0000-000000000000';

/** Byte of the stored form for each byte of the text, left to right. */
const TEXT_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
const GROUP_ENDS = new Set([3, 5, 7, 9]);
const GUID_TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Lower-case text of the 16 stored bytes at `at`. */
export function guidText(bytes: Uint8Array, at = 0): string {
  let text = '';
  for (const [index, from] of TEXT_ORDER.entries()) {
    text += bytes[at + from]!.toString(16).padStart(2, '0');
    if (GROUP_ENDS.has(index)) text += '-';
  }
  return text;
}

/** The 16 bytes UEFI stores for `text`. @throws RangeError when `text` is not a GUID */
export function guidBytes(text: string): Uint8Array {
  if (!GUID_TEXT.test(text)) throw new RangeError(`"${text}" is not a GUID`);
  const hex = text.replaceAll('-', '');
  const bytes = new Uint8Array(GUID_LENGTH);
  for (const [index, to] of TEXT_ORDER.entries()) bytes[to] = Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16);
  return bytes;
}
