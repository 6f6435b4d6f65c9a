set -eu

# MAAS first; the others so that the image can be tried anywhere; None so that a boot never hangs on it.
mkdir -p /etc/cloud/cloud.cfg.d
cat > /etc/cloud/cloud.cfg.d/90-compose-datasources.cfg <<'END'
datasource_list: [ MAAS, NoCloud, ConfigDrive, None ]
END

# Its services have other names since 24.3; those of this release are enabled, and one of them has to be there.
enabled=
for unit in cloud-init-local cloud-init cloud-init-main cloud-init-network cloud-config cloud-final; do
    if command -v systemctl > /dev/null; then
        [ -e "/usr/lib/systemd/system/$unit.service" ] || continue
        systemctl enable "$unit.service"
    else
        [ -e "/etc/init.d/$unit" ] || continue
        chkconfig "$unit" on
    fi
    enabled=yes
done
[ -n "$enabled" ] || { echo 'cloud-init has no service here' >&2; exit 1; }

# An initramfs for any machine, not for this one. EL 6 makes no other.
if [ -d /etc/dracut.conf.d ] && [ ! -e /boot/grub/grub.conf ]; then
    echo 'hostonly="no"' > /etc/dracut.conf.d/90-compose.conf
    for modules in /lib/modules/*/modules.dep; do
        kernel=$(basename "$(dirname "$modules")")
        dracut --force "/boot/initramfs-$kernel.img" "$kernel"
    done
fi

# Whole entries in grub.cfg: those of the Boot Loader Specification hold paths that a /boot of its own makes wrong.
if [ -e /etc/default/grub ]; then
    sed -i '/^GRUB_ENABLE_BLSCFG=/d' /etc/default/grub
    echo 'GRUB_ENABLE_BLSCFG=false' >> /etc/default/grub
fi
