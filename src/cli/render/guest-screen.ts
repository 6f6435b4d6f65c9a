import type { Picture } from '../../formats/ppm.ts';
import { CP437, type TextScreen, textLines } from '../../machine/screen-text.ts';

/** What a terminal can show, and how large it is in characters. */
export interface Canvas {
  readonly columns: number;
  readonly rows: number;
  readonly colors: 'true' | '256' | 'none';
}

/** What the terminal of this process can show. */
export function colorsOf(env: NodeJS.ProcessEnv = process.env): Canvas['colors'] {
  if (env.NO_COLOR || env.TERM === 'dumb') return 'none';
  return /truecolor|24bit/i.test(env.COLORTERM ?? '') ? 'true' : '256';
}

const RESET = '\u001b[0m';
/** Dark to bright, for a terminal without colours. */
const RAMP = ' .:-=+*#%@';
/** VGA's sixteen colours in its own order: blue is 1 and red is 4. */
const DARK = [0x000000, 0x0000aa, 0x00aa00, 0x00aaaa, 0xaa0000, 0xaa00aa, 0xaa5500, 0xaaaaaa];
const BRIGHT = [0x555555, 0x5555ff, 0x55ff55, 0x55ffff, 0xff5555, 0xff55ff, 0xffff55, 0xffffff];
const PALETTE: readonly number[] = [...DARK, ...BRIGHT];

/**
 * A picture as lines of half blocks, two pixels to a character, as large as fits and in its own proportions. Each pixel is
 * the mean of those it stands for.
 */
export function pictureLines(picture: Picture, canvas: Canvas): string[] {
  const scale = Math.min(canvas.columns / picture.width, (canvas.rows * 2) / picture.height, 1);
  const width = Math.max(1, Math.floor(picture.width * scale));
  const height = Math.max(2, Math.floor((picture.height * scale) / 2) * 2);
  const small = shrink(picture, width, height);
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = '';
    let [ink, paper] = [-1, -1];
    for (let x = 0; x < width; x++) {
      const [top, bottom] = [small[y * width + x]!, small[(y + 1) * width + x]!];
      if (canvas.colors === 'none') {
        line += RAMP[Math.floor(((luma(top) + luma(bottom)) / 2 / 256) * RAMP.length)];
        continue;
      }
      if (top !== ink) line += sgr(38, top, canvas.colors);
      if (bottom !== paper) line += sgr(48, bottom, canvas.colors);
      [ink, paper] = [top, bottom];
      line += '▀';
    }
    lines.push(canvas.colors === 'none' ? line : `${line}${RESET}`);
  }
  return lines;
}

/** A text screen as the characters it is made of; where the terminal is lower, the rows that end with the last one written. */
export function textScreenLines(text: TextScreen, canvas: Canvas): string[] {
  const written = textLines(text);
  const last = written.findLastIndex((line) => line !== '');
  const rows = Math.min(text.rows, canvas.rows);
  const first = Math.max(0, Math.min(text.rows - rows, last + 1 - rows));
  const columns = Math.min(text.columns, canvas.columns);
  const { colors: kind } = canvas;
  if (kind === 'none') return written.slice(first, first + rows).map((line) => line.slice(0, columns));
  return Array.from({ length: rows }, (_, row) => {
    let line = '';
    let colors = -1;
    for (let column = 0; column < columns; column++) {
      const at = 2 * ((first + row) * text.columns + column);
      const attribute = text.cells[at + 1]!;
      if (attribute !== colors) {
        line += sgr(38, PALETTE[attribute & 0x0f]!, kind) + sgr(48, PALETTE[(attribute >> 4) & 0x07]!, kind);
        colors = attribute;
      }
      line += CP437[text.cells[at]!];
    }
    return `${line}${RESET}`;
  });
}

/** `picture` in another size, each pixel the mean of a box. */
function shrink(picture: Picture, width: number, height: number): Uint32Array {
  const { rgb } = picture;
  const out = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    const [top, bottom] = [edge(y, height, picture.height), edge(y + 1, height, picture.height)];
    for (let x = 0; x < width; x++) {
      const [left, right] = [edge(x, width, picture.width), edge(x + 1, width, picture.width)];
      let [r, g, b, count] = [0, 0, 0, 0];
      for (let row = top; row < Math.max(bottom, top + 1); row++) {
        for (let at = (row * picture.width + left) * 3, n = Math.max(right, left + 1) - left; n > 0; n--, at += 3) {
          r += rgb[at]!;
          g += rgb[at + 1]!;
          b += rgb[at + 2]!;
          count++;
        }
      }
      out[y * width + x] = (Math.round(r / count) << 16) | (Math.round(g / count) << 8) | Math.round(b / count);
    }
  }
  return out;
}

function edge(at: number, of: number, length: number): number {
  return Math.min(length - 1 + Number(at === of), Math.floor((at * length) / of));
}

function sgr(layer: 38 | 48, color: number, colors: 'true' | '256'): string {
  const [r, g, b] = [color >> 16, (color >> 8) & 0xff, color & 0xff];
  return colors === 'true' ? `\u001b[${layer};2;${r};${g};${b}m` : `\u001b[${layer};5;${cube(r, g, b)}m`;
}

/** The nearest of xterm's 256 colours: its 6x6x6 cube, or its 24 greys where all three are alike. */
function cube(r: number, g: number, b: number): number {
  if (Math.max(r, g, b) - Math.min(r, g, b) < 10) {
    const grey = Math.round((r + g + b) / 3);
    return grey < 4 ? 16 : grey > 246 ? 231 : 232 + Math.min(23, Math.max(0, Math.round((grey - 8) / 10)));
  }
  const step = (value: number): number => (value < 48 ? 0 : value < 115 ? 1 : Math.floor((value - 35) / 40));
  return 16 + 36 * step(r) + 6 * step(g) + step(b);
}

function luma(color: number): number {
  return 0.299 * (color >> 16) + 0.587 * ((color >> 8) & 0xff) + 0.114 * (color & 0xff);
}
