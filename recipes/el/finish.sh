#!/bin/sh
# Last step of the catalogue in the guest, as root: what the build machine has that no other may, and what curtin looks for.
# It may run again: steps of an operator come behind it.
set -eu

# The console of the build. GRUB's own goes back to the screen.
serial='console=tty\(S0\|AMA0\)[^ "]*'
if [ -e /etc/default/grub ]; then
    sed -i -e "s/ *$serial//g" -e '/^GRUB_SERIAL_COMMAND=/d' -e '/^GRUB_TERMINAL\(_OUTPUT\|_INPUT\)\?=/d' /etc/default/grub
    echo 'GRUB_TERMINAL_OUTPUT="console"' >> /etc/default/grub
    # grub.cfg has whole entries: these are not read, and name the root of this disk. A kernel that is installed later makes
    # its own from the command line of the running system where /etc/kernel/cmdline is not there.
    for entry in /boot/loader/entries/*.conf; do
        [ ! -e "$entry" ] || sed -i -e "s/ *$serial//g" -e 's/ root=[^ ]*//' "$entry"
    done
    rm -f /etc/kernel/cmdline
    grub2-mkconfig -o /boot/grub2/grub.cfg
    # Before EL 9 the file beside the loader is the whole configuration, since then it names the one in /boot.
    for config in /boot/efi/EFI/*/grub.cfg; do
        [ -e "$config" ] || continue
        grep -q '^configfile' "$config" || grub2-mkconfig -o "$config"
    done
elif [ -e /boot/grub/grub.conf ]; then
    sed -i -e "s/ *$serial//g" -e '/^serial /d' -e '/^terminal /d' /boot/grub/grub.conf
fi

# A tree has these files in its own file system: curtin takes the vendor's loaders from /boot/efi of the root file system. A grub.cfg
# beside them would keep grub2-mkconfig from writing the one that curtin wants there.
if grep -q ' /boot/efi ' /proc/mounts; then
    root=$(mktemp -d)
    mount --bind / "$root"
    mkdir -p "$root/boot/efi"
    cp -R /boot/efi/EFI "$root/boot/efi/"
    rm -f "$root"/boot/efi/EFI/*/grub.cfg "$root"/boot/efi/EFI/*/grubenv
    umount "$root"
    rmdir "$root"
fi

# The network of the build machine, of the installer and of cloud-init.
for file in /etc/sysconfig/network-scripts/ifcfg-* /etc/NetworkManager/system-connections/*; do
    case ${file##*/} in
        ifcfg-lo | ifcfg-\* | \*) ;;
        *) rm -f "$file" ;;
    esac
done

# What an installer was told, and what it wrote down of it.
rm -rf /root/anaconda-ks.cfg /root/original-ks.cfg /root/initial-setup-ks.cfg /root/install.log /root/install.log.syslog \
    /var/log/anaconda /var/log/anaconda.*

# Proxies were for the build.
for file in /etc/yum.conf /etc/dnf/dnf.conf /etc/yum.repos.d/*.repo; do
    [ ! -e "$file" ] || sed -i '/^proxy\(_username\|_password\)\? *=/d' "$file"
done

# MAAS appends the proxy of a site to the file that yum had.
if [ -d /etc/dnf ] && [ ! -e /etc/yum.conf ]; then ln -s dnf/dnf.conf /etc/yum.conf; fi

if command -v dnf > /dev/null; then dnf -q clean all; elif command -v yum > /dev/null; then yum -q clean all; fi
rm -rf /var/cache/dnf/* /var/cache/yum/* /var/cache/libdnf5/*

# Since release 9 LVM looks at no other device than those that its installer has written down, by names of this machine's.
rm -f /etc/lvm/devices/system.devices /etc/lvm/devices/backup/*

# Labels of what was written here; those of a tree travel in the archive.
if command -v restorecon > /dev/null && [ -d /sys/fs/selinux ]; then
    restorecon -R /etc /boot /root /var/log
    [ ! -d /curtin ] || restorecon -R /curtin
fi
