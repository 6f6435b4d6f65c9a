import { expect, test } from 'vitest';
import { memorySource } from '../../fixtures/memory-source.ts';
import { broken, DISK_GUID, diskWith, guid, layout, MiB } from '../../fixtures/partition-tables.ts';
import { type PartitionTable, readPartitions } from '../../src/disk/partitions.ts';
import { crc32 } from '../../src/formats/crc32.ts';
import { GPT_TYPE, parseGptHeader } from '../../src/formats/gpt.ts';
import { type GptLayout, gptUsable, writeGpt } from '../../src/formats/gpt-write.ts';
import { guidBytes, guidText } from '../../src/formats/guid.ts';

const read = (bytes: Uint8Array): Promise<PartitionTable> => readPartitions(memorySource(bytes));

test('CRC-32 has its standard check value and goes on from a previous one', () => {
  const check = new TextEncoder().encode('123456789');
  expect(crc32(check)).toBe(0xcbf43926);
  expect(crc32(check.subarray(4), crc32(check.subarray(0, 4)))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array(0))).toBe(0);
});

test('a GUID is stored with its first three groups reversed', () => {
  const bytes = guidBytes('C12A7328-F81F-11D2-BA4B-00A0C93EC93B');
  expect(Buffer.from(bytes).toString('hex')).toBe('28732ac11ff8d211ba4b00a0c93ec93b');
  expect(guidText(bytes)).toBe(GPT_TYPE.efiSystem);
  for (const text of ['', 'c12a7328', 'g12a7328-f81f-11d2-ba4b-00a0c93ec93b', `${GPT_TYPE.linux} `]) {
    expect(() => guidBytes(text)).toThrow(RangeError);
  }
});

test.each([512, 4096] as const)('a GPT of %i-byte sectors is read back as it was written', async (sectorSize) => {
  const table = await read(diskWith({ ...layout, sectorSize }));
  expect(table).toEqual({
    scheme: 'gpt',
    uuid: DISK_GUID,
    sectorSize,
    partitions: [
      {
        number: 1,
        start: 12 * MiB,
        size: 50 * MiB,
        type: GPT_TYPE.linuxRootX86_64,
        uuid: guid(1),
        name: 'Wurzel ü 🌳',
      },
      { number: 14, start: MiB, size: 3 * MiB, type: GPT_TYPE.biosBoot, uuid: guid(14), bootable: true },
      { number: 15, start: 4 * MiB, size: 8 * MiB, type: GPT_TYPE.efiSystem, uuid: guid(15), name: 'EFI System' },
    ],
  });
});

test('the same layout gives the same bytes, and boot code stays out of the table', () => {
  const bootCode = new Uint8Array(440).fill(0xfa);
  const one = writeGpt({ ...layout, bootCode });
  expect(one).toEqual(writeGpt({ ...layout, bootCode }));
  expect(one.primary.subarray(0, 440)).toEqual(bootCode);
  expect(one.primary[510]).toBe(0x55);
  expect(() => writeGpt({ ...layout, bootCode: new Uint8Array(441) })).toThrow(RangeError);
});

test.each([1, 4, 128, 256, 1024])('a table of %i slots', async (entryCount) => {
  const { start, end } = gptUsable({ diskSize: 64 * MiB, entryCount });
  const whole = { number: entryCount, start, size: end - start, type: GPT_TYPE.linux, guid: guid(1) };
  const table = await read(diskWith({ ...layout, entryCount, partitions: [whole] }));
  expect(table.partitions).toEqual([
    { number: entryCount, start, size: end - start, type: GPT_TYPE.linux, uuid: guid(1) },
  ]);
});

const one = layout.partitions[1]!;
const impossible: { why: string; layout: GptLayout }[] = [
  { why: 'inside a sector', layout: { ...layout, partitions: [{ ...one, start: MiB + 1 }] } },
  { why: 'over the primary table', layout: { ...layout, partitions: [{ ...one, start: 33 * 512 }] } },
  { why: 'over the backup table', layout: { ...layout, partitions: [{ ...one, start: 56 * MiB }] } },
  { why: 'without length', layout: { ...layout, partitions: [{ ...one, size: 0 }] } },
  { why: 'two with a number', layout: { ...layout, partitions: [one, { ...one, guid: guid(9), start: 32 * MiB }] } },
  { why: 'two with a GUID', layout: { ...layout, partitions: [one, { ...one, number: 1, start: 32 * MiB }] } },
  {
    why: 'overlapping',
    layout: { ...layout, partitions: [one, { ...one, number: 1, guid: guid(9), start: 5 * MiB }] },
  },
  { why: 'number 129', layout: { ...layout, partitions: [{ ...one, number: 129 }] } },
  { why: 'name of 37 units', layout: { ...layout, partitions: [{ ...one, name: 'x'.repeat(37) }] } },
  { why: 'type that is no GUID', layout: { ...layout, partitions: [{ ...one, type: 'ef' }] } },
  { why: 'a disk of half a sector', layout: { ...layout, diskSize: 64 * MiB + 256 } },
  { why: 'a disk too small for any table', layout: { ...layout, diskSize: 32768 } },
];
test.each(impossible)('a layout that cannot be is a RangeError: $why', ({ layout: wrong }) => {
  expect(() => writeGpt(wrong)).toThrow(RangeError);
});

