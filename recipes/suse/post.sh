set -eu

# MAAS first; the others so that the image can be tried anywhere; None so that a boot never hangs on it.
mkdir -p /etc/cloud/cloud.cfg.d
cat > /etc/cloud/cloud.cfg.d/90-compose-datasources.cfg <<'END'
datasource_list: [ MAAS, NoCloud, ConfigDrive, None ]
END

# Its services have other names since 24.3; those of this release are enabled, and one of them has to be there.
enabled=
for unit in cloud-init-local cloud-init cloud-init-main cloud-init-network cloud-config cloud-final; do
    [ -e "/usr/lib/systemd/system/$unit.service" ] || continue
    systemctl enable "$unit.service"
    enabled=yes
done
[ -n "$enabled" ] || { echo 'cloud-init has no service here' >&2; exit 1; }

# An initrd for any machine, not for this one; what disks of servers need is not left to what the build machine has.
mkdir -p /etc/dracut.conf.d
cat > /etc/dracut.conf.d/90-compose.conf <<'END'
hostonly="no"
add_drivers+=" ahci nvme nvme_core raid_class scsi_mod sd_mod virtio_blk virtio_scsi "
END
for modules in /lib/modules/*/modules.dep /usr/lib/modules/*/modules.dep; do
    [ -e "$modules" ] || continue
    kernel=$(basename "$(dirname "$modules")")
    dracut --force "/boot/initrd-$kernel" "$kernel"
done
