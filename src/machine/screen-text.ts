import type { Picture } from '../formats/ppm.ts';
import type { Screen } from './screen.ts';

/** What a PC's text screen says. */
export interface TextScreen {
  readonly columns: number;
  readonly rows: number;
  /** Two bytes a cell, row by row: a character of code page 437, and its colours (low four bits: ink; next three: paper). */
  readonly cells: Uint8Array;
}

/** Where a PC's text mode keeps its characters, and how much there is of it. */
const TEXT_MEMORY = 0xb8000;
const TEXT_BYTES = 32 * 1024;
const COLUMNS = 80;
const ROWS = 25;
const ROW_BYTES = COLUMNS * 2;
/** Cells that may look otherwise than their like: the cursor, and one that was drawn meanwhile. */
const STRANGERS = 3;

/** Control characters of code page 437 as they look on a screen, then 0x7f, then 0x80 to 0xff. */
const LOW = ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼';
const HIGH =
  '⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀' +
  'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ';

/** Code page 437 by byte. */
export const CP437: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 ? LOW[byte]! : byte < 0x7f ? String.fromCharCode(byte) : HIGH[byte - 0x7f]!,
);

/**
 * The characters on the screen when the guest is in a PC's text mode of 80 by 25; undefined in every other mode. The text
 * memory is believed only where it agrees with `picture`: cells of the same character and colours look the same.
 */
export async function readTextScreen(screen: Screen, picture: Picture): Promise<TextScreen | undefined> {
  const { width, height } = picture;
  if (height !== 400 || (width !== 720 && width !== 640)) return undefined;
  const memory = await screen.memory(TEXT_MEMORY, TEXT_BYTES).catch(() => undefined);
  if (memory === undefined || memory.length < TEXT_BYTES) return undefined;
  const looks = cellLooks(picture);
  // A kernel's console scrolls by moving the start of the screen, a row at a time.
  for (let start = 0; start + ROWS * ROW_BYTES <= TEXT_BYTES; start += ROW_BYTES) {
    const cells = memory.subarray(start, start + ROWS * ROW_BYTES);
    if (agree(cells, looks)) return { columns: COLUMNS, rows: ROWS, cells };
  }
  return undefined;
}

/** A number for the look of each cell (FNV-1a over its pixels). */
export function cellLooks({ width, height, rgb }: Picture): Uint32Array {
  const [cellWidth, cellHeight] = [width / COLUMNS, height / ROWS];
  const looks = new Uint32Array(COLUMNS * ROWS).fill(0x811c9dc5);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(y / cellHeight) * COLUMNS;
    for (let x = 0; x < width; x++, at += 3) {
      const cell = row + Math.floor(x / cellWidth);
      const color = (rgb[at]! << 16) | (rgb[at + 1]! << 8) | rgb[at + 2]!;
      looks[cell] = Math.imul(looks[cell]! ^ color, 0x01000193);
    }
  }
  return looks;
}

/** True when equal cells look equal, and the screen is not one look for many characters. */
export function agree(cells: Uint8Array, looks: Uint32Array): boolean {
  const byContent = new Map<number, Map<number, number>>();
  for (const [at, look] of looks.entries()) {
    const content = (cells[2 * at]! << 8) | cells[2 * at + 1]!;
    const seen = byContent.get(content) ?? new Map<number, number>();
    byContent.set(content, seen.set(look, (seen.get(look) ?? 0) + 1));
  }
  let strangers = 0;
  const letters = new Map<number, Set<number>>();
  for (const [content, seen] of byContent) {
    const counts = [...seen.values()];
    strangers += counts.reduce((sum, count) => sum + count, 0) - Math.max(...counts);
    const letter = content >> 8;
    if (letter <= 0x20 || letter >= 0x7f) continue;
    const [common] = [...seen.entries()].reduce((a, b) => (b[1] > a[1] ? b : a));
    letters.set(common, (letters.get(common) ?? new Set()).add(letter));
  }
  const confused = [...letters.values()].reduce((sum, same) => sum + same.size - 1, 0);
  return strangers <= STRANGERS && confused <= STRANGERS;
}

/** The text alone, a string a row, without the spaces at their ends. */
export function textLines({ columns, rows, cells }: TextScreen): string[] {
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => CP437[cells[2 * (row * columns + column)]!]!)
      .join('')
      .trimEnd(),
  );
}
