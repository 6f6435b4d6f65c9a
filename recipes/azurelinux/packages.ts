/** What an image needs of its vendor's packages: some are on the medium, the others in the vendor's repositories. */
import { RecipeError } from '../../src/errors.ts';
import type { Arch } from '../../src/machine/arch.ts';

/** The vendor's own selection for a system on a disk, with a way in; initramfs is last so that it is made once. */
export const ON_MEDIUM: readonly string[] = [
  'ca-certificates',
  'core-packages-base-image',
  'cronie-anacron',
  'grub2',
  'grub2-efi-binary',
  'logrotate',
  'openssh-server',
  'shim',
  'initramfs',
];

/**
 * cloud-init and what its MAAS data source signs with, and what curtin's storage layouts need on a machine without a network.
 */
const COMMON = [
  'awk',
  'bash-completion',
  'cloud-init',
  'cloud-utils-growpart',
  'cryptsetup',
  'dosfstools',
  'e2fsprogs',
  'efibootmgr',
  'gptfdisk',
  'lvm2',
  'mdadm',
  'python3-oauthlib',
  'sudo',
  'tar',
  'tzdata',
  'xfsprogs',
];

/** A BIOS exists on the PC only. */
const BIOS: Readonly<Record<Arch, readonly string[]>> = { amd64: ['grub2-pc'], arm64: [] };

/** @throws RecipeError `azurelinux.package` */
export function repositoryPackages(arch: Arch, more: readonly string[]): string[] {
  return [...new Set([...COMMON, ...BIOS[arch], ...more.map(packageName)])].sort();
}

const NAME = /^[A-Za-z0-9][\w.+~^-]*$/;

/** @throws RecipeError `azurelinux.package` */
export function packageName(name: string): string {
  if (NAME.test(name)) return name;
  throw new RecipeError('azurelinux.package', `Cannot install ${JSON.stringify(name)}: it is no name of a package`, {
    hint: 'A package by its address goes into a step of a recipe file.',
  });
}
