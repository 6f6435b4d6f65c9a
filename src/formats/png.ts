/** Writes PNG files (W3C Portable Network Graphics, third edition): 8-bit palette where 256 colours are enough, else RGB. */
import { concat } from './concat.ts';
import { crc32 } from './crc32.ts';
import type { Picture } from './ppm.ts';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const PALETTE = 3;
const TRUECOLOR = 2;

/** `picture` as a PNG file. `deflate` makes a zlib stream (RFC 1950), as `zlib.deflateSync` does. */
export function encodePng(picture: Picture, deflate: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  const { width, height } = picture;
  const indexed = index(picture);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  header[9] = indexed === undefined ? TRUECOLOR : PALETTE;
  const rows =
    indexed === undefined ? filtered(picture.rgb, width * 3, height) : filtered(indexed.pixels, width, height);
  const chunks = [SIGNATURE, chunk('IHDR', header)];
  if (indexed !== undefined) chunks.push(chunk('PLTE', indexed.palette));
  chunks.push(chunk('IDAT', deflate(rows)), chunk('IEND', new Uint8Array(0)));
  return concat(chunks);
}

/** The picture as numbers into a palette; undefined when it has more than 256 colours. */
function index({ width, height, rgb }: Picture): { palette: Uint8Array; pixels: Uint8Array } | undefined {
  const pixels = new Uint8Array(width * height);
  const numbers = new Map<number, number>();
  let last = -1;
  let number = 0;
  for (let pixel = 0, at = 0; pixel < pixels.length; pixel++, at += 3) {
    const color = (rgb[at]! << 16) | (rgb[at + 1]! << 8) | rgb[at + 2]!;
    if (color !== last) {
      const known = numbers.get(color);
      if (known === undefined && numbers.size === 256) return undefined;
      number = known ?? numbers.size;
      if (known === undefined) numbers.set(color, number);
      last = color;
    }
    pixels[pixel] = number;
  }
  const palette = Uint8Array.from(
    [...numbers.keys()].flatMap((color) => [color >> 16, (color >> 8) & 0xff, color & 0xff]),
  );
  return { palette, pixels };
}

/** Each row behind the byte of its filter, which is none (0): screens are flat, and deflate finds that by itself. */
function filtered(bytes: Uint8Array, rowLength: number, rows: number): Uint8Array {
  const out = new Uint8Array((rowLength + 1) * rows);
  for (let row = 0; row < rows; row++) {
    out.set(bytes.subarray(row * rowLength, (row + 1) * rowLength), row * (rowLength + 1) + 1);
  }
  return out;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let at = 0; at < 4; at++) out[4 + at] = type.charCodeAt(at);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}
