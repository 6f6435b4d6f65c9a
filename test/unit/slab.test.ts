import { expect, test } from 'vitest';
import { Slab } from '../../src/formats/slab.ts';

test('pieces of a slab are zeros that nobody else has', () => {
  const slab = new Slab(64);
  const pieces = Array.from({ length: 40 }, (_, at) => slab.take(at % 9));
  for (const [at, piece] of pieces.entries()) {
    expect(piece).toEqual(new Uint8Array(at % 9));
    piece.fill(at + 1);
  }
  for (const [at, piece] of pieces.entries()) expect(piece).toEqual(new Uint8Array(at % 9).fill(at + 1));
  const buffers = new Set(pieces.map(({ buffer }) => buffer));
  expect(buffers.size).toBeLessThan(10);
});

test('a long buffer is made by itself', () => {
  const slab = new Slab(64);
  const long = slab.take(9);
  expect(long.buffer.byteLength).toBe(9);
  expect(slab.take(8).buffer.byteLength).toBe(64);
});
