import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { crc16Register } from '../../src/formats/crc16.ts';
import { crc32c, crc32cRegister, crc32cWord } from '../../src/formats/crc32c.ts';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each([
  [new Uint8Array(0), 0x00000000, 'nothing'],
  [ascii('123456789'), 0xe3069283, 'the check value of the catalogue of CRCs'],
  [new Uint8Array(32), 0x8a9136aa, 'RFC 3720 B.4: zeros'],
  [new Uint8Array(32).fill(0xff), 0x62a8ab43, 'RFC 3720 B.4: ones'],
  [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e, 'RFC 3720 B.4: ascending'],
  [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c, 'RFC 3720 B.4: descending'],
])('CRC-32C of %s is %i', (bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});

test('CRC-32C goes on from any cut, and a word is four bytes', () => {
  const next = random(3);
  const bytes = Uint8Array.from({ length: 200 }, () => next() & 0xff);
  const whole = crc32cRegister(0xffffffff, bytes);
  for (let cut = 0; cut <= bytes.length; cut += 7) {
    expect(crc32cRegister(crc32cRegister(0xffffffff, bytes, 0, cut), bytes, cut)).toBe(whole);
    expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(crc32c(bytes));
  }
  const word = Uint8Array.of(0xef, 0xbe, 0xad, 0xde);
  expect(crc32cWord(0x12345678, 0xdeadbeef)).toBe(crc32cRegister(0x12345678, word));
});

test('CRC-16/ARC has the check value of the catalogue of CRCs', () => {
  expect(crc16Register(0, ascii('123456789'))).toBe(0xbb3d);
});
