/**
 * Whether a chunk is worth compressing. Media, packages and an initrd are compressed already; libdeflate spends more time on
 * such a chunk than on any other to make nothing of it, on a Debian root a twentieth of all.
 */

/** Samples taken across a chunk, and their length. */
const SAMPLES = 16;
const SAMPLE = 1024;
/** Of them, those that may look compressible: an edge of a file, its header, the padding of its last block. */
const FEW = 3;
/**
 * Pairs of equal bytes in a sample. Random bytes have n + n²/256 (5120) give or take 90; machine code and text five times
 * as many and more, base64 three times.
 */
const MOST_PAIRS = (SAMPLE + SAMPLE ** 2 / 256) * 1.12;
/** What is tried before a chunk is believed: it holds two windows of deflate, so that bytes that come again are found. */
const TRIAL = 64 * 1024;
/** A trial that gains less than this part is none. */
const LEAST_GAIN = 0.01;

const counts = new Uint32Array(256);

/**
 * True for bytes that have no frequent ones among them and that `compressed`, the length that a quick compression of a
 * piece has, makes nothing of. It depends on the bytes alone.
 */
export function isIncompressible(input: Uint8Array, compressed: (piece: Uint8Array) => number): boolean {
  if (input.length < TRIAL) return false;
  const step = Math.floor((input.length - SAMPLE) / (SAMPLES - 1));
  let compressible = 0;
  for (let sample = 0; sample < SAMPLES; sample++) {
    if (equalPairs(input, sample * step) <= MOST_PAIRS) continue;
    compressible++;
    if (compressible > FEW) return false;
  }
  const middle = Math.floor((input.length - TRIAL) / 2);
  const piece = input.subarray(middle, middle + TRIAL);
  return compressed(piece) > piece.length * (1 - LEAST_GAIN);
}

/** Ordered pairs of equal bytes in a sample: the sum of the squares of how often each comes. */
function equalPairs(input: Uint8Array, from: number): number {
  counts.fill(0);
  for (let at = from; at < from + SAMPLE; at++) {
    const byte = input[at] ?? 0;
    counts[byte] = (counts[byte] ?? 0) + 1;
  }
  let pairs = 0;
  for (let byte = 0; byte < 256; byte++) pairs += (counts[byte] ?? 0) ** 2;
  return pairs;
}
