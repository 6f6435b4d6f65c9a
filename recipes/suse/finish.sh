#!/bin/sh
# Last step of the catalogue in the guest, as root: what the build machine has that no other may, and what curtin looks for.
# It may run again: steps of an operator come behind it.
set -eu

# The console of the build. GRUB's own goes back to the screen.
serial='console=tty\(S0\|AMA0\)[^ "]*'
sed -i -e "s/ *$serial//g" -e '/^GRUB_SERIAL_COMMAND=/d' -e '/^GRUB_TERMINAL\(_OUTPUT\|_INPUT\)\?=/d' /etc/default/grub
echo 'GRUB_TERMINAL_OUTPUT="console"' >> /etc/default/grub
grub2-mkconfig -o /boot/grub2/grub.cfg

# The network of the build machine and of the installer.
for file in /etc/sysconfig/network/ifcfg-* /etc/NetworkManager/system-connections/*; do
    case ${file##*/} in
        ifcfg-lo | ifcfg-\* | \*) ;;
        *) rm -f "$file" ;;
    esac
done
: > /etc/udev/rules.d/70-persistent-net.rules

# Repositories of the installation: the medium, and what it lacked. Those that packages bring stay.
if command -v zypper > /dev/null; then
    for file in /etc/zypp/repos.d/*.repo; do
        [ -e "$file" ] || continue
        grep -q -e '^baseurl=\(cd\|dvd\|hd\|iso\|dir\|file\):' -e '^\[compose-cloud-init\]' "$file" && rm -f "$file"
    done
    zypper --quiet clean --all
fi
rm -rf /var/cache/zypp/*

# Devices that LVM would look at alone, by names of this machine's.
rm -f /etc/lvm/devices/system.devices /etc/lvm/devices/backup/*

# What the installer was told, and what it wrote down of it. Proxies were for the build.
rm -rf /root/autoinst.xml /var/adm/autoinstall /var/log/YaST2 /var/log/agama-installation /root/inst-sys
if [ -e /etc/sysconfig/proxy ]; then
    sed -i -e 's/^PROXY_ENABLED=.*/PROXY_ENABLED="no"/' -e 's/^\(HTTPS\{0,1\}_PROXY\|FTP_PROXY\)=.*/\1=""/' /etc/sysconfig/proxy
fi

# Release 16 enforces SELinux. Labels of what was written here and at the end of the installation; those of a tree travel in
# the archive.
if command -v restorecon > /dev/null && [ -d /sys/fs/selinux ]; then
    restorecon -R /etc /boot /root /usr/local /var/log
    [ ! -d /curtin ] || restorecon -R /curtin
fi
