import { expect, test } from 'vitest';
import {
  coreConfig,
  espFiles,
  fstab,
  grubConfig,
  grubStub,
  hookScript,
  signedLoaders,
} from '../../src/build/base-disk-files.ts';
import { baseDiskLayout, ROOT_VOLUME } from '../../src/build/base-disk-layout.ts';
import { parseLvmLabel } from '../../src/formats/lvm-label.ts';

const UUID = '11111111-2222-4333-8444-555555555555';

test.each([
  ['amd64', 'x64', 'x86_64-efi', 'BOOTX64.EFI', 'ttyS0'],
  ['arm64', 'aa64', 'arm64-efi', 'BOOTAA64.EFI', 'ttyAMA0'],
] as const)('the boot files of %s end in %s', (arch, suffix, platform, bootFile, serial) => {
  expect(signedLoaders(arch)).toEqual([
    `usr/lib/shim/shim${suffix}.efi.signed`,
    `usr/lib/shim/mm${suffix}.efi.signed`,
    `usr/lib/grub/${platform}-signed/grub${suffix}.efi.signed`,
  ]);
  expect(espFiles(arch, '/w', '/w/stub.cfg')).toEqual([
    [`/w/shim${suffix}.efi`, `/EFI/BOOT/${bootFile}`],
    [`/w/grub${suffix}.efi`, `/EFI/BOOT/grub${suffix}.efi`],
    [`/w/mm${suffix}.efi`, `/EFI/BOOT/mm${suffix}.efi`],
    [`/w/shim${suffix}.efi`, `/EFI/debian/shim${suffix}.efi`],
    [`/w/grub${suffix}.efi`, `/EFI/debian/grub${suffix}.efi`],
    [`/w/mm${suffix}.efi`, `/EFI/debian/mm${suffix}.efi`],
    ['/w/stub.cfg', '/EFI/debian/grub.cfg'],
  ]);
  expect(grubConfig(arch, UUID, '/dev/x')).toContain(`root=/dev/x ro console=tty0 console=${serial},115200\n`);
  const hook = hookScript({ arch, raw: "/it's/disk", offset: 1048576, kibibytes: 4, uuid: UUID, out: '/w' });
  for (const loader of signedLoaders(arch)) expect(hook).toContain(loader);
  expect(hook).toContain(`'/it'\\''s/disk' 4k`);
  expect(hook.includes('grub-mkimage -O i386-pc'), 'a BIOS exists on the PC only').toBe(arch === 'amd64');
});

test('the stub finds the root by its UUID', () => {
  expect(grubStub(UUID)).toBe(
    `search.fs_uuid ${UUID} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`,
  );
});

test('the core image for BIOS finds the root and goes on there', () => {
  expect(coreConfig(UUID)).toBe(`search.fs_uuid ${UUID} root\nset prefix=($root)/boot/grub\n`);
});

const MIB = 1024 * 1024;
/** Each name gets one of its own, with the letters LVM takes. */
const seeded = (name: string): string => `${name.padEnd(8, '0')}-0000-4000-8000-000000000000`;
const place = (arch: 'amd64' | 'arm64', layout: 'flat' | 'lvm') =>
  baseDiskLayout({ arch, size: 1024 * MIB, layout }, seeded);

test('flat: the root is the last partition on the disk, in front of it the ESP and, on a PC, GRUB for BIOS', () => {
  const { partitions, lvm } = place('amd64', 'flat');
  expect(partitions.map(({ number, name, start, size }) => [number, name, start, size])).toEqual([
    [1, 'ESP', MIB, 64 * MIB],
    [2, 'root', 66 * MIB, 957 * MIB],
    [14, 'BIOS', 20 * 1024, MIB - 20 * 1024],
  ]);
  expect(lvm).toBeUndefined();
  expect(fstab(`UUID=${UUID}`)).toContain(`UUID=${UUID} / ext4 `);
  expect(place('arm64', 'flat').partitions.map(({ name }) => name)).toEqual(['ESP', 'root']);
});

test('lvm: the root begins behind the head of a physical volume, and whole extents of it are in the partition', () => {
  const { partitions, root, lvm } = place('amd64', 'lvm');
  expect(partitions[1]).toMatchObject({ name: 'lvm', type: 'e6d6d379-f507-44c2-a23c-238f2a3df928', start: 65 * MIB });
  expect(root).toEqual({ start: 66 * MIB, size: 956 * MIB });
  expect(lvm?.start).toBe(65 * MIB);
  expect(parseLvmLabel(lvm!.head.subarray(512, 1024), 1)?.deviceSize).toBe(958 * MIB);
});

test.each(['amd64', 'arm64'] as const)('%s: one root file system serves both layouts', (arch) => {
  const [flat, lvm] = [place(arch, 'flat'), place(arch, 'lvm')];
  expect([flat.root, flat.esp, flat.biosBoot]).toEqual([lvm.root, lvm.esp, lvm.biosBoot]);
  expect(flat.partitions.find(({ name }) => name === 'root')?.start).toBe(flat.root.start);
});

test('GRUB tells the kernel of the volume where it found the root there, and of the UUID on any other disk', () => {
  const text = grubConfig('amd64', UUID, `UUID=${UUID}`, ROOT_VOLUME);
  expect(text.split('\n').slice(0, 3)).toEqual([
    `search --no-floppy --fs-uuid --set=root ${UUID}`,
    `if [ "$root" = "lvm/system-root" ]; then device="/dev/mapper/system-root"; else device="UUID=${UUID}"; fi`,
    'linux /vmlinuz root=$device ro console=tty0 console=ttyS0,115200',
  ]);
});

test('the initrd is made once, of the whole tree, before the tree becomes a file system', () => {
  const hook = hookScript({ arch: 'arm64', raw: '/d', offset: 0, kibibytes: 4, uuid: UUID, out: '/w' });
  expect(hook.match(/update-initramfs -c/g)).toHaveLength(1);
  expect(hook.indexOf('update-initramfs -c')).toBeLessThan(hook.indexOf('mke2fs -q'));
});
