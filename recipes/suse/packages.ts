/** What an image needs of its vendor's packages. */
import { RecipeError } from '../../src/errors.ts';
import type { Arch } from '../../src/machine/arch.ts';
import type { Release } from './release.ts';

/**
 * cloud-init and what its MAAS data source signs with, what curtin's storage layouts need on a machine without a network, and
 * what unpacks.
 */
const COMMON = [
  'bash-completion',
  'bcache-tools',
  'cloud-init',
  'cryptsetup',
  'dosfstools',
  'dracut',
  'e2fsprogs',
  'growpart',
  'kernel-firmware-all',
  'kexec-tools',
  'lvm2',
  'mdadm',
  'openssh',
  'python3-oauthlib',
  'sudo',
  'tar',
  'wget',
  'xfsprogs',
];

/** The names that are others in one release. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  16: { 'python3-oauthlib': 'python313-oauthlib' },
};

/** GRUB for each firmware the architecture has. */
const GRUB2: Readonly<Record<Arch, readonly string[]>> = {
  amd64: ['efibootmgr', 'grub2-i386-pc', 'grub2-x86_64-efi', 'mokutil', 'shim'],
  arm64: ['efibootmgr', 'grub2-arm64-efi', 'mokutil', 'shim'],
};

/** Of the pattern, what no deployed server needs. */
export const WITHOUT = ['cups-libs', 'postfix', 'samba-libs', 'snapper', 'snapper-zypp-plugin'];

export interface Wanted {
  readonly arch: Arch;
  /** In place of `kernel-default`. */
  readonly kernel: string | undefined;
  /** The operator's. */
  readonly more: readonly string[];
}

/** @throws RecipeError `suse.package` */
export function packageNames({ arch, kernel, more }: Wanted, release: Release): string[] {
  const renamed = RENAMED[release.version] ?? {};
  const own = [...COMMON, ...GRUB2[arch]].map((name) => renamed[name] ?? name);
  return [...new Set([...own, ...[kernel ?? 'kernel-default', ...more].map(checked)])].sort();
}

const NAME = /^[A-Za-z0-9][\w.+~^-]*$/;

function checked(name: string): string {
  if (NAME.test(name)) return name;
  throw new RecipeError('suse.package', `Cannot install ${JSON.stringify(name)}: it is no name of a package`, {
    hint: 'Patterns and repositories go into --custom-autoyast or --custom-agama.',
  });
}
