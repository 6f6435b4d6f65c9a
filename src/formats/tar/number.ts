/** Numbers as tar headers hold them: octal text, or GNU's base-256 where octal has no room. */

/** Of each width up to the widest field of a header; a power for each number of each member is a fiftieth of packing a tree. */
const LIMITS = Array.from({ length: 13 }, (_, width) => 8 ** (width - 1) - 1);
const WORD = 2 ** 31;

/** Largest number `width` bytes hold as octal digits and a terminating NUL. */
export function octalLimit(width: number): number {
  return LIMITS[width] ?? 8 ** (width - 1) - 1;
}

/** Writes `value` into `width` bytes at `offset`: octal and a NUL, or base-256 with the high bit set. */
export function writeNumber(into: Uint8Array, offset: number, width: number, value: number): void {
  if (value >= 0 && value <= octalLimit(width)) {
    let at = offset + width - 2;
    let rest = value;
    for (; rest >= WORD; rest = Math.floor(rest / 8)) into[at--] = 0x30 + (rest % 8);
    for (let word = rest | 0; at >= offset; word >>>= 3) into[at--] = 0x30 + (word & 7);
    into[offset + width - 1] = 0;
    return;
  }
  let rest = BigInt(value);
  for (let at = offset + width - 1; at >= offset; at--) {
    into[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  into[offset] = (into[offset] ?? 0) | 0x80;
}

/** The number in `width` bytes at `offset`; NaN where the field holds neither octal nor base-256. */
export function readNumber(from: Uint8Array, offset: number, width: number): number {
  const first = from[offset] ?? 0;
  if ((first & 0x80) !== 0) return readBase256(from, offset, width, first);
  let value = 0;
  let digits = 0;
  for (let at = offset; at < offset + width; at++) {
    const byte = from[at] ?? 0;
    if (byte >= 0x30 && byte <= 0x37) {
      value = value * 8 + (byte - 0x30);
      digits++;
    } else if (byte === 0 || byte === 0x20) {
      if (digits > 0) break;
    } else {
      return Number.NaN;
    }
  }
  return value;
}

function readBase256(from: Uint8Array, offset: number, width: number, first: number): number {
  const negative = (first & 0x40) !== 0;
  let value = BigInt(first & 0x7f);
  if (negative) value -= 0x80n;
  for (let at = offset + 1; at < offset + width; at++) value = (value << 8n) | BigInt(from[at] ?? 0);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : Number.NaN;
}
