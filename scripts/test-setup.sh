#!/bin/sh
# Installs the Debian packages the tests use: the host's side of compose, and the real tools that read its bytes.
set -eu
packages="
  qemu-system-x86 qemu-system-arm qemu-utils ovmf qemu-efi-aarch64 swtpm swtpm-tools
  mmdebstrap debian-archive-keyring gpgv libdeflate0 libisal2
  e2fsprogs mtools dosfstools gdisk fdisk util-linux xfsprogs btrfs-progs
  cryptsetup-bin ntfs-3g exfatprogs squashfs-tools
  acl attr curl debconf gpg libxml2-utils openssl iproute2 busybox-static bzip2 db-util dropbear-bin genisoimage libarchive-tools fuse3 libnbd-bin nbdkit openssh-client openssh-server
  console-setup cpio file fish initramfs-tools-core isolinux lz4 opendoas pngcheck syslinux-common tcsh zstd
  grub-common grub-efi-amd64-bin grub-pc-bin lbzip2 lvm2 p7zip-full pbzip2 pigz python3 rpm strace sudo tmux xorriso xz-utils
"
missing=""
for package in $packages; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
export DEBIAN_FRONTEND=noninteractive
# The machine tests take a kernel out of this package; apt finds it only with current lists.
if [ -n "$missing" ] || ! apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1; then $as_root apt-get update -q; fi
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
$as_root apt-get install -y -q --no-install-recommends $missing
