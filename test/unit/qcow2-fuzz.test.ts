import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { memoryFiles } from '../../fixtures/memory-source.ts';
import { handMadeQcow2 } from '../../fixtures/qcow2-image.ts';
import { openDiskWith } from '../../src/disk/open.ts';
import { isComposeError } from '../../src/errors.ts';

const SEEDS = 4000;
/** A damaged header may claim a disk of any size; this much of its beginning and of its end is read. */
const WINDOW = 64 * 1024;

const fill = (byte: number): Uint8Array => new Uint8Array(512).fill(byte);
const base = handMadeQcow2({ clusters: [fill(8), { deflate: fill(9) }, 'zero', fill(7)], version: 2, size: 1500 });
const tops = [
  handMadeQcow2({
    clusters: [fill(1), 'zero', 'unallocated', { deflate: fill(4) }, 'unallocated', fill(6)],
    backing: '/base',
    backingFormat: 'qcow2',
    featureNames: [[0, 'dirty bit']],
  }),
  handMadeQcow2({
    clusters: [{ deflate: fill(1) }, 'unallocated'],
    backing: 'json:{"driver":"qcow2","file":{"filename":"/base"}}',
  }),
  handMadeQcow2({ clusters: [fill(1)], features: 4n, dataFile: '/base' }),
  handMadeQcow2({ clusters: [fill(1), fill(2)], clusterBits: 14 }),
  handMadeQcow2({ clusters: [{ zstd: fill(1) }, fill(2), { zstd: fill(3) }], features: 8n, compressionType: 1 }),
];

test('a damaged qcow2 image is a ComposeError or a disk, and leaves no file open', async () => {
  let opened = 0;
  let largest = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const next = random(seed);
    const folder = new Map([
      ['/top', mutate(header(tops[seed % tops.length]!, next), next)],
      ['/base', next() % 4 === 0 ? mutate(base, next) : base],
    ]);
    const { openFile, count } = memoryFiles(folder);
    try {
      await using disk = await openDiskWith(openFile, '/top', { format: 'qcow2' });
      opened++;
      const length = Math.min(WINDOW, disk.size);
      for (const position of [0, disk.size - length]) {
        const extents = await disk.locate(position, length);
        expect(extents.reduce((sum, extent) => sum + extent.length, 0)).toBe(length);
        largest = Math.max(largest, ...extents.map((each) => (each.kind === 'compressed' ? each.storedLength : 0)));
        await disk.read(position, new Uint8Array(length));
      }
    } catch (error) {
      if (!isComposeError(error)) throw new Error(`seed ${seed}`, { cause: error });
    }
    expect(count.open).toBe(0);
  }
  // A fuzzer that never gets past the header tests nothing.
  expect(opened).toBeGreaterThan(SEEDS / 10);
  expect(largest).toBeLessThanOrEqual(Math.max(base.length, ...tops.map((top) => top.length)));
});

/** Half of the time a field of the header gets an extreme value, which changed bytes seldom reach. */
function header(image: Uint8Array, next: () => number): Uint8Array {
  const out = image.slice();
  if (next() % 2 === 0) return out;
  const fields = [8, 16, 20, 24, 28, 32, 36, 40, 44, 72, 76, 96, 100, 104, 108];
  const values = [0, 1, 9, 21, 512, 1024, 0x7fffffff, 0xffffffff];
  new DataView(out.buffer).setUint32(fields[next() % fields.length]!, values[next() % values.length]!);
  return out;
}
