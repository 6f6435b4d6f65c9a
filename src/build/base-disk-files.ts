/** Files and scripts that go into a base disk made from packages. */

import type { Arch } from '../machine/arch.ts';
import { BOARDS } from '../machine/board.ts';

export interface HookOptions {
  readonly arch: Arch;
  /** Raw disk the root file system is written into. */
  readonly raw: string;
  /** Byte of the disk at which it begins. */
  readonly offset: number;
  readonly kibibytes: number;
  readonly uuid: string;
  /** Folder that holds fstab, grub.cfg, core.cfg and mke2fs.conf, and takes the boot loader's files. */
  readonly out: string;
}

/** UEFI's suffix of file names, and GRUB's name of the platform. */
const EFI: Readonly<Record<Arch, { readonly suffix: string; readonly platform: string }>> = {
  amd64: { suffix: 'x64', platform: 'x86_64-efi' },
  arm64: { suffix: 'aa64', platform: 'arm64-efi' },
};

/** Boot loader files inside the tree: Debian's shim, its key manager and GRUB, signed for Secure Boot. */
export function signedLoaders(arch: Arch): readonly string[] {
  const { suffix, platform } = EFI[arch];
  const shim = ['shim', 'mm'].map((name) => `usr/lib/shim/${name}${suffix}.efi.signed`);
  return [...shim, `usr/lib/grub/${platform}-signed/grub${suffix}.efi.signed`];
}

/**
 * The last hook of mmdebstrap, run where the tree's owners are right. The tree has /proc, /sys and parts of /dev mounted
 * then, which mke2fs -d must not follow: it reads a bind mount, that has none of them. Without the right to mount
 * (fakechroot mode) nothing is mounted there either.
 */
export function hookScript(options: HookOptions): string {
  const { arch, raw, offset, kibibytes, uuid, out } = options;
  return `#!/bin/sh
set -eu
root="$1"
out=${quote(out)}
mkdir -p "$root/boot/grub" "$root/boot/efi"
cp "$out/fstab" "$root/etc/fstab"
cp "$out/grub.cfg" "$root/boot/grub/grub.cfg"
${MAKE_INITRD}echo localhost > "$root/etc/hostname"
printf '127.0.0.1\\tlocalhost\\n::1\\tlocalhost ip6-localhost ip6-loopback\\n' > "$root/etc/hosts"
: > "$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
# mmdebstrap cleans up after its hooks, which is too late for the image.
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
for file in ${signedLoaders(arch).join(' ')}; do
  cp "$root/$file" "$out/$(basename "$file" .signed)"
  chmod 0644 "$out/$(basename "$file" .signed)"
done
${arch === 'amd64' ? GRUB_BIOS : ''}${NETWORK_AND_LOCALE}tree="$root"
mounted=$(mktemp -d)
if mount --bind "$root" "$mounted" 2>/dev/null; then tree="$mounted"; fi
status=0
MKE2FS_CONFIG="$out/mke2fs.conf" mke2fs -q -F -t ext4 -L root -U ${uuid} -E offset=${offset},hash_seed=${uuid},lazy_itable_init=0 \\
  -d "$tree" ${quote(raw)} ${kibibytes}k || status=$?
if [ "$tree" = "$mounted" ]; then umount "$mounted"; fi
rmdir "$mounted"
exit "$status"
`;
}

/** The links in the root are what the kernel's package would have made, had it known that there will be an initrd. */
const MAKE_INITRD = `if [ -x "$root/usr/sbin/update-initramfs" ]; then
  for modules in "$root"/lib/modules/*; do
    initrd=boot/initrd.img-$(basename "$modules")
    [ -e "$root/$initrd" ] || chroot "$root" update-initramfs -c -k "$(basename "$modules")"
    [ -e "$root/initrd.img" ] || ln -sf "$initrd" "$root/initrd.img"
  done
fi
`;

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** What the core image for BIOS has built in: enough to find the root, where the other modules are. */
const CORE_MODULES = ['biosdisk', 'part_gpt', 'ext2', 'lvm', 'search_fs_uuid'];

