import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { type BlockSource, readBytes, slice } from '../../src/disk/block-source.ts';
import { areasOnDisk, type MappedSegment, mappedSource } from '../../src/disk/mapped.ts';
import { patched } from '../../src/disk/patched.ts';
import { overlayAreas, overlayPartition, wholeArea } from '../../src/disk/splice.ts';

const UNIT = 16;

/** Segments over slices of a disk of 200 units, none used twice, and the place of every byte on the disk. */
function randomLayout(next: () => number): { segments: MappedSegment[]; starts: number[]; places: number[] } {
  const starts = [3 * UNIT, 101 * UNIT];
  const free = [Array.from({ length: 90 }, (_, i) => i), Array.from({ length: 95 }, (_, i) => i)];
  const segments: MappedSegment[] = [];
  const places: number[] = [];
  for (let count = 1 + (next() % 5); count > 0; count--) {
    const width = 1 + (next() % 3);
    const units = 2 * (1 + (next() % 4));
    const stripe = width === 1 ? units : 1 + (next() % 2);
    const areas = Array.from({ length: width }, () => {
      const source = next() % 2;
      const list = free[source]!;
      // Whole runs of units from a random place on that is free.
      const fits = list.filter((_, at) => at % 10 === 0 && list[at + units - 1] === list[at]! + units - 1);
      const first = fits[next() % fits.length]!;
      list.splice(list.indexOf(first), units);
      return { source, position: first * UNIT };
    });
    segments.push({ start: places.length, length: width * units * UNIT, stripeSize: stripe * UNIT, areas });
    for (let row = 0; row < units; row += stripe) {
      for (const { source, position } of areas) {
        for (let i = 0; i < stripe * UNIT; i++) places.push(starts[source]! + position + row * UNIT + i);
      }
    }
  }
  return { segments, starts, places };
}

/** The bytes as `locate` tells them, from memory or the edit. */
async function located(source: BlockSource, files: readonly Uint8Array[], position: number, length: number) {
  const out: number[] = [];
  for (const extent of await source.locate(position, length)) {
    if (extent.kind === 'literal') out.push(...extent.bytes);
    else if (extent.kind === 'data')
      out.push(...files[extent.file]!.subarray(extent.offset, extent.offset + extent.length));
    else throw new Error(extent.kind);
  }
  return out;
}

test('segments are read, and edits of what they make reach their places on the disk', async () => {
  const next = random(7);
  for (let round = 0; round < 300; round++) {
    const { segments, starts, places } = randomLayout(next);
    const bytes = Uint8Array.from({ length: 200 * UNIT }, () => next());
    const disk = memorySource(bytes);
    const inputs = [slice(disk, starts[0]!, 95 * UNIT), slice(disk, starts[1]!, 99 * UNIT)];
    const volume = mappedSource(segments, inputs);
    expect(volume.size).toBe(places.length);
    expect(volume.files).toEqual(disk.files);
    const from = next() % volume.size;
    const length = next() % (volume.size - from + 1);
    const expected = places.slice(from, from + length).map((place) => bytes[place]!);
    expect([...(await readBytes(volume, from, length))]).toEqual(expected);
    expect(await located(volume, [bytes], from, length)).toEqual(expected);

    const edit = Uint8Array.from({ length }, () => next());
    const edited = patched(volume, [{ position: from, bytes: edit }]);
    const after = overlayAreas(disk, areasOnDisk(segments, starts), edited);
    const wanted = bytes.slice();
    for (let i = 0; i < length; i++) wanted[places[from + i]!] = edit[i]!;
    expect([...(await readBytes(after, 0, after.size))]).toEqual([...wanted]);
    const at = next() % after.size;
    const count = next() % (after.size - at + 1);
    expect(await located(after, [bytes], at, count)).toEqual([...wanted.subarray(at, at + count)]);
  }
});

test('a volume of another file keeps its file', async () => {
  const [disk, volume] = [memorySource(new Uint8Array(100).fill(1)), memorySource(new Uint8Array(40).fill(2))];
  const other = { ...volume, files: [{ path: '/other', identity: '1:2' }] };
  const overlaid = overlayPartition(disk, 30, other);
  expect(overlaid.files).toEqual([...disk.files, ...other.files]);
  expect(await overlaid.locate(20, 60)).toEqual([
    { kind: 'data', length: 10, file: 0, offset: 20 },
    { kind: 'data', length: 40, file: 1, offset: 0 },
    { kind: 'data', length: 10, file: 0, offset: 70 },
  ]);
});

test('areas that overlap, or leave the disk or the volume, are misuse', () => {
  const [disk, volume] = [memorySource(new Uint8Array(100)), memorySource(new Uint8Array(40))];
  expect(() => overlayPartition(disk, 61, volume)).toThrow(RangeError);
  expect(() => overlayAreas(disk, [wholeArea(0, 41)], volume)).toThrow(RangeError);
  expect(() => overlayAreas(disk, [wholeArea(0, 20), wholeArea(19, 20)], volume)).toThrow(RangeError);
  const striped = { position: 0, length: 20, start: 10, stripeSize: 10, stride: 20 };
  expect(() => overlayAreas(disk, [striped], volume)).not.toThrow();
  expect(() => overlayAreas(disk, [{ ...striped, start: 11 }], volume)).toThrow(RangeError);
});
