# $RPM_MIRROR and $EXTRA_REPOSITORIES are for the build alone: what the image has in /etc/yum.repos.d stays the vendor's.
repos=/etc/yum.repos.d
if [ -n "$RPM_MIRROR$EXTRA_REPOSITORIES" ]; then
    repos=$(mktemp -d)
    cp /etc/yum.repos.d/*.repo "$repos"
    [ -z "$RPM_MIRROR" ] || sed -i "s#https://packages\.microsoft\.com#$RPM_MIRROR#g" "$repos"/*.repo
    for one in $EXTRA_REPOSITORIES; do
        printf '[%s]\nname=%s\nbaseurl=%s\nenabled=1\ngpgcheck=0\n' "${one%%=*}" "${one%%=*}" "${one#*=}" > "$repos/${one%%=*}.repo"
    done
fi

# QEMU's own name server; what is there names a service that does not run yet.
[ ! -e /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ] || mv /etc/resolv.conf /etc/resolv.conf.compose
echo 'nameserver 10.0.2.3' > /etc/resolv.conf
# Its words are those of the repositories: a package that is missing ends the script.
tdnf -y --setopt reposdir="$repos" install $PACKAGES
tdnf -y clean all
rm -f /etc/resolv.conf
[ ! -L /etc/resolv.conf.compose ] && [ ! -e /etc/resolv.conf.compose ] || mv /etc/resolv.conf.compose /etc/resolv.conf
[ "$repos" = /etc/yum.repos.d ] || rm -rf "$repos"

test -e "/usr/share/zoneinfo/$TIME_ZONE" || { echo "there is no time zone $TIME_ZONE"; exit 1; }
ln -sf "../usr/share/zoneinfo/$TIME_ZONE" /etc/localtime
printf 'LANG=%s\n' "$SYSTEM_LOCALE" > /etc/locale.conf
printf 'KEYMAP=%s\n' "$KEYBOARD" > /etc/vconsole.conf

# MAAS first; the others so that the image can be tried anywhere; None so that a boot never hangs on it.
mkdir -p /etc/cloud/cloud.cfg.d
cat > /etc/cloud/cloud.cfg.d/90-compose-datasources.cfg <<'END'
datasource_list: [ MAAS, NoCloud, ConfigDrive, None ]
END
printf 'system_info:\n  default_user:\n    name: %s\n' "$DEFAULT_USER" > /etc/cloud/cloud.cfg.d/91-compose-user.cfg

# Its services have other names since 24.3; those of this release are enabled, and one of them has to be there.
enabled=
for unit in cloud-init-local cloud-init cloud-init-main cloud-init-network cloud-config cloud-final; do
    [ -e "/usr/lib/systemd/system/$unit.service" ] || [ -e "/lib/systemd/system/$unit.service" ] || continue
    systemctl enable "$unit.service"
    enabled=yes
done
[ -n "$enabled" ] || { echo 'cloud-init has no service here'; exit 1; }
systemctl enable sshd.service

# The vendor's sshd lets no root in, and the build needs it. The image does not carry this file.
mkdir -p /etc/systemd/system/sshd.service.d
cat > /etc/systemd/system/sshd.service.d/compose-build.conf <<'END'
[Service]
ExecStart=
ExecStart=/usr/sbin/sshd -D -o PermitRootLogin=prohibit-password
END

# An initrd for any machine, not for this one.
mkdir -p /etc/dracut.conf.d
cat > /etc/dracut.conf.d/90-compose.conf <<'END'
hostonly="no"
add_drivers+=" ahci nvme sd_mod virtio_blk virtio_scsi "
END
for kernel in /boot/vmlinuz-*; do
    version=${kernel#/boot/vmlinuz-}
    for initrd in "/boot/initrd.img-$version" "/boot/initramfs-$version.img"; do
        [ ! -e "$initrd" ] || dracut --force "$initrd" "$version"
    done
done
