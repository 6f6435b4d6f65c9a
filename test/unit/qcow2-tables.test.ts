import { expect, test } from 'vitest';
import { handMadeQcow2 } from '../../fixtures/qcow2-image.ts';
import { parseQcow2Header, type Qcow2Header } from '../../src/formats/qcow2-header.ts';
import { l2TableOffset, mapping } from '../../src/formats/qcow2-tables.ts';

const header = (clusterBits: number, more: Partial<Qcow2Header> = {}): Qcow2Header => ({
  ...parseQcow2Header(handMadeQcow2({ clusterBits }).subarray(0, 2 ** clusterBits)),
  ...more,
});

function table(...words: bigint[]): DataView {
  const view = new DataView(new ArrayBuffer(words.length * 8));
  for (const [index, word] of words.entries()) view.setBigUint64(index * 8, word);
  return view;
}

test('an L1 entry is bits 9 to 55, whatever the reserved bits say', () => {
  const view = table(0n, (1n << 63n) | 0x30000n, 0xff00_0000_0000_01ffn, 1n << 55n);
  expect([0, 1, 2, 3].map((index) => l2TableOffset(view, index))).toEqual([0, 0x30000, 0, 2 ** 55]);
});

const COMPRESSED = 1n << 62n;
const compressed: { bits: number; word: bigint; offset: number; storedLength: number; why: string }[] = [
  { bits: 9, word: 700n, offset: 700, storedLength: 324, why: 'no further sector: up to the end of its own' },
  { bits: 9, word: (1n << 61n) | 700n, offset: 700, storedLength: 836, why: 'one bit of sectors at 512 B' },
  { bits: 9, word: 1n << 60n, offset: 2 ** 60, storedLength: 512, why: 'the place has 61 bits at 512 B' },
  { bits: 16, word: (255n << 54n) | 512n, offset: 512, storedLength: 131072, why: 'eight bits of sectors at 64 KiB' },
  {
    bits: 16,
    word: (1n << 53n) | 512n,
    offset: 2 ** 53 + 512,
    storedLength: 512,
    why: 'the place has 54 bits at 64 KiB',
  },
  { bits: 21, word: (8191n << 49n) | 1n, offset: 1, storedLength: 4194303, why: '13 bits of sectors at 2 MiB' },
];
test.each(compressed)('a compressed entry, clusters of 2^$bits: $why', ({ bits, word, offset, storedLength }) => {
  expect(mapping(header(bits), table(COMPRESSED | word), 0, 0)).toEqual({ kind: 'compressed', offset, storedLength });
});

test('an external data file has a cluster at byte 0 when bit 63 says so', () => {
  const external = header(16, { dataFile: 'x' });
  expect(mapping(external, table(1n << 63n), 0, 0)).toEqual({ kind: 'data', offset: 0 });
  expect(mapping(external, table(0n), 0, 0)).toEqual({ kind: 'unallocated' });
  expect(mapping(header(16), table(1n << 63n), 0, 0)).toEqual({ kind: 'unallocated' });
  expect(() => mapping(external, table(COMPRESSED), 0, 0)).toThrow('external data file');
});

const extended: { why: string; words: readonly [bigint, bigint]; at: number; expected: unknown }[] = [
  { why: 'stored', words: [0x30000n, 1n << 31n], at: 31, expected: { kind: 'data', offset: 0x30000 } },
  { why: 'not stored beside one that is', words: [0x30000n, 1n << 31n], at: 30, expected: { kind: 'unallocated' } },
  { why: 'zero with a cluster kept', words: [0x30000n, 1n << 32n], at: 0, expected: { kind: 'zero' } },
  { why: 'zero without a cluster', words: [0n, 1n << 63n], at: 31, expected: { kind: 'zero' } },
  { why: 'bit 0 is no zero flag here', words: [0x30001n, 1n], at: 0, expected: { kind: 'data', offset: 0x30000 } },
];
test.each(extended)('an extended entry: $why', ({ words, at, expected }) => {
  const wide = header(16, { extendedL2: true });
  expect(mapping(wide, table(0n, 0n, ...words), 1, at)).toEqual(expected);
});

test.each([
  { why: 'stored and zero at once', words: [0x30000n, (1n << 32n) | 1n] as const },
  { why: 'stored nowhere', words: [0n, 1n] as const },
])('an extended entry that contradicts itself is damage: $why', ({ words }) => {
  expect(() => mapping(header(16, { extendedL2: true }), table(...words), 0, 0)).toThrow('contradicts itself');
});
