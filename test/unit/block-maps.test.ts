import { expect, test } from 'vitest';
import { BLOCKS, type HandMadeImage, handMadeVdi, handMadeVhd, handMadeVhdx } from '../../fixtures/block-map-images.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { memoryFiles } from '../../fixtures/memory-source.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { type Disk, openDiskWith } from '../../src/disk/open.ts';
import type { ServeDisk } from '../../src/disk/served-disk.ts';
import { FormatError, isComposeError } from '../../src/errors.ts';

const qemu: ServeDisk = async () => {
  throw new FormatError('test.served', 'left to QEMU');
};

function open(bytes: Uint8Array): Promise<Disk> {
  return openDiskWith(memoryFiles(new Map([['/disk', bytes]])).openFile, '/disk', {}, qemu);
}

const images: [string, () => HandMadeImage][] = [
  ['vdi', handMadeVdi],
  ['vhd', handMadeVhd],
  ['vhdx', handMadeVhdx],
];

test.each(images)('the blocks of a %s are found where they are, across blocks and within', async (format, make) => {
  const { bytes, blockSize } = make();
  await using disk = await open(bytes);
  expect(disk).toMatchObject({ format, size: BLOCKS * blockSize, files: [{ path: '/disk', identity: '/disk' }] });
  const kinds = (await disk.locate(0, disk.size)).map(({ kind, length }) => [kind, length]);
  expect(kinds).toEqual([
    ['data', blockSize],
    ['zero', blockSize],
    ['data', blockSize],
  ]);
  expect(await readBytes(disk, blockSize - 1, 2)).toEqual(Uint8Array.of(1, 0));
  expect(await readBytes(disk, 2 * blockSize - 1, 3)).toEqual(Uint8Array.of(0, 3, 3));
  expect(await readBytes(disk, disk.size - 1, 1)).toEqual(Uint8Array.of(3));
});

test.each(images)('a %s whose data is cut off is an error', async (_, make) => {
  const { bytes, blockSize } = make();
  const cut = bytes.slice(0, bytes.length - blockSize - 512 - 10);
  await using disk = await open(cut);
  await expect((async () => disk.locate(0, 10))()).rejects.toMatchObject({
    code: 'disk.truncated',
    hint: expect.any(String),
  });
});

test.each([
  { creator: 'win ', size: 3072, why: 'Hyper-V means the size' },
  { creator: 'wa\0\0', size: 3072, why: 'Azure means the size' },
  { creator: 'vpc ', size: 2560, why: 'Virtual PC means the geometry' },
  { creator: 'vbox', size: 2560, why: 'QEMU takes the geometry for all it does not know' },
])('the size of a VHD: $why', async ({ creator, size }) => {
  await using disk = await open(handMadeVhd({ creator }).bytes);
  expect(disk.size).toBe(size);
});

const change = (image: HandMadeImage, at: number, ...values: number[]): Uint8Array => {
  const bytes = image.bytes.slice();
  bytes.set(values, at);
  image.mend(bytes);
  return bytes;
};
test.each([
  { why: 'a VDI of another version', image: change(handMadeVdi(), 68, 0, 0) },
  { why: 'a VDI that has a parent', image: change(handMadeVdi(), 440, 1) },
  { why: 'a VDI of a kind that differs', image: change(handMadeVdi(), 76, 4) },
  { why: 'a VDI with fewer blocks than its size needs', image: change(handMadeVdi(), 384, 1) },
  { why: 'a VDI of 2^32 blocks', image: change(handMadeVdi(), 384, 255, 255, 255, 255) },
  { why: 'a VHD that has a parent', image: handMadeVhd({ type: 4 }).bytes },
  { why: 'a VHD whose blocks are no power of two', image: change(handMadeVhd(), 512 + 34, 6) },
  { why: 'a VHD without its second header', image: change(handMadeVhd(), 512, 0) },
  { why: 'a VHDX whose log is to be replayed', image: change(handMadeVhdx(), 128 * 1024 + 48, 1) },
  { why: 'a VHDX that has a parent', image: change(handMadeVhdx(), (384 + 64) * 1024 + 4, 2) },
  { why: 'a VHDX with a block that is there in part', image: change(handMadeVhdx(), 512 * 1024, 7) },
  {
    why: 'a VHDX with a required region nobody knows',
    image: change(
      handMadeVhdx(),
      192 * 1024 + 16,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      9,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
    ),
  },
])('is left to QEMU: $why', async ({ image }) => {
  await expect(open(image)).rejects.toMatchObject({ code: 'test.served' });
});

test('the header with the newer sequence number counts, and only with its checksum right', async () => {
  const image = handMadeVhdx();
  // The older one has a log, which does not matter.
  await using disk = await open(change(image, 64 * 1024 + 48, 1));
  expect(disk.size).toBe(3 * 2 ** 20);
  const bytes = change(image, 64 * 1024 + 48, 1);
  bytes[128 * 1024 + 100] = 1;
  await expect(open(bytes)).rejects.toMatchObject({ code: 'test.served' });
});

test.each(images)('a damaged %s is a disk, an error, or left to QEMU', async (_, make) => {
  const image = make();
  let opened = 0;
  const seeds = image.bytes.length > 100_000 ? 300 : 3000;
  for (let seed = 1; seed <= seeds; seed++) {
    const next = random(seed);
    let bytes = image.bytes.slice();
    const [start, length] = image.structures[next() % image.structures.length]!;
    bytes.set(mutate(bytes.subarray(start, start + length), next), start);
    if (next() % 4 !== 0) image.mend(bytes);
    if (next() % 8 === 0) bytes = bytes.slice(0, next() % bytes.length);
    try {
      await using disk = await open(bytes);
      opened++;
      const window = Math.min(disk.size, 64 * 1024);
      for (const position of [0, disk.size - window]) {
        const extents = await disk.locate(position, window);
        expect(extents.reduce((sum, extent) => sum + extent.length, 0)).toBe(window);
        await disk.read(position, new Uint8Array(window));
      }
    } catch (error) {
      if (!isComposeError(error)) throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  expect(opened).toBeGreaterThan(seeds / 10);
});
