import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { unpackLz4Legacy } from '../../src/formats/lz4.ts';

const LIMIT = 1024 * 1024;
const MAGIC = [0x02, 0x21, 0x4c, 0x18];

function frame(...blocks: readonly (readonly number[])[]): Uint8Array {
  const sizes = blocks.flatMap((block) => [block.length, 0, 0, 0, ...block]);
  return Uint8Array.from([...MAGIC, ...sizes]);
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const letters = (word: string): number[] => [...Buffer.from(word)];

test.each([
  ['literals alone', frame([0x30, ...letters('abc')]), 'abc'],
  ['a match that runs into itself', frame([0x14, ...letters('a'), 1, 0, 0x10, ...letters('b')]), 'aaaaaaaaab'],
  ['a length of two bytes', frame([0xf0, 1, ...letters('abcdefghijklmnop')]), 'abcdefghijklmnop'],
  ['several blocks', frame([0x10, ...letters('a')], [0x10, ...letters('b')]), 'ab'],
  [
    'frames one after another, then zeros',
    Uint8Array.of(...frame([0x10, 0x61]), ...frame([0x10, 0x62]), 0, 0, 0, 0),
    'ab',
  ],
])('%s', (_, bytes, content) => expect(text(unpackLz4Legacy(bytes, LIMIT))).toBe(content));

test.each([
  ['a block that is cut short', Uint8Array.of(...MAGIC, 9, 0, 0, 0, 0x10)],
  ['a match before the beginning', frame([0x14, 0x61, 2, 0, 0x10, 0x62])],
  ['a length without an end', frame([0xf0, 255])],
])('%s is refused', (_, bytes) => expect(() => unpackLz4Legacy(bytes, LIMIT)).toThrow(RangeError));

test('more than is allowed is refused', () => {
  expect(() => unpackLz4Legacy(frame([0x14, 0x61, 1, 0, 0x10, 0x62]), 5)).toThrow(/more than 5 bytes/);
});

test('damage ends in content or a RangeError', () => {
  const whole = frame([0xf4, 1, ...letters('abcdefghijklmnop'), 3, 0, 0x10, 0x62], [0x14, 0x61, 1, 0, 0x10, 0x62]);
  for (let seed = 1; seed <= 300; seed++) {
    try {
      expect(unpackLz4Legacy(mutate(whole, random(seed)), LIMIT).length).toBeLessThanOrEqual(LIMIT);
    } catch (error) {
      expect(error, `seed ${seed}`).toBeInstanceOf(RangeError);
    }
  }
});
