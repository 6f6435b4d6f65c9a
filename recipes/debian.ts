import { join } from 'node:path';
import { packageRoot } from '../src/host/built-module.ts';
import { defineRecipe, type RecipeInput } from '../src/recipe/schema.ts';
import { DEBIAN_LOCALE_STEPS, STANDARD_PACKAGES, standardVariables } from './standard.ts';

interface Release {
  readonly version: string;
  readonly codename: string;
  /** The Ubuntu release whose kernel, tar and tools MAAS unpacks the image with; Debian is not among MAAS's base images. */
  readonly base: string;
  readonly grade: RecipeInput['grade'];
  readonly proven: string;
}

const RELEASES: readonly Release[] = [
  {
    version: '12',
    codename: 'bookworm',
    base: 'ubuntu/jammy',
    grade: 'built',
    proven:
      "built from the distribution's packages and booted; the tgz read back with curtin's tar flags, the restored dd image booted until cloud-init was done. The cloud image path ran against a local server only. For arm64: the tgz built from packages under emulation, not deployed",
  },
  {
    version: '13',
    codename: 'trixie',
    base: 'ubuntu/noble',
    grade: 'built',
    proven:
      "built from the distribution's packages and booted; the restored dd image booted until cloud-init was done. It shares every step with debian-12. arm64 is planned only",
  },
];

/**
 * What a deployable Debian needs beyond a minimal base. curtin: efibootmgr, GRUB for both firmwares, lvm2 and xfsprogs for
 * storage layouts, lsb-release. MAAS: cloud-init with python3-oauthlib for its metadata, netplan.io for the check it runs in
 * images based on Ubuntu. First boot: growpart, gdisk, locales (cloud-init's locale module fails without).
 */
const INCLUDE = [
  'systemd-sysv',
  'systemd-resolved',
  'dbus',
  'udev',
  'iproute2',
  'initramfs-tools',
  'zstd',
  'grub-efi-${arch}',
  'grub-efi-${arch}-signed',
  'grub-efi-${arch}-bin',
  'shim-signed',
  'efibootmgr',
  'openssh-server',
  'cloud-init',
  'cloud-guest-utils',
  'python3-oauthlib',
  'netplan.io',
  'sudo',
  'ca-certificates',
  'locales',
  'lsb-release',
  'gdisk',
  'fdisk',
  'lvm2',
  'xfsprogs',
  'less',
];

/** A BIOS exists on the PC only. */
const BIOS = { amd64: ['grub-pc-bin'] };

/** Of these the vendor's cloud image lacks some. */
const CLOUD_IMAGE_LACKS = [
  'efibootmgr',
  'gdisk',
  'grub-efi-${arch}-bin',
  'lsb-release',
  'lvm2',
  'netplan.io',
  'python3-oauthlib',
  'xfsprogs',
];

/** MAAS first; NoCloud and ConfigDrive so that the image can be tried anywhere; None so that a boot never hangs on it. */
const DATASOURCES = 'datasource_list: [ MAAS, NoCloud, ConfigDrive, None ]\n';

const hooks = join(packageRoot(), 'recipes/debian/curtin-hooks');

function debian({ version, codename, base, grade, proven }: Release): RecipeInput {
  const image = `\${cloudimg_base}/${codename}/latest`;
  return defineRecipe({
    name: `debian-${version}`,
    title: `Debian ${version} (${codename})`,
    family: 'debian',
    version,
    arch: ['amd64', 'arm64'],
    grade,
    proven,
    evidence: ['README.md', `test/unit/golden/plans/debian-${version}.json`],
    variables: {
      ...standardVariables(),
      cloudimg_base: {
        type: 'string',
        default: 'https://cloud.debian.org/images/cloud',
        describe: "where the vendor's cloud images are",
      },
      mirror: { type: 'string', describe: "Debian mirror for --source packages; the host's own where it is not given" },
      kernel: { type: 'string', default: 'linux-image-${arch}', describe: 'kernel package of --source packages' },
    },
    sources: {
      cloudimg: {
        url: `${image}/debian-${version}-generic-\${arch}.qcow2`,
        sums: `${image}/SHA512SUMS`,
        algorithm: 'sha512',
      },
      packages: { suite: codename, components: ['main'], kernel: '${kernel}', include: INCLUDE, include_for: BIOS },
    },
    machine: { memory: '1536M', cpus: 2, disk: '3G', firmware: 'uefi' },
    user: 'root',
    packages: STANDARD_PACKAGES,
    provision: [
      ...DEBIAN_LOCALE_STEPS,
      { name: 'packages for MAAS', sources: ['cloudimg'], packages: CLOUD_IMAGE_LACKS },
      { name: 'boot loader for BIOS', sources: ['cloudimg'], arch: ['amd64'], packages: BIOS.amd64 },
      {
        name: 'datasources',
        write: { path: '/etc/cloud/cloud.cfg.d/90-compose-datasources.cfg', content: DATASOURCES, mode: '0644' },
      },
      { name: 'curtin hooks', upload: { from: hooks, to: '/curtin/curtin-hooks', mode: '0755' } },
      {
        name: 'boot loader',
        shell: {
          script: [
            '#!/bin/sh -eu',
            '# Every kernel and module set, not those of the build machine only.',
            'mkdir -p /etc/initramfs-tools/conf.d',
            'echo MODULES=most > /etc/initramfs-tools/conf.d/compose',
            'update-grub',
            'grep -q "^[[:space:]]*linux" /boot/grub/grub.cfg',
            '',
          ].join('\n'),
        },
      },
      { name: 'package caches', shell: { script: '#!/bin/sh -eu\napt-get clean\nrm -rf /var/lib/apt/lists/*\n' } },
    ],
    outputs: ['tgz', 'ddgz'],
    maas: {
      name: `debian-${version}`,
      title: `Debian ${version} (${codename})`,
      base_image: base,
      architecture: '${arch}/generic',
    },
  });
}

export const debianRecipes: readonly RecipeInput[] = RELEASES.map(debian);
