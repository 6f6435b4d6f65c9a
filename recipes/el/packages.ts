/** What an image needs of its vendor's packages. */
import { RecipeError } from '../../src/errors.ts';
import type { Arch } from '../../src/machine/arch.ts';
import type { Rules } from './rules.ts';

/**
 * Names that are there in every release: cloud-init and what its MAAS data source signs with, what curtin's storage layouts
 * need on a machine without a network, and what unpacks.
 */
const COMMON = [
  'bash-completion',
  'cloud-init',
  'cloud-utils-growpart',
  'device-mapper-multipath',
  'dosfstools',
  'e2fsprogs',
  'iscsi-initiator-utils',
  'lvm2',
  'mdadm',
  'openssh-server',
  'rsync',
  'tar',
  'xfsprogs',
];

/** GRUB for each firmware the architecture has. */
const GRUB2: Readonly<Record<Arch, readonly string[]>> = {
  amd64: ['efibootmgr', 'grub2-efi-x64', 'grub2-pc', 'shim-x64'],
  arm64: ['efibootmgr', 'grub2-efi-aa64', 'shim-aa64'],
};

/** Of @core, what no server without a screen or a radio needs. Patterns leave out what is not there, too. */
const WITHOUT = ['-plymouth', '-i*-firmware'];

export interface Wanted {
  readonly arch: Arch;
  /** In place of the release's own kernel. */
  readonly kernel: string | undefined;
  readonly fips: boolean;
  /** The operator's. */
  readonly more: readonly string[];
}

/** Lines of `%packages`. */
export function packageLines({ arch, kernel, fips, more }: Wanted, rules: Rules): string[] {
  const group = rules.family === 'fedora' ? '@^server-product-environment' : '@core';
  const names = new Set([
    ...COMMON,
    ...(rules.oauth === undefined ? [] : [rules.oauth]),
    // Networks that MAAS has set up with bridges: the data source has no way to fetch it then.
    ...(rules.version === '6' || rules.version === '7' ? ['bridge-utils', 'yum-utils'] : []),
    ...(rules.legacy ? ['chrony', 'grub', 'kernel-firmware'] : ['linux-firmware', ...GRUB2[arch]]),
    ...(rules.family === 'openeuler' ? ['shim'] : []),
    ...(fips && rules.fips === 'package' ? ['dracut-fips'] : []),
    ...(kernel === undefined ? [] : [kernel]),
  ]);
  const own = more.map(checked).filter((name) => !names.has(name));
  const without = kernel === undefined ? WITHOUT : [...WITHOUT, '-kernel'];
  // What an operator asks for is not left out.
  const kept = without.filter((name) => !own.includes(name.slice(1)));
  return [group, ...[...names].sort(), ...own, ...kept];
}

const NAME = /^-?(@\^?)?[A-Za-z0-9][\w.+*?:~^@/-]*$/;

function checked(name: string): string {
  if (NAME.test(name)) return name;
  throw new RecipeError('kickstart.package', `Cannot install ${JSON.stringify(name)}: it is no name of a package`, {
    hint: 'A name, name.arch, @group, @^environment, or one of them behind a minus to leave it out.',
  });
}
