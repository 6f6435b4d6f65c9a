import { u16 } from '../ext4/bytes.ts';

/** Names in FAT directories: the short one every entry has, and the long one VFAT lays before it. */

/** IBM code page 437, from 0x80 on; below it is ASCII. */
const UPPER_437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧' +
  '╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';
const CHARACTERS = Array.from({ length: 256 }, (_, byte) =>
  byte < 0x80 ? String.fromCharCode(byte) : UPPER_437[byte - 0x80]!,
);
/** Lower case where the code page has it. */
const LOWER = CHARACTERS.map((char) => (CHARACTERS.includes(char.toLowerCase()) ? char.toLowerCase() : char));

const BASE_LENGTH = 8;
const SHORT_LENGTH = 11;
/** In place of 0xe5, which marks a deleted entry. */
const KANJI_E5 = 0x05;
const SPACE = 0x20;
const CASE = 12;
const CASE_LOWER_BASE = 0x08;
const CASE_LOWER_EXTENSION = 0x10;

/**
 * The short name of the entry at `at`, with the letters Windows NT marks as lower case so; empty when it has none
 * (kernel: fs/fat/dir.c, fat_parse_short, with shortname=mixed).
 */
export function shortName(bytes: Uint8Array, at: number): string {
  const flags = bytes[at + CASE]!;
  const base = field(bytes, at, BASE_LENGTH, (flags & CASE_LOWER_BASE) !== 0, true);
  const extension = field(bytes, at + BASE_LENGTH, 3, (flags & CASE_LOWER_EXTENSION) !== 0, false);
  return extension === '' ? base : `${base}.${extension}`;
}

/** Up to a NUL, without the blanks at the end. */
function field(bytes: Uint8Array, at: number, length: number, lower: boolean, first: boolean): string {
  let text = '';
  let end = 0;
  for (let i = 0; i < length; i++) {
    let byte = bytes[at + i]!;
    if (byte === 0) break;
    if (first && i === 0 && byte === KANJI_E5) byte = 0xe5;
    text += (lower ? LOWER : CHARACTERS)[byte]!;
    if (byte !== SPACE) end = i + 1;
  }
  return text.slice(0, end);
}

/** What a long name's entries carry of the short name they belong to. */
export function shortNameChecksum(bytes: Uint8Array, at: number): number {
  let sum = 0;
  for (let i = 0; i < SHORT_LENGTH; i++) sum = (((sum & 1) << 7) + (sum >>> 1) + bytes[at + i]!) & 0xff;
  return sum;
}

const LONG_PLACES = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const LONG_CHECKSUM = 13;
const LAST_PART = 0x40;
const MAX_PARTS = 20;

/** Gathers the entries of a long name, which come last part first. */
export class LongName {
  #units: number[] = [];
  #expected = 0;
  #checksum = 0;
  #gathering = false;

  /** Takes the entry at `at`; one that does not go on with what was gathered begins anew, or is ignored. */
  take(bytes: Uint8Array, at: number): void {
    const order = bytes[at]!;
    const part = order & ~LAST_PART;
    if (
      this.#gathering &&
      this.#expected > 0 &&
      part === this.#expected &&
      bytes[at + LONG_CHECKSUM] === this.#checksum
    ) {
      this.#gather(bytes, at);
      return;
    }
    this.drop();
    if ((order & LAST_PART) === 0 || part === 0 || part > MAX_PARTS) return;
    this.#gathering = true;
    this.#expected = part;
    this.#checksum = bytes[at + LONG_CHECKSUM]!;
    this.#gather(bytes, at);
  }

  /** Forgets what was gathered: an entry came that a long name has no place before. */
  drop(): void {
    this.#gathering = false;
    this.#units = [];
  }

  /** The long name of the entry at `at`, or undefined when what was gathered is not all of it, or of another. */
  nameFor(bytes: Uint8Array, at: number): string | undefined {
    const complete = this.#gathering && this.#expected === 0 && shortNameChecksum(bytes, at) === this.#checksum;
    const end = this.#units.indexOf(0);
    const units = end < 0 ? this.#units : this.#units.slice(0, end);
    this.drop();
    return complete ? String.fromCharCode(...units) : undefined;
  }

  #gather(bytes: Uint8Array, at: number): void {
    this.#units.unshift(...LONG_PLACES.map((place) => u16(bytes, at + place)));
    this.#expected--;
  }
}
