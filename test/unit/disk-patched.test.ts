import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { type BlockSource, readBytes, slice } from '../../src/disk/block-source.ts';
import { type Patch, patched, type Range, zeroed } from '../../src/disk/patched.ts';
import { overlayPartition } from '../../src/disk/splice.ts';

const SIZE = 10_000;
const ground = Uint8Array.from({ length: SIZE }, (_, at) => 1 + (at % 250));

/** The same source, with every answer of `locate` in a promise. */
function late(source: BlockSource): BlockSource {
  return { ...source, locate: async (position, length) => source.locate(position, length) };
}

/** [position, position + length) put together from the extents. `files` gives the bytes of each host file. */
async function byExtents(
  source: BlockSource,
  files: Uint8Array[],
  position: number,
  length: number,
): Promise<Uint8Array> {
  const out = new Uint8Array(length).fill(0xee);
  let at = 0;
  for (const extent of await source.locate(position, length)) {
    expect(extent.length).toBeGreaterThan(0);
    const into = out.subarray(at, at + extent.length);
    if (extent.kind === 'zero') into.fill(0);
    if (extent.kind === 'literal') into.set(extent.bytes);
    if (extent.kind === 'data') into.set(files[extent.file]!.subarray(extent.offset, extent.offset + extent.length));
    at += extent.length;
  }
  expect(at).toBe(length);
  return out;
}

async function expectModel(
  source: BlockSource,
  model: Uint8Array,
  files: Uint8Array[],
  next: () => number,
): Promise<void> {
  for (let i = 0; i < 40; i++) {
    const position = next() % SIZE;
    const length = Math.min(SIZE - position, next() % 3000);
    const expected = model.subarray(position, position + length);
    expect(Buffer.compare(await readBytes(source, position, length), expected)).toBe(0);
    expect(Buffer.compare(await byExtents(source, files, position, length), expected)).toBe(0);
  }
}

test('random patches and zeroed ranges read and locate as a flat array would', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const next = random(seed);
    const model = ground.slice();
    const patches: Patch[] = [];
    for (let at = next() % 200; at < SIZE - 500; at += next() % 900) {
      const bytes = new Uint8Array(next() % 400).fill(next() & 0xff);
      patches.push({ position: at, bytes });
      model.set(bytes, at);
      at += bytes.length;
    }
    const ranges: Range[] = Array.from({ length: next() % 20 }, () => {
      const position = next() % SIZE;
      return { position, length: Math.min(SIZE - position, next() % 700) };
    });
    const zeros = model.slice();
    for (const { position, length } of ranges) zeros.fill(0, position, position + length);
    const below = seed % 2 === 0 ? memorySource(ground) : late(memorySource(ground));
    const over = patched(below, patches.toReversed());
    await expectModel(over, model, [ground], next);
    await expectModel(zeroed(over, ranges), zeros, [ground], next);
  }
});

test('blocks are laid by their number, touching ones stay apart, and nothing is copied', async () => {
  const one = new Uint8Array(1000).fill(1);
  const two = new Uint8Array(1000).fill(2);
  const over = patched(
    memorySource(ground),
    new Map([
      [3, two],
      [2, one],
    ]),
    { blockSize: 1000 },
  );
  const extents = await over.locate(1990, 2020);
  expect(extents).toEqual([
    { kind: 'data', length: 10, file: 0, offset: 1990 },
    { kind: 'literal', length: 1000, bytes: one },
    { kind: 'literal', length: 1000, bytes: two },
    { kind: 'data', length: 10, file: 0, offset: 4000 },
  ]);
  expect(extents[1]).toMatchObject({ bytes: { buffer: one.buffer } });
});

test('what is laid over is not read from below', async () => {
  const below = memorySource(ground);
  const over = patched(below, [{ position: 0, bytes: new Uint8Array(5000) }]);
  await readBytes(over, 100, 4000);
  await readBytes(zeroed(below, [{ position: 5000, length: 5000 }]), 5000, 5000);
  expect(below.asked.reads).toBe(0);
});

test('a source that answers at once still does when it is laid over', () => {
  const over = zeroed(patched(memorySource(ground), [{ position: 5, bytes: new Uint8Array(5) }]), [
    { position: 50, length: 9 },
  ]);
  expect(over.locate(0, 100)).toBeInstanceOf(Array);
  expect(over.locate(SIZE, 0)).toEqual([]);
});

test.each([
  {
    why: 'they overlap',
    patches: [
      { position: 0, bytes: ground.slice(0, 11) },
      { position: 10, bytes: ground.slice(0, 5) },
    ],
  },
  { why: 'one goes past the end', patches: [{ position: SIZE - 3, bytes: ground.slice(0, 4) }] },
  { why: 'one begins before the source', patches: [{ position: -1, bytes: ground.slice(0, 4) }] },
])('patches are refused when $why', ({ patches }) => {
  expect(() => patched(memorySource(ground), patches)).toThrow(RangeError);
});

test('a disk with an edited partition reads the edit inside and itself around it', async () => {
  const next = random(5);
  const disk = memorySource(ground);
  const volume = patched(slice(disk, 2000, 3000), [{ position: 500, bytes: new Uint8Array(100).fill(0xcc) }]);
  const model = ground.slice();
  model.fill(0xcc, 2500, 2600);
  const whole = overlayPartition(disk, 2000, volume);
  expect(whole.files).toEqual(disk.files);
  await expectModel(whole, model, [ground], next);
  await expectModel(overlayPartition(late(disk), 2000, late(volume)), model, [ground], next);
  // Around the edit nothing is cut at the border of the partition.
  expect(await whole.locate(1900, 200)).toEqual([{ kind: 'data', length: 200, file: 0, offset: 1900 }]);
});

test('a volume from another file keeps pointing at that file', async () => {
  const disk = memorySource(ground);
  // The second is the file of the disk by another path.
  const files = [
    { path: '/other', identity: '1:2' },
    { path: '/link', identity: '/memory' },
  ];
  const other = { ...memorySource(new Uint8Array(1000).fill(0xdd)), files };
  const whole = overlayPartition(disk, 0, other);
  expect(whole.files).toEqual([...disk.files, files[0]]);
  const extents = await whole.locate(990, 20);
  expect(extents).toEqual([
    { kind: 'data', length: 10, file: 1, offset: 990 },
    { kind: 'data', length: 10, file: 0, offset: 1000 },
  ]);
  expect(() => overlayPartition(memorySource(ground), SIZE - 999, other)).toThrow(RangeError);
});
