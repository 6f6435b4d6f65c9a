import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { crc64 } from '../../src/formats/crc64.ts';
import { dictionaryByte, makeBlock, unpaddedSize } from '../../src/formats/xz/block.ts';
import { multibyteInteger, readMultibyteInteger } from '../../src/formats/xz/integer.ts';
import { streamEnd, streamHeader } from '../../src/formats/xz/stream.ts';

const hex = (bytes: Iterable<number>): string => Buffer.from([...bytes]).toString('hex');

test('CRC-64: the check value of its catalogue entry, whole and in two', () => {
  const text = Buffer.from('123456789');
  expect(crc64(text)).toBe(0x995dc9bbdf1939fan);
  expect(crc64(text.subarray(4), crc64(text.subarray(0, 4)))).toBe(0x995dc9bbdf1939fan);
  expect(crc64(new Uint8Array(0))).toBe(0n);
});

test.each([
  [0, '00', 'least'],
  [127, '7f', 'one byte'],
  [128, '8001', 'two bytes'],
  [16_383, 'ff7f', 'the last of two'],
  [2 ** 32, '8080808010', 'beyond the bit operators'],
  [Number.MAX_SAFE_INTEGER, 'ffffffffffffff0f', 'the largest a number holds'],
])('multibyte integer %d is %s (%s)', (value, bytes) => {
  expect(hex(multibyteInteger(value))).toBe(bytes);
  expect(readMultibyteInteger(Uint8Array.from(multibyteInteger(value)), 0)).toBe(value);
});

test('what is no multibyte integer is refused', () => {
  for (const value of [-1, 0.5, 2 ** 53, Number.NaN]) expect(() => multibyteInteger(value)).toThrow(RangeError);
  for (const bytes of ['', '80', '8000', 'ffffffffffffffffff7f', 'ffffffffffffffff7f']) {
    expect(() => readMultibyteInteger(Buffer.from(bytes, 'hex'), 0), bytes).toThrow(RangeError);
  }
});

test('random bytes read as a multibyte integer are an error, or the integer whose form they are', () => {
  const next = random(7);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: next() % 12 }, () => next() & 0xff);
    try {
      const form = multibyteInteger(readMultibyteInteger(bytes, 0));
      expect(hex(form)).toBe(hex(bytes.subarray(0, form.length)));
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }
});

test.each([
  [4096, 0],
  [6144, 1],
  [6145, 2],
  [4 << 20, 20],
  [8 << 20, 22],
  [12 << 20, 23],
  [2 ** 32 - 1, 40],
])('a dictionary of %d bytes is byte %d', (size, byte) => expect(dictionaryByte(size)).toBe(byte));

test('a stream of no blocks is what xz writes for no input', () => {
  // xz 5.4.1 < /dev/null
  const expected = 'fd377a585a000004e6d6b446000000001cdf44211fb6f37d010000000004595a';
  expect(hex([...streamHeader(), ...streamEnd([])])).toBe(expected);
});

test.each([0, 1, 2, 3, 4, 127, 128, 70_000])(
  'a block around %d bytes: multiple of four, its size known again',
  (size) => {
    const block = makeBlock(new Uint8Array(size).fill(0xee), { uncompressedSize: 5, dictionary: 4096, check: 0n });
    expect(block.length % 4).toBe(0);
    expect(block.length - unpaddedSize(block)).toBe((4 - (size % 4)) % 4);
  },
);
