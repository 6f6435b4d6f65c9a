# The target disk: partitions and file systems of a storage layout, or a whole disk image; then the tree of a tar.

# MAAS names the disk by its serial number.
target_disk() {
    local link=/dev/disk/by-id/virtio-$TARGET_SERIAL
    [ -b "$link" ] || fail rehearse.target-disk "no disk has the serial number $TARGET_SERIAL"
    readlink -f "$link"
}

partition_of() {
    case $1 in
        *[0-9]) echo "$1p$2" ;;
        *) echo "$1$2" ;;
    esac
}

partition() {
    local disk root esp spec
    disk=$(target_disk)
    wipefs --quiet --all "$disk"
    sfdisk --quiet --wipe always "$disk" <$job/partitions.sfdisk
    udevadm settle
    root=$(partition_of "$disk" "$ROOT_PARTITION")
    if [ "$LAYOUT" = lvm ]; then
        pvcreate --quiet -ff --yes "$root"
        vgcreate --quiet vgroot "$root"
        lvcreate --quiet --yes --wipesignatures y --name lvroot --extents 100%FREE vgroot
        udevadm settle
        root=/dev/vgroot/lvroot
    fi
    mkfs.ext4 -q -F "$root"
    mount "$root" "$target"
    udevadm settle
    if [ "$LAYOUT" = lvm ]; then
        # A logical volume is named by the udev name of its device.
        spec=/dev/disk/by-id/dm-uuid-$(cat "/sys/class/block/$(basename "$(readlink -f "$root")")/dm/uuid")
    else
        spec=/dev/disk/by-uuid/$(blkid -o value -s UUID "$root")
    fi
    echo "$spec / ext4 defaults 0 1" >"$state/fstab"
    if [ "$FIRMWARE" = uefi ]; then
        esp=$(partition_of "$disk" "$ESP_PARTITION")
        mkfs.vfat -F 32 "$esp" >/dev/null
        mkdir -p "$target/boot/efi"
        mount "$esp" "$target/boot/efi"
        echo "/dev/disk/by-uuid/$(blkid -o value -s UUID "$esp") /boot/efi vfat defaults 0 1" >>"$state/fstab"
    fi
    cat "$state/fstab"
}

# curtin's flags; only the status of tar counts there. What tar says on an image without faults is nothing.
extract() {
    set +e
    sh -c 'wget "$1" --progress=dot:giga -O - | tar "$3" -C "$2" --xattrs "--xattrs-include=*" -Sxpf - --numeric-owner 2>"$4"' \
        -- "$IMAGE_URL" "$target" "$DECODER" "$state/tar.said"
    local status=$?
    set -e
    cat "$state/tar.said"
    [ $status = 0 ] || fail rehearse.extract "tar ended with $status: $(head -n 1 "$state/tar.said")"
    [ ! -s "$state/tar.said" ] || note tar "$(head -n 3 "$state/tar.said")"
}

# The image is written by curtin's pipeline, then the file system that holds /curtin is looked for on what came of it.
restore() {
    local disk round
    disk=$(target_disk)
    wipefs --quiet --all "$disk"
    sh -c "wget \"\$1\" --progress=dot:giga -O - $DECODER | dd bs=4M of=\"\$2\"" -- "$IMAGE_URL" "$disk"
    partprobe "$disk" || fail rehearse.partition-table 'partprobe cannot read the partitions of the image'
    for round in 1 2 3; do
        udevadm trigger "$disk"
        vgchange --quiet -ay || true
        udevadm settle
    done
    find_root "$disk"
    : >"$state/fstab"
}

# Of several the last one counts, as with curtin; what cannot be mounted is passed over.
find_root() {
    local device found='' probe=/run/probe wanted
    mkdir -p $probe
    for device in $(lsblk --noheadings --raw --output PATH "$1" | tail -n +2 | awk '!seen[$0]++'); do
        mount "$device" $probe 2>/dev/null || continue
        for wanted in curtin system-data/var/lib/snapd snaps; do
            [ ! -d "$probe/$wanted" ] || found=$device
        done
        umount $probe
    done
    if [ -z "$found" ]; then
        lsblk --output NAME,FSTYPE,LABEL,SIZE "$1"
        fail rehearse.no-curtin-folder 'no file system of the image that mounts has a folder /curtin'
    fi
    say "the root is $found"
    mount "$found" "$target"
}
