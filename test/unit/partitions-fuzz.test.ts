import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { readPartitions } from '../../src/disk/partitions.ts';
import { isComposeError } from '../../src/errors.ts';
import { crc32 } from '../../src/formats/crc32.ts';
import { GPT_TYPE } from '../../src/formats/gpt.ts';
import { writeGpt } from '../../src/formats/gpt-write.ts';

const SEEDS = 1500;
const SIZE = 64 * 1024;

/** A small GPT disk: the header and the first entries are damaged, and half of the time the checksums made right again. */
function gptDisk(next: () => number): Uint8Array {
  const sectorSize = 512;
  const { primary, backup } = writeGpt({
    diskSize: SIZE,
    sectorSize,
    diskGuid: GPT_TYPE.linux,
    partitions: [0, 1].map((at) => ({
      start: 20480 + at * 4096,
      size: 4096,
      type: GPT_TYPE.linux,
      guid: guid(at),
      name: 'x',
    })),
  });
  const bytes = new Uint8Array(SIZE);
  bytes.set(primary);
  bytes.set(backup.bytes, backup.position);
  const header = mutate(bytes.subarray(512, 512 + 92), next);
  bytes.set(header, 512);
  if (next() % 2 === 0) bytes.set(mutate(bytes.subarray(1024, 1280), next), 1024);
  if (next() % 4 === 0) bytes.fill(next() & 0xff, SIZE - 512 + (next() % 400), SIZE);
  if (next() % 2 === 0) {
    const view = new DataView(bytes.buffer);
    const count = Math.min(view.getUint32(512 + 80, true) * view.getUint32(512 + 84, true), SIZE - 1024);
    view.setUint32(512 + 88, crc32(bytes.subarray(1024, 1024 + count)), true);
    view.setUint32(512 + 16, 0, true);
    view.setUint32(512 + 16, crc32(bytes.subarray(512, 512 + Math.min(512, view.getUint32(512 + 12, true)))), true);
  }
  return next() % 8 === 0 ? bytes.slice(0, next() % SIZE) : bytes;
}

const guid = (at: number): string => `00000000-0000-4000-8000-00000000000${at}`;

/** Records with random entries at every block, so that chains lead somewhere. */
function mbrDisk(next: () => number): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  const types = [0x00, 0x05, 0x0f, 0x83, 0x83, 0x07, 0x85];
  for (let at = 0; at < SIZE; at += 512) {
    for (let slot = 0; slot < 4; slot++) {
      const entry = at + 446 + slot * 16;
      view.setUint8(entry, next() % 40 === 0 ? next() & 0xff : (next() % 2) * 0x80);
      view.setUint8(entry + 4, next() % 60 === 0 ? 0xee : types[next() % types.length]!);
      view.setUint32(entry + 8, next() % 16 === 0 ? next() : next() % 128, true);
      view.setUint32(entry + 12, next() % 16 === 0 ? next() : next() % 4, true);
    }
    if (next() % 20 !== 0) view.setUint16(at + 510, 0xaa55, true);
  }
  return bytes;
}

test.each([
  ['GPT', gptDisk],
  ['MBR', mbrDisk],
] as const)(
  'a damaged %s is a ComposeError or partitions within the disk, read with bounded effort',
  async (_, make) => {
    let read = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const source = memorySource(make(random(seed)));
      try {
        const table = await readPartitions(source);
        if (table.partitions.length > 0) read++;
        for (const { start, size } of table.partitions) {
          expect(start).toBeGreaterThanOrEqual(0);
          expect(size).toBeGreaterThan(0);
          expect(start + size).toBeLessThanOrEqual(source.size);
        }
      } catch (error) {
        if (!isComposeError(error)) throw new Error(`seed ${seed}`, { cause: error });
      }
      expect(source.asked.bytes).toBeLessThan(1024 * 1024);
      expect(source.asked.reads).toBeLessThan(1200);
    }
    expect(read).toBeGreaterThan(SEEDS / 100);
  },
);