const mended: { why: string; bytes: Uint8Array; note: string }[] = [
  { why: 'primary header erased', bytes: broken((bytes) => bytes.fill(0, 512, 1024)), note: 'backup was used' },
  { why: 'primary header flipped', bytes: broken((bytes) => bytes.fill(9, 560, 561)), note: 'checksum' },
  { why: 'primary entries flipped', bytes: broken((bytes) => bytes.fill(9, 1030, 1031)), note: 'entries' },
  {
    why: 'primary entries far away',
    bytes: broken((_, view) => view.setUint8(512 + 78, 1), true),
    note: 'not on the disk',
  },
  { why: 'backup erased', bytes: broken((bytes) => bytes.fill(0, bytes.length - 512)), note: 'backup GPT is damaged' },
  {
    why: 'backup of another table',
    bytes: broken((_, view) => view.setUint8(512 + 56, 0x99), true),
    note: 'other partitions',
  },
];
test.each(mended)('one damaged copy is a note: $why', async ({ bytes, note }) => {
  const table = await read(bytes);
  expect(table.partitions).toEqual((await read(diskWith(layout))).partitions);
  expect(table.notes).toEqual([expect.stringContaining(note)]);
});

test('a disk that has grown since is a note', async () => {
  const bytes = new Uint8Array(80 * MiB);
  bytes.set(diskWith(layout));
  expect((await read(bytes)).notes).toEqual([expect.stringContaining('has grown')]);
});

const entry = (slot: number): number => 1024 + (slot - 1) * 128;
const refusedGpt: { why: string; bytes: Uint8Array; code: string }[] = [
  {
    why: 'both copies damaged',
    bytes: broken((bytes) => {
      bytes.fill(7, 520, 530);
      bytes.fill(7, bytes.length - 500, bytes.length - 490);
    }),
    code: 'gpt.damaged',
  },
  { why: 'the disk was cut', bytes: diskWith(layout).slice(0, 40 * MiB), code: 'partitions.disk-truncated' },
  { why: 'the disk was cut by one sector', bytes: diskWith(layout).slice(0, -512), code: 'partitions.disk-truncated' },
  {
    why: 'a partition ends past the disk',
    bytes: broken((_, view) => view.setBigUint64(entry(1) + 40, 10n ** 6n, true), true),
    code: 'partitions.outside-disk',
  },
  {
    why: 'a partition ends at 2^64',
    bytes: broken((_, view) => view.setBigUint64(entry(1) + 40, 2n ** 64n - 1n, true), true),
    code: 'partitions.outside-disk',
  },
  {
    why: 'a partition ends before it begins',
    bytes: broken((_, view) => view.setBigUint64(entry(1) + 40, 3n, true), true),
    code: 'gpt.damaged',
  },
  {
    why: 'two partitions overlap',
    bytes: broken((_, view) => view.setBigUint64(entry(1) + 32, BigInt(11 * 2048), true), true),
    code: 'partitions.overlap',
  },
  { why: 'no protective MBR', bytes: broken((bytes) => bytes.fill(0, 0, 512)), code: 'partitions.no-protective-mbr' },
];
test.each(refusedGpt)('refuses a GPT: $why', async ({ bytes, code }) => {
  await expect(read(bytes)).rejects.toMatchObject({ code, hint: expect.any(String) });
});

const badHeaders: { why: string; change: (view: DataView) => void; says: string }[] = [
  { why: 'a header of 40 bytes', change: (view) => view.setUint32(12, 40, true), says: 'claims 40 bytes' },
  { why: 'a header longer than its sector', change: (view) => view.setUint32(12, 513, true), says: 'claims 513 bytes' },
  { why: 'a copy of the backup put first', change: (view) => view.setUint32(24, 9, true), says: 'belongs in block 9' },
  { why: 'entries of 64 bytes', change: (view) => view.setUint32(84, 64, true), says: '64 bytes' },
  { why: 'entries of 384 bytes', change: (view) => view.setUint32(84, 384, true), says: '384 bytes' },
  { why: 'four billion entries', change: (view) => view.setUint32(80, 0xffff_ffff, true), says: '4294967295 entries' },
  { why: 'usable blocks that end first', change: (view) => view.setUint32(40, 200_000, true), says: 'upside down' },
];
test.each(badHeaders)('a header whose checksum is right is still refused for $why', ({ change, says }) => {
  const sector = broken(({ buffer }) => change(new DataView(buffer, 512, 512)), true).slice(512, 1024);
  expect(() => parseGptHeader(sector, 1)).toThrow(says);
});
