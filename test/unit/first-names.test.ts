import { expect, test } from 'vitest';
import { FirstNames } from '../../src/pack/first-names.ts';

test('names of any length come back as they were set, whatever becomes of what they were set from', () => {
  const names = new FirstNames();
  const lengths = [0, 1, 2, 3, 4095, 60_000, 65_531, 65_532, 65_533, 65_536, 200_000, 7];
  for (const [inode, length] of lengths.entries()) {
    const name = new Uint8Array(length).fill(inode + 1);
    names.set(inode, name);
    name.fill(0xff);
  }
  for (let inode = 1000; inode < 40_000; inode++) names.set(inode, Buffer.from(`name-${inode}`));
  for (const [inode, length] of lengths.entries()) {
    expect(Buffer.from(names.get(inode)!).equals(Buffer.alloc(length, inode + 1)), `${length} bytes`).toBe(true);
  }
  for (let inode = 1000; inode < 40_000; inode++) {
    if (Buffer.from(names.get(inode)!).toString() !== `name-${inode}`) expect.unreachable(`inode ${inode}`);
  }
  expect(names.get(999)).toBeUndefined();
});

test('an inode whose number is beyond 32 bits has its own name', () => {
  const names = new FirstNames();
  names.set(2 ** 40 + 1, Uint8Array.of(1));
  names.set(1, Uint8Array.of(2));
  expect(names.get(2 ** 40 + 1)).toEqual(Uint8Array.of(1));
});
