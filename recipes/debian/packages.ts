/** Packages of a deployable Debian. */

/**
 * What a deployable Debian needs beyond a minimal base. curtin: efibootmgr, GRUB for both firmwares, lvm2 and xfsprogs for
 * storage layouts, lsb-release. MAAS: cloud-init with python3-oauthlib for its metadata, netplan.io for the check it runs in
 * images based on Ubuntu. First boot: growpart, gdisk, locales (cloud-init's locale module fails without).
 */
export const INCLUDE = [
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
export const BIOS = { amd64: ['grub-pc-bin'] };

/** Of these the vendor's cloud image lacks some. */
export const CLOUD_IMAGE_LACKS = [
  'efibootmgr',
  'gdisk',
  'grub-efi-${arch}-bin',
  'lsb-release',
  'lvm2',
  'netplan.io',
  'python3-oauthlib',
  'xfsprogs',
];
