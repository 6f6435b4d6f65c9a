import { expect, test } from 'vitest';
import { memorySource } from '../../fixtures/memory-source.ts';
import { broken, mbrDisk, record } from '../../fixtures/partition-tables.ts';
import { type PartitionTable, readPartitions } from '../../src/disk/partitions.ts';

const read = (bytes: Uint8Array): Promise<PartitionTable> => readPartitions(memorySource(bytes));

test('an MBR with logical partitions is numbered as in Linux', async () => {
  const bytes = mbrDisk({
    0: record(
      [
        [0x80, 0x83, 100, 900],
        [0, 0x00, 5, 5],
        [0, 0x0f, 1000, 9000],
        [0, 0x82, 1000 - 900 + 900, 0],
      ],
      0x0a1b2c3d,
    ),
    1000: record([
      [0, 0x83, 10, 100],
      [0, 0x05, 2000, 500],
    ]),
    3000: record([[0, 0x8e, 20, 200]]),
  });
  expect(await read(bytes)).toEqual({
    scheme: 'mbr',
    uuid: '0a1b2c3d',
    sectorSize: 512,
    partitions: [
      { number: 1, start: 100 * 512, size: 900 * 512, type: '83', uuid: '0a1b2c3d-01', bootable: true },
      { number: 5, start: 1010 * 512, size: 100 * 512, type: '83', uuid: '0a1b2c3d-05' },
      { number: 6, start: 3020 * 512, size: 200 * 512, type: '8e', uuid: '0a1b2c3d-06' },
    ],
  });
});

test('without a disk signature there are no PARTUUIDs', async () => {
  const table = await read(mbrDisk({ 0: record([[0, 0x07, 63, 100]]) }));
  expect(table).toEqual({
    scheme: 'mbr',
    sectorSize: 512,
    partitions: [{ number: 1, start: 63 * 512, size: 51200, type: '07' }],
  });
});

const none: { why: string; bytes: Uint8Array }[] = [
  { why: 'zeros', bytes: new Uint8Array(8192) },
  { why: 'less than a sector', bytes: new Uint8Array(100) },
  { why: 'no bytes', bytes: new Uint8Array(0) },
  { why: 'one sector', bytes: new Uint8Array(512) },
  {
    why: 'the boot sector of a file system: its code is no table',
    bytes: mbrDisk({ 0: record([[0x12, 0x34, 1, 1]]) }),
  },
  { why: 'an empty MBR', bytes: mbrDisk({ 0: record([], 77) }) },
];
test.each(none)('a disk without a table: $why', async ({ bytes }) => {
  expect(await read(bytes)).toEqual({ scheme: 'none', partitions: [] });
});

test('an extended partition nobody put anything into is empty', async () => {
  const table = await read(
    mbrDisk({
      0: record([
        [0, 0x05, 100, 900],
        [0, 0x83, 1000, 9000],
      ]),
    }),
  );
  expect(table.partitions.map(({ number }) => number)).toEqual([2]);
});

const refusedMbr: { why: string; bytes: Uint8Array; code: string }[] = [
  {
    why: 'a partition ends past the disk',
    bytes: mbrDisk({ 0: record([[0, 0x83, 1, 10_000]]) }),
    code: 'partitions.outside-disk',
  },
  {
    why: 'two partitions overlap',
    bytes: mbrDisk({
      0: record([
        [0, 0x83, 1, 1000],
        [0, 0x83, 1000, 1000],
      ]),
    }),
    code: 'partitions.overlap',
  },
  {
    why: 'a logical partition leaves its extended one and lies over a primary one',
    bytes: mbrDisk({
      0: record([
        [0, 5, 10, 50],
        [0, 0x83, 105, 100],
      ]),
      10: record([[0, 0x83, 100, 10]]),
    }),
    code: 'partitions.overlap',
  },
  {
    why: 'a logical partition wraps round 2^32',
    bytes: mbrDisk({ 0: record([[0, 5, 1000, 100]]), 1000: record([[0, 0x83, 0xffff_ff00, 1]]) }),
    code: 'partitions.outside-disk',
  },
  {
    why: 'the chain of logical partitions is a loop',
    bytes: mbrDisk({
      0: record([[0, 5, 1000, 9000]]),
      1000: record([
        [0, 0x83, 1, 10],
        [0, 5, 500, 100],
      ]),
      1500: record([
        [0, 0x83, 1, 10],
        [0, 5, 0, 100],
      ]),
    }),
    code: 'mbr.damaged',
  },
  {
    why: 'the chain leaves the disk',
    bytes: mbrDisk({
      0: record([[0, 5, 1000, 9000]]),
      1000: record([
        [0, 0x83, 1, 10],
        [0, 5, 9000, 100],
      ]),
    }),
    code: 'mbr.damaged',
  },
  {
    why: 'the chain leads to no record',
    bytes: mbrDisk({
      0: record([[0, 5, 1000, 9000]]),
      1000: record([
        [0, 0x83, 1, 10],
        [0, 5, 500, 100],
      ]),
    }),
    code: 'mbr.damaged',
  },
  {
    why: 'a chain of 300',
    bytes: mbrDisk({
      0: record([[0, 5, 1000, 9000]]),
      ...Object.fromEntries(
        Array.from({ length: 300 }, (_, at) => [
          1000 + at * 4,
          record([
            [0, 0x83, 1, 2],
            [0, 5, at * 4 + 4, 3],
          ]),
        ]),
      ),
    }),
    code: 'mbr.damaged',
  },
  { why: 'protective, but no GPT', bytes: mbrDisk({ 0: record([[0, 0xee, 1, 9999]]) }), code: 'gpt.damaged' },
];
test.each(refusedMbr)('refuses an MBR: $why', async ({ bytes, code }) => {
  await expect(read(bytes)).rejects.toMatchObject({ code, hint: expect.any(String) });
});

test('a GPT counts where a hybrid MBR shows some of its partitions too', async () => {
  const bytes = broken((disk) =>
    disk.set(
      record([
        [0, 0xee, 1, 2047],
        [0x80, 0xef, 8192, 16384],
      ]),
      0,
    ),
  );
  expect((await read(bytes)).scheme).toBe('gpt');
});
