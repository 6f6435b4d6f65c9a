#!/bin/sh
# Last step of the catalogue in the guest, as root: what the build machine has that no other may, and what curtin looks for.
# It may run again: steps of an operator come behind it.
set -eu

root=${COMPOSE_ROOT:-}
mounts=${COMPOSE_MOUNTS:-/proc/mounts}

# The console of the build; in version 2 grub.cfg is no file of grub2-mkconfig's.
serial='console=tty\(S0\|AMA0\)[^ "]*'
for file in /etc/default/grub /boot/grub2/grub.cfg; do
    [ ! -e "$root$file" ] || sed -i "s/ *$serial//g" "$root$file"
done

# The vendor's packages have their loaders below /boot/efi, here the EFI system partition: a tree has them in its own file
# system, where curtin's hooks look, and not the file that leads GRUB to its menu, which the hooks write anew.
if grep -q ' /boot/efi ' "$mounts"; then
    below=$(mktemp -d)
    mount --bind "$root/" "$below"
    mkdir -p "$below/boot/efi"
    cp -R "$root/boot/efi/EFI" "$below/boot/efi/"
    umount "$below"
    rmdir "$below"
fi

# What the installer was told, and what packages were fetched.
rm -rf "$root/root/compose" "$root/var/cache/tdnf"
