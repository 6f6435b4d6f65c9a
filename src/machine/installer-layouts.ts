/**
 * Where installers of each vendor keep the kernel and initrd that their boot loader starts. The paths are those of the
 * vendors' isolinux.cfg, grub.cfg and .treeinfo.
 */

export type InstallerArch = 'amd64' | 'arm64';
export type InstallerSystem = 'debian' | 'ubuntu' | 'rhel' | 'suse' | 'azurelinux';

/** One place to look for a pair. */
export interface InstallerLayout {
  readonly system: InstallerSystem;
  readonly arch: InstallerArch;
  /** Paths from the root of the ISO. */
  readonly kernel: string;
  readonly initrd: string;
}

function layout(system: InstallerSystem, arch: InstallerArch, kernel: string, initrd: string): InstallerLayout {
  return { system, arch, kernel, initrd };
}

/** In the order they are tried. */
export const INSTALLER_LAYOUTS: readonly InstallerLayout[] = [
  layout('debian', 'amd64', '/install.amd/vmlinuz', '/install.amd/initrd.gz'),
  layout('debian', 'arm64', '/install.a64/vmlinuz', '/install.a64/initrd.gz'),
  // mini.iso of a network boot keeps them in its root.
  layout('debian', 'amd64', '/linux', '/initrd.gz'),
  layout('debian', 'arm64', '/linux', '/initrd.gz'),
  layout('ubuntu', 'amd64', '/casper/vmlinuz', '/casper/initrd'),
  layout('ubuntu', 'arm64', '/casper/vmlinuz', '/casper/initrd'),
  // The server installer before 20.04, and the last media of the Debian installer.
  layout('ubuntu', 'amd64', '/casper/vmlinuz', '/casper/initrd.lz'),
  layout('ubuntu', 'amd64', '/install/vmlinuz', '/install/initrd.gz'),
  layout('ubuntu', 'arm64', '/install/vmlinuz', '/install/initrd.gz'),
  layout('rhel', 'amd64', '/images/pxeboot/vmlinuz', '/images/pxeboot/initrd.img'),
  layout('rhel', 'arm64', '/images/pxeboot/vmlinuz', '/images/pxeboot/initrd.img'),
  layout('suse', 'amd64', '/boot/x86_64/loader/linux', '/boot/x86_64/loader/initrd'),
  layout('suse', 'arm64', '/boot/aarch64/linux', '/boot/aarch64/initrd'),
  // The live media of Agama (SLES 16, Leap 16).
  layout('suse', 'arm64', '/boot/aarch64/loader/linux', '/boot/aarch64/loader/initrd'),
  layout('azurelinux', 'amd64', '/isolinux/vmlinuz', '/isolinux/initrd.img'),
  layout('azurelinux', 'arm64', '/isolinux/vmlinuz', '/isolinux/initrd.img'),
];

const ARCHES: readonly (readonly [InstallerArch, RegExp])[] = [
  ['amd64', /(?<![a-z0-9])(amd64|x86_64|x64)(?![a-z0-9])/i],
  ['arm64', /(?<![a-z0-9])(arm64|aarch64)(?![a-z0-9])/i],
];

/** The architecture a text names, where it names one. */
export function archIn(text: string): InstallerArch | undefined {
  const named = ARCHES.filter(([, pattern]) => pattern.test(text));
  return named.length === 1 ? named[0]?.[0] : undefined;
}

/** Whose media a title or a volume name is; the first that matches. */
const SYSTEMS: readonly (readonly [InstallerSystem, RegExp])[] = [
  ['ubuntu', /ubuntu/i],
  ['debian', /debian/i],
  ['suse', /suse|^SLE[SD]?[-_ ]|^Install-SLE|agama/i],
  ['azurelinux', /azure ?linux|mariner/i],
  [
    'rhel',
    /red hat|rhel|centos|alma|rocky|oracle|^OL-|fedora|openeuler|eurolinux|miracle|navy|circle linux|anolis|scientific/i,
  ],
];

export function systemIn(text: string): InstallerSystem | undefined {
  return SYSTEMS.find(([, pattern]) => pattern.test(text))?.[0];
}
