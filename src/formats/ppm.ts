/** Portable pixmaps, the form in which QEMU writes a screen (netpbm's ppm(5), raw `P6`). */
import { FormatError } from '../errors.ts';

/** A picture of 8-bit colours. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue of each pixel, row by row from the top: width × height × 3 bytes. */
  readonly rgb: Uint8Array;
}

/** Widest and highest picture taken: twice what any display adapter of QEMU offers. */
const MAX_SIDE = 16_384;
/** Most pixels taken, 64 Mi: 192 MiB of colours. */
const MAX_PIXELS = 64 * 1024 * 1024;
const HASH = 0x23;
const NEWLINE = 0x0a;

/** The first picture in `bytes`. @throws FormatError `ppm.damaged`, `ppm.unsupported` */
export function parsePpm(bytes: Uint8Array): Picture {
  if (bytes[0] !== 0x50 || bytes[1] !== 0x36) throw damaged('it does not begin with P6');
  let at = 2;
  const number = (what: string): number => {
    at = skipSpace(bytes, at);
    const start = at;
    let value = 0;
    for (let digit = (bytes[at] ?? 0) - 0x30; digit >= 0 && digit <= 9; digit = (bytes[at] ?? 0) - 0x30) {
      value = value * 10 + digit;
      if (++at - start > 9) break;
    }
    if (at === start || at - start > 9) throw damaged(`its ${what} is no number`);
    return value;
  };
  const width = number('width');
  const height = number('height');
  const maximum = number('largest value');
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS) {
    throw damaged(`its size is impossible (${width}x${height})`);
  }
  if (maximum !== 255) {
    throw new FormatError('ppm.unsupported', `Cannot read the picture: its colours are not 8 bits wide (${maximum})`);
  }
  // Exactly one white-space byte ends the header; the next may be a colour that looks like one.
  const start = at + 1;
  const length = width * height * 3;
  if (bytes.length < start + length) throw damaged(`it ends after ${bytes.length} of ${start + length} bytes`);
  return { width, height, rgb: bytes.subarray(start, start + length) };
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte === HASH) {
      const end = bytes.indexOf(NEWLINE, at);
      at = end < 0 ? bytes.length : end + 1;
    } else if (byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d)) {
      at++;
    } else {
      return at;
    }
  }
}

function damaged(why: string): FormatError {
  return new FormatError('ppm.damaged', `Cannot read the picture: ${why}`);
}
