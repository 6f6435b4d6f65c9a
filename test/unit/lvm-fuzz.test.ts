import { describe, expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { groupText, linear, makePhysical } from '../../fixtures/lvm-image.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { type Lvm, readLvm } from '../../src/disk/lvm/read.ts';
import { isComposeError } from '../../src/errors.ts';
import { lvmChecksum } from '../../src/formats/lvm-label.ts';

const [A, B] = ['a'.repeat(32), 'b'.repeat(32)];
const PHYSICAL = { pv0: { uuid: A, extents: 4 }, pv1: { uuid: B, extents: 3 } } as const;

const read = (...images: readonly Uint8Array[]): Promise<Lvm> =>
  readLvm(images.map((bytes, index) => ({ source: memorySource(bytes), where: `partition ${index + 1}` })));

const segment = (type: string, rest = ''): string => `start_extent = 0
  extent_count = 2
  type = "${type}"
  ${rest}`;

describe('damaged bytes', () => {
  const text = groupText({
    physical: PHYSICAL,
    logical: {
      one: [linear(0, 2, 'pv0', 0), linear(2, 1, 'pv1', 0)],
      two: [segment('striped', 'stripe_count = 2\nstripe_size = 32\nstripes = ["pv0", 2, "pv1", 1]')],
      three: [segment('thin', 'thin_pool = "pool"')],
    },
  });

  test('of the text end in an error or in volumes that can be read', async () => {
    const next = random(1);
    let read1 = 0;
    for (let i = 0; i < 4000; i++) {
      const mutated = Buffer.from(mutate(Buffer.from(text), next)).toString('latin1');
      const { groups } = await read(
        makePhysical({ uuid: A, extents: 4, text: mutated }),
        makePhysical({ uuid: B, extents: 3 }),
      );
      read1 += await readAll(groups);
    }
    expect(read1).toBeGreaterThan(100);
  });

  test('of label, headers and areas too', async () => {
    const next = random(2);
    const physical = { pv0: PHYSICAL.pv0 };
    const logical = { one: [linear(0, 2, 'pv0', 0), linear(2, 1, 'pv0', 3)] };
    const whole = makePhysical({ uuid: A, extents: 4, text: groupText({ physical, logical }) });
    let reads = 0;
    for (let i = 0; i < 3000; i++) {
      const image = whole.slice();
      const at = [512, 4096, 4096 + 512][i % 3]!;
      const part = mutate(image.subarray(at, at + 512), next);
      image.set(part, at);
      // Every other one with its checksum made right, so that what is behind it is reached.
      if (i % 2 === 0) mend(image);
      const { groups } = await readLvm([{ source: memorySource(image), where: 'a' }]);
      reads += await readAll(groups);
    }
    expect(reads).toBeGreaterThan(100);
  });

  function mend(image: Uint8Array): void {
    const view = new DataView(image.buffer);
    view.setUint32(512 + 16, lvmChecksum(image.subarray(512 + 20, 1024)), true);
    view.setUint32(4096, lvmChecksum(image.subarray(4096 + 4, 4096 + 512)), true);
  }

  async function readAll(groups: Lvm['groups']): Promise<number> {
    let count = 0;
    for (const { source, failure } of groups.flatMap((group) => group.logicalVolumes)) {
      if (failure !== undefined) {
        if (!isComposeError(failure)) throw failure;
        continue;
      }
      if (source.size > 0x1000_0000) throw new Error('larger than what it lies on');
      await readBytes(source, 0, source.size);
      count++;
    }
    return count;
  }
});
