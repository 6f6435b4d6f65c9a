import { describe, expect, test } from 'vitest';
import { parseFstab, resolveSpec } from '../../src/filesystem/fstab.ts';

test('an fstab is read as mount reads it', () => {
  const text = `# comment
   # indented comment
UUID=aa-bb  /  ext4  errors=remount-ro,relatime  0  1

LABEL="my data"\t/srv/my\\040data\tauto
/dev/sdb1
//server/share /mnt/x cifs credentials=/a\\054b 0 0\r
`;
  expect(parseFstab(text)).toEqual([
    { spec: 'UUID=aa-bb', mountPoint: '/', type: 'ext4', options: ['errors=remount-ro', 'relatime'] },
    { spec: 'LABEL="my', mountPoint: 'data"', type: '/srv/my data', options: ['auto'] },
    { spec: '//server/share', mountPoint: '/mnt/x', type: 'cifs', options: ['credentials=/a', 'b'] },
  ]);
  expect(parseFstab('LABEL="a\\040b" /x ext4')[0]?.spec).toBe('LABEL=a b');
});

describe('a device of an fstab', () => {
  const partition = (number: number, label: string) => ({
    number,
    label,
    uuid: `uuid-${number}`,
    partUuid: `part-${number}`,
    partLabel: `name ${number}`,
  });
  const candidates = [partition(1, 'ESP'), partition(2, 'root'), partition(11, 'data disk')];
  test.each<[string, string | undefined, number | undefined, string]>([
    ['UUID=UUID-2', undefined, 2, 'in any case'],
    ['LABEL=root', undefined, 2, ''],
    ['LABEL=ROOT', undefined, undefined, 'labels have a case'],
    ['PARTUUID=part-11', undefined, 11, ''],
    ['PARTLABEL=name 1', undefined, 1, ''],
    ['/dev/disk/by-label/data\\x20disk', undefined, 11, 'as udev writes a space'],
    ['/dev/disk/by-partuuid/PART-1', undefined, 1, ''],
    ['/dev/sda11', undefined, 11, 'the first disk'],
    ['/dev/sdb2', undefined, undefined, 'another disk'],
    ['/dev/sdb2', 'sdb', 2, 'the disk the root is on'],
    ['/dev/sda2', 'sdb', undefined, 'not the disk the root is on'],
    ['/dev/nvme0n1p2', undefined, 2, ''],
    ['/dev/nvme0n12', undefined, undefined, 'a whole disk'],
    ['/dev/mmcblk0p1', undefined, 1, ''],
    ['/dev/sda', undefined, undefined, 'a whole disk'],
    ['/dev/mapper/vg-root', undefined, undefined, 'a logical volume'],
    ['ID=x', undefined, undefined, 'a tag nobody knows'],
  ])('%s, root on %s, is partition %s %s', (spec, disk, number) => {
    expect(resolveSpec(spec, candidates, disk)?.number).toBe(number);
  });

  test.each([
    ['/dev/mapper/vg--a-root', 'root'],
    ['/dev/vg-a/root', 'root'],
    ['/dev/disk/by-id/dm-name-vg--a-root', 'root'],
    ['/dev/mapper/vg-a-root', undefined],
    ['UUID=uuid-lv', 'root'],
    ['/dev/sda1', undefined],
  ])('%s is the logical volume %s', (spec, label) => {
    const devices = ['/dev/mapper/vg--a-root', '/dev/vg-a/root', '/dev/disk/by-id/dm-name-vg--a-root'];
    const volume = { number: undefined, uuid: 'uuid-lv', label: 'root', partUuid: undefined, partLabel: undefined };
    expect(resolveSpec(spec, [{ ...volume, devices }])?.label).toBe(label);
  });
});