/** GRUB's modules for BIOS go where GRUB looks, as grub-install puts them; its two images to compose, which embeds them. */
const GRUB_BIOS = `if [ -f "$root/usr/lib/grub/i386-pc/boot.img" ]; then
  mkdir -p "$root/boot/grub/i386-pc"
  cp "$root"/usr/lib/grub/i386-pc/*.mod "$root"/usr/lib/grub/i386-pc/*.lst "$root/boot/grub/i386-pc/"
  cp "$root/usr/lib/grub/i386-pc/boot.img" "$out/boot.img"
  cp "$out/core.cfg" "$root/core.cfg"
  chroot "$root" grub-mkimage -O i386-pc -p /boot/grub -c /core.cfg -o /core.img ${CORE_MODULES.join(' ')}
  cp "$root/core.img" "$out/core.img"
  rm -f "$root/core.img" "$root/core.cfg"
  chmod 0644 "$out/boot.img" "$out/core.img"
fi
`;

/**
 * What Debian 11 lacks beside its successors: its resolver is a part of systemd that nothing switches on, its cloud-init
 * brings ifupdown and then prefers that to netplan, and takes a locale that was never made for the system's.
 */
const NETWORK_AND_LOCALE = `if [ -f "$root/lib/systemd/system/systemd-resolved.service" ]; then
  chroot "$root" systemctl enable systemd-resolved.service 2>/dev/null
  ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
fi
if [ -e "$root/usr/sbin/netplan" ] && [ -e "$root/sbin/ifup" ]; then
  printf 'system_info:\\n  network:\\n    renderers: [ netplan ]\\n' > "$root/etc/cloud/cloud.cfg.d/80-compose-netplan.cfg"
fi
[ -s "$root/etc/default/locale" ] || echo LANG=C.UTF-8 > "$root/etc/default/locale"
`;

/** Features that the kernels and boot loaders of all the releases read, whatever this host's mke2fs has by default. */
export const MKE2FS_CONF = `[defaults]
	base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
	default_mntopts = acl,user_xattr
	blocksize = 4096
	inode_size = 256
	inode_ratio = 16384
[fs_types]
	ext4 = {
		features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
	}
`;

/** The ESP is found by its label, because its serial number is no UUID that survives a re-format. */
export function fstab(rootDevice: string): string {
  return `${rootDevice} / ext4 errors=remount-ro 0 1\nLABEL=EFI /boot/efi vfat umask=0077,nofail 0 2\n`;
}

/**
 * Boots the kernel Debian's own links name; replaced by update-grub in the guest. The last console is /dev/console.
 * @param rootVolume name of a logical volume that holds the root on some disks, as GRUB and as the kernel write it
 */
export function grubConfig(
  arch: Arch,
  rootUuid: string,
  rootDevice: string,
  rootVolume?: { readonly grub: string; readonly kernel: string },
): string {
  // The initrd of older releases activates a volume that is named, and none for a UUID.
  const choice =
    rootVolume &&
    `if [ "$root" = "${rootVolume.grub}" ]; then device="${rootVolume.kernel}"; else device="${rootDevice}"; fi\n`;
  const device = choice === undefined ? rootDevice : '$device';
  return `search --no-floppy --fs-uuid --set=root ${rootUuid}
${choice ?? ''}linux /vmlinuz root=${device} ro console=tty0 console=${BOARDS[arch].console},115200
initrd /initrd.img
boot
`;
}

/** What the signed GRUB reads on the ESP (its prefix is /EFI/debian): the way to the real configuration. */
export function grubStub(rootUuid: string): string {
  return `search.fs_uuid ${rootUuid} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`;
}

/** What the core image for BIOS does before it goes on with GRUB's modules and configuration there. */
export function coreConfig(rootUuid: string): string {
  return `search.fs_uuid ${rootUuid} root\nset prefix=($root)/boot/grub\n`;
}

/** Source and place of each file of the ESP: the fallback path every firmware tries, and the distribution's own. */
export function espFiles(arch: Arch, folder: string, stub: string): readonly (readonly [from: string, to: string])[] {
  const [shim, grub, mok] = ['shim', 'grub', 'mm'].map((name) => `${name}${EFI[arch].suffix}.efi`);
  return [
    [`${folder}/${shim}`, `/EFI/BOOT/${BOARDS[arch].bootFile}`],
    [`${folder}/${grub}`, `/EFI/BOOT/${grub}`],
    [`${folder}/${mok}`, `/EFI/BOOT/${mok}`],
    [`${folder}/${shim}`, `/EFI/debian/${shim}`],
    [`${folder}/${grub}`, `/EFI/debian/${grub}`],
    [`${folder}/${mok}`, `/EFI/debian/${mok}`],
    [stub, '/EFI/debian/grub.cfg'],
  ];
}
