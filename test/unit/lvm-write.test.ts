import { expect, test } from 'vitest';
import { parseLvmArea, parseLvmLabel } from '../../src/formats/lvm-label.ts';
import { LVM_DATA_START, LVM_EXTENT, type LvmGroupToWrite, lvmExtents, writeLvm } from '../../src/formats/lvm-write.ts';

const MIB = 1024 * 1024;
const uuid = (letter: string): string => letter.repeat(32);
const GROUP: LvmGroupToWrite = {
  name: 'system',
  uuid: uuid('g'),
  physicalUuid: uuid('p'),
  deviceSize: 100 * MIB,
  created: 1_700_000_000,
  volumes: [{ name: 'root', uuid: uuid('r'), extents: 24 }],
};
const root = GROUP.volumes[0]!;

test('label and metadata area are what the reader expects, and volumes follow each other', () => {
  const second = { name: 'swap', uuid: uuid('s'), extents: 1 };
  const { head, volumes } = writeLvm({ ...GROUP, volumes: [{ ...root, extents: 23 }, second] });
  const label = parseLvmLabel(head.subarray(512, 1024), 1);
  expect(label).toEqual({
    uuid: uuid('p'),
    deviceSize: 100 * MIB,
    metadataAreas: [{ position: 4096, size: LVM_DATA_START - 4096 }],
  });
  const area = parseLvmArea(head.subarray(4096, 4608), label!.metadataAreas[0]!);
  expect(area.text).toMatchObject({ offset: 512, size: head.length - 4608, ignored: false });
  expect(volumes).toEqual([
    { name: 'root', position: MIB, size: 23 * LVM_EXTENT },
    { name: 'swap', position: MIB + 23 * LVM_EXTENT, size: LVM_EXTENT },
  ]);
});

test('the same group gives the same bytes, and a group without volumes is one too', () => {
  expect(Buffer.compare(writeLvm(GROUP).head, writeLvm({ ...GROUP }).head)).toBe(0);
  const { head, volumes } = writeLvm({ ...GROUP, volumes: [] });
  expect(volumes).toEqual([]);
  expect(Buffer.from(head).toString('latin1')).not.toContain('logical_volumes');
});

test.each([
  [0, 0],
  [LVM_DATA_START, 0],
  [LVM_DATA_START + LVM_EXTENT - 1, 0],
  [LVM_DATA_START + LVM_EXTENT, 1],
  [100 * MIB, 24],
])('a device of %i bytes has %i whole extents', (size, extents) => {
  expect(lvmExtents(size)).toBe(extents);
});

test.each<readonly [string, Partial<LvmGroupToWrite>, RegExp]>([
  ['a volume longer than the device', { volumes: [{ ...root, extents: 25 }] }, /25 extents do not fit .* has 24/],
  ['a volume of nothing', { volumes: [{ ...root, extents: 0 }] }, /root has 0 extents/],
  [
    'two volumes of one name',
    {
      volumes: [
        { ...root, extents: 1 },
        { ...root, uuid: uuid('s'), extents: 1 },
      ],
    },
    /one name/,
  ],
  ['one UUID twice', { physicalUuid: uuid('g') }, /one UUID/],
  ['a UUID with dashes', { uuid: 'g-'.repeat(16) }, /no UUID of LVM/],
  ['a name with a hyphen in front', { name: '-system' }, /no name LVM takes/],
  ['a name that is a folder', { name: '..' }, /no name LVM takes/],
  ['a name with a slash', { volumes: [{ ...root, name: 'a/b' }] }, /no name LVM takes/],
  ['extents LVM does not have', { extentSize: 1000 }, /no multiple of 64 KiB/],
])('%s is refused', (_, over, message) => {
  expect(() => writeLvm({ ...GROUP, ...over })).toThrow(message);
});
