import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { writeIso9660 } from '../../src/formats/iso9660/writer.ts';
import { liftFromIso } from '../../src/machine/installer-media.ts';
import { describeIso } from '../../src/machine/iso-describe.ts';

const SECTOR = 2048;

test('a damaged installer is lifted or refused, and a refusal leaves no files', async () => {
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  const padded = writeIso9660(
    [
      { path: '.treeinfo', content: text('[general]\nfamily = Fedora\narch = x86_64\n[images-x86_64]\nkernel = a\n') },
      { path: '.disk/info', content: text('Fedora 42 x86_64') },
      { path: 'images/pxeboot/vmlinuz', content: text('kernel') },
      { path: 'images/pxeboot/initrd.img', symlink: '../initrd.img' },
      { path: 'images/initrd.img', content: text('initrd') },
    ],
    { volumeId: 'Fedora-S-dvd-x86_64-42' },
  );
  const folder = await mkdtemp(join(tmpdir(), 'compose-lift-'));
  // Behind the last file there is padding, in which damage means nothing.
  const used = Math.ceil(padded.findLastIndex((byte) => byte !== 0) / SECTOR);
  const image = padded.subarray(0, used * SECTOR);
  const next = random(4711);
  let refused = 0;
  let lifted = 0;
  try {
    for (let round = 0; round < 300; round++) {
      const damaged = Uint8Array.from(image);
      for (let i = 0; i < 1 + (next() % 2); i++) {
        const start = (16 + (next() % (used - 16))) * SECTOR;
        damaged.set(mutate(damaged.subarray(start, start + SECTOR), next), start);
      }
      const iso = join(folder, 'x.iso');
      const out = join(folder, `${round}`);
      await writeFile(iso, next() % 20 === 0 ? damaged.subarray(0, next() % damaged.length) : damaged);
      try {
        await liftFromIso(iso, {}, out, quietContext());
        lifted++;
      } catch (error) {
        if (!isComposeError(error)) throw error;
        expect(await readdir(out).catch(() => []), `round ${round}`).toEqual([]);
        refused++;
      }
      await describeIso(iso).catch((error) => {
        if (!isComposeError(error)) throw error;
      });
      await rm(out, { recursive: true, force: true });
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  expect(lifted).toBeGreaterThan(20);
  expect(refused).toBeGreaterThan(20);
});
