import { expect, test } from 'vitest';
import { espFiles, grubConfig, grubStub, hookScript, signedLoaders } from '../../src/build/base-disk-files.ts';

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
  expect(grubConfig(arch, UUID)).toContain(`root=UUID=${UUID} ro console=tty0 console=${serial},115200\n`);
  const hook = hookScript({ arch, raw: "/it's/disk", offset: 1048576, kibibytes: 4, uuid: UUID, out: '/w' });
  for (const loader of signedLoaders(arch)) expect(hook).toContain(loader);
  expect(hook).toContain(`'/it'\\''s/disk' 4k`);
});

test('the stub finds the root by its UUID', () => {
  expect(grubStub(UUID)).toBe(
    `search.fs_uuid ${UUID} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`,
  );
});
