/** Content as a root file system has it, made from a seed: the same bytes on every host. */
import { createCipheriv } from 'node:crypto';

export type ContentKind = 'text' | 'binary' | 'random' | 'zero';

export interface Piece {
  readonly kind: ContentKind;
  readonly bytes: Uint8Array;
}

const KIB = 1024;
/** Shares in per cent, near those of a Debian root with a package cache. */
const SHARES: readonly (readonly [kind: ContentKind, percent: number])[] = [
  ['binary', 45],
  ['text', 30],
  ['random', 15],
  ['zero', 10],
];
/** Pieces are 4 KiB times two to the power of 0 to this. */
const LARGEST_POWER = 9;
const WORDS = 4096;

/** Whole pieces of `total` bytes together, a multiple of 4 KiB. */
export function* content(seed: number, total: number): Generator<Piece> {
  const next = xorshift(seed);
  const makers: Readonly<Record<ContentKind, (length: number) => Uint8Array>> = {
    text: textMaker(next),
    binary: (length) => binary(length, next),
    random: randomMaker(seed),
    zero: (length) => new Uint8Array(length),
  };
  for (let left = total; left > 0; ) {
    const length = Math.min(left, 4 * KIB * (1 + (next() % 2 ** (1 + (next() % LARGEST_POWER)))));
    const kind = kindAt(next() % 100);
    yield { kind, bytes: makers[kind](length) };
    left -= length;
  }
}

function kindAt(percent: number): ContentKind {
  let sum = 0;
  for (const [kind, share] of SHARES) {
    sum += share;
    if (percent < sum) return kind;
  }
  return 'zero';
}

/** Marsaglia's xorshift of 32 bits (Journal of Statistical Software 8(14), 2003): quick, and good enough for content. */
function xorshift(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** Words of a fixed list, few of them often, in lines. */
function textMaker(next: () => number): (length: number) => Uint8Array {
  const words = Array.from({ length: WORDS }, () =>
    Uint8Array.from({ length: 2 + (next() % 9) }, () => 97 + ((next() % 26) * (next() % 26)) / 26),
  );
  return (length) => {
    const out = new Uint8Array(length);
    let line = 0;
    for (let at = 0; at < length; ) {
      const draw = (next() % WORDS) / WORDS;
      const word = words[Math.floor(WORDS * draw * draw * draw)]!;
      const taken = Math.min(word.length, length - at - 1);
      out.set(word.subarray(0, taken), at);
      at += taken;
      line += taken + 1;
      out[at++] = line > 60 ? 10 : 32;
      if (line > 60) line = 0;
    }
    return out;
  };
}

/** Short new strings of bytes, few values often, between copies of what came within the last 32 KiB. */
function binary(length: number, next: () => number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const draw = next();
    const run = Math.min(length - at, 3 + (draw & 15));
    if (at > 64 && (draw & 0x30) !== 0) {
      const back = 1 + ((draw >>> 8) % Math.min(at, (draw & 0x40) === 0 ? 512 : 32 * KIB));
      for (let end = at + run; at < end; at++) out[at] = out[at - back]!;
    } else {
      for (let end = at + run; at < end; at++) {
        const value = next();
        out[at] = value & ((value >>> 8) | (value >>> 16)) & 0xff;
      }
    }
  }
  return out;
}

/** AES-256-CTR of zeros: no compressor finds anything in it. */
function randomMaker(seed: number): (length: number) => Uint8Array {
  const key = Buffer.alloc(32);
  key.writeUInt32LE(seed >>> 0);
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(Buffer.alloc(length));
}
