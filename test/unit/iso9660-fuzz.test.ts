import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { sampleFiles } from '../../fixtures/iso-tree.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { isComposeError } from '../../src/errors.ts';
import { writeIso9660 } from '../../src/formats/iso9660/writer.ts';
import { readBootCatalogue } from '../../src/formats/iso9660-el-torito.ts';
import { openIso9660 } from '../../src/formats/iso9660-reader.ts';
import { readSystemUse } from '../../src/formats/iso9660-susp.ts';

const SECTOR = 2048;
/** Small, so that an edit hits something that matters. */
const IMAGE = writeIso9660(
  sampleFiles().filter(({ path }) => !path.startsWith('crowd/') || path.includes('1')),
  { volumeId: 'fuzz' },
);

/** Changes the descriptors, or the metadata behind them. */
function damage(next: () => number): Uint8Array {
  const whole = Uint8Array.from(IMAGE);
  for (let i = 0; i < 1 + (next() % 3); i++) {
    const start = next() % 4 === 0 ? 16 * SECTOR : (19 + (next() % 60)) * SECTOR;
    const part = mutate(whole.subarray(start, start + SECTOR), next);
    whole.set(part, start);
  }
  return next() % 16 === 0 ? whole.subarray(0, next() % whole.length) : whole;
}

test('an image with damaged metadata is read or refused, with a bounded number of bytes', async () => {
  const next = random(9660);
  let refused = 0;
  let read = 0;
  for (let round = 0; round < 1500; round++) {
    const source = memorySource(damage(next));
    try {
      const iso = await openIso9660(source, round % 3 === 0 ? { prefer: round % 2 === 0 ? 'joliet' : 'plain' } : {});
      for await (const entry of iso.entries()) for (const _ of entry.data?.extents ?? []);
      await iso.lookup('/level-0/level-1/level-2', { follow: true });
      await iso.lookup('/links/relative', { follow: true });
      await iso.bootImages();
      read++;
    } catch (error) {
      if (!isComposeError(error)) throw error;
      refused++;
    }
    expect(source.asked.bytes, `round ${round}`).toBeLessThan(64 * 1024 * 1024);
  }
  expect(read).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(50);
});

test('a boot catalogue of any bytes is read or refused', async () => {
  const catalogue = new Uint8Array(SECTOR);
  catalogue.set([1, 0, 0, 0]);
  catalogue.set([0xaa, 0x55, 0x55, 0xaa], 28);
  catalogue.set([0x88, 0, 0, 0, 0, 0, 4], 32);
  catalogue.set([0x91, 0xef, 1, 0], 64);
  catalogue.set([0x88], 96);
  expect(await readBootCatalogue(memorySource(catalogue), 0)).toHaveLength(2);
  const next = random(1);
  for (let round = 0; round < 2000; round++) {
    const bytes = mutate(catalogue, next);
    const found = await readBootCatalogue(memorySource(bytes), 0).catch((error: unknown) => {
      if (!isComposeError(error)) throw error;
      return [];
    });
    expect(found.length).toBeLessThanOrEqual(SECTOR / 32);
  }
});

test('system use entries of any bytes end, and continuations that lead in a circle are refused', async () => {
  const next = random(2);
  for (let round = 0; round < 3000; round++) {
    const use = Uint8Array.from({ length: next() % 200 }, () => next() & 0xff);
    await readSystemUse(use, next() % 32, async (_, __, length) => new Uint8Array(length));
  }
  const circle = Uint8Array.from([0x43, 0x45, 28, 1, ...new Array<number>(16).fill(0), 28, 0, 0, 0, 0, 0, 0, 28]);
  await expect(readSystemUse(circle, 0, async () => circle)).rejects.toMatchObject({ code: 'iso9660.damaged' });
});
