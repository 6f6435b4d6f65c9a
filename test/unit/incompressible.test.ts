import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openEngine } from '../../src/pack/engine.ts';
import { isIncompressible } from '../../src/pack/incompressible.ts';

const MIB = 1024 * 1024;

/** Bytes nobody can compress, the same every time. */
function random(length: number, seed = 'incompressible'): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += 32) parts.push(createHash('sha256').update(`${seed} ${at}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

function repeated(piece: Buffer, length: number): Buffer {
  const whole = Buffer.alloc(length);
  for (let at = 0; at < length; at += piece.length) piece.copy(whole, at);
  return whole;
}

/** `whole` with the bytes at `at` in place of its own. */
function changed(whole: Buffer, at: number, bytes: Buffer): Buffer {
  const copy = Buffer.from(whole);
  bytes.copy(copy, at);
  return copy;
}

const quick = (piece: Uint8Array): number => gzipSync(piece, { level: 1 }).length;

describe('a chunk that is not worth compressing', () => {
  const noise = random(MIB);
  it.each([
    ['random bytes', noise, true],
    ['what gzip made', gzipSync(repeated(random(300_000), 3 * MIB).toString('hex')).subarray(0, MIB), true],
    ['random bytes with the zeros behind a file among them', changed(noise, 0, Buffer.alloc(100 * 1024)), true],
    ['random bytes whose second half is text', changed(noise, MIB / 2, Buffer.from('text\n'.repeat(MIB / 10))), false],
    ['base64, which has 64 letters', Buffer.from(noise.toString('base64')).subarray(0, MIB), false],
    ['one random block again and again: its bytes are random, the whole is not', repeated(random(4096), MIB), false],
    ['the same with a block nearly as long as the window of deflate', repeated(random(32_000), MIB), false],
    [
      'a ramp, in which every byte is as frequent as any other',
      repeated(Buffer.from(Array.from({ length: 256 }, (_, i) => i)), MIB),
      false,
    ],
    ['zeros', Buffer.alloc(MIB), false],
    ['a chunk too short to be judged', random(1000), false],
    ['nothing', Buffer.alloc(0), false],
  ])('%s', (_, bytes, expected) => {
    expect(isIncompressible(bytes, quick)).toBe(expected);
  });
});

describe('engines that store such a chunk', () => {
  const noise = random(MIB);
  it.each(['libdeflate', 'zlib'] as const)('%s adds no more than the frames of stored blocks', async (name) => {
    for (const level of [1, 5, 9]) {
      const engine = await openEngine({ engine: name, level });
      const { length } = engine.member([noise], noise.length);
      engine.close();
      expect(length).toBeGreaterThan(noise.length);
      // RFC 1951, 3.2.4: five bytes for each block, of 65535 bytes at most; zlib's are shorter.
      expect(length).toBeLessThan(noise.length + 1024);
    }
  });
});
