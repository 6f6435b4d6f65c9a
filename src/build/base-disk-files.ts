/** Files and scripts that go into a base disk made from packages. */

export interface HookOptions {
  /** Raw disk the root file system is written into. */
  readonly raw: string;
  /** Byte of the disk at which it begins. */
  readonly offset: number;
  readonly kibibytes: number;
  readonly uuid: string;
  /** Folder that holds fstab and grub.cfg, and takes the boot loader's files. */
  readonly out: string;
}

/** Boot loader files inside the tree: Debian's shim and GRUB, signed for Secure Boot. */
const SHIM = 'usr/lib/shim/shimx64.efi.signed';
const MOK = 'usr/lib/shim/mmx64.efi.signed';
const GRUB = 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed';

/**
 * The last hook of mmdebstrap, run where the tree's owners are right. The tree has /proc, /sys and parts of /dev mounted
 * then, which mke2fs -d must not follow: it reads a bind mount, that has none of them. Without the right to mount
 * (fakechroot mode) nothing is mounted there either.
 */
export function hookScript(options: HookOptions): string {
  const { raw, offset, kibibytes, uuid, out } = options;
  const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  return `#!/bin/sh
set -eu
root="$1"
out=${quote(out)}
mkdir -p "$root/boot/grub" "$root/boot/efi"
cp "$out/fstab" "$root/etc/fstab"
cp "$out/grub.cfg" "$root/boot/grub/grub.cfg"
echo localhost > "$root/etc/hostname"
printf '127.0.0.1\\tlocalhost\\n::1\\tlocalhost ip6-localhost ip6-loopback\\n' > "$root/etc/hosts"
: > "$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
# mmdebstrap cleans up after its hooks, which is too late for the image.
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
for file in ${SHIM} ${MOK} ${GRUB}; do
  cp "$root/$file" "$out/$(basename "$file" .signed)"
  chmod 0644 "$out/$(basename "$file" .signed)"
done
tree="$root"
mounted=$(mktemp -d)
if mount --bind "$root" "$mounted" 2>/dev/null; then tree="$mounted"; fi
status=0
mke2fs -q -F -t ext4 -L root -U ${uuid} -E offset=${offset},hash_seed=${uuid},lazy_itable_init=0 \\
  -d "$tree" ${quote(raw)} ${kibibytes}k || status=$?
if [ "$tree" = "$mounted" ]; then umount "$mounted"; fi
rmdir "$mounted"
exit "$status"
`;
}

/** The ESP is found by its label, because its serial number is no UUID that survives a re-format. */
export function fstab(rootUuid: string): string {
  return `UUID=${rootUuid} / ext4 errors=remount-ro 0 1\nLABEL=EFI /boot/efi vfat umask=0077,nofail 0 2\n`;
}

/** Boots the kernel Debian's own links name; replaced by update-grub in the guest. */
export function grubConfig(rootUuid: string): string {
  return `search --no-floppy --fs-uuid --set=root ${rootUuid}
linux /vmlinuz root=UUID=${rootUuid} ro console=tty0 console=ttyS0,115200
initrd /initrd.img
boot
`;
}

/** What the signed GRUB reads on the ESP (its prefix is /EFI/debian): the way to the real configuration. */
export function grubStub(rootUuid: string): string {
  return `search.fs_uuid ${rootUuid} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`;
}

/** Source and place of each file of the ESP: the fallback path every firmware tries, and the distribution's own. */
export function espFiles(folder: string, stub: string): readonly (readonly [from: string, to: string])[] {
  return [
    [`${folder}/shimx64.efi`, '/EFI/BOOT/BOOTX64.EFI'],
    [`${folder}/grubx64.efi`, '/EFI/BOOT/grubx64.efi'],
    [`${folder}/mmx64.efi`, '/EFI/BOOT/mmx64.efi'],
    [`${folder}/shimx64.efi`, '/EFI/debian/shimx64.efi'],
    [`${folder}/grubx64.efi`, '/EFI/debian/grubx64.efi'],
    [`${folder}/mmx64.efi`, '/EFI/debian/mmx64.efi'],
    [stub, '/EFI/debian/grub.cfg'],
  ];
}
