#!/bin/sh
# Makes the root's logical volume as large as the disk it was deployed to; nothing is left to do on a boot after that.
set -eu
volume=$(findmnt -n -o SOURCE /)
group=$(lvs --noheadings -o vg_name "$volume" | tr -d ' ')
for device in $(vgs --noheadings -o pv_name "$group"); do
    number=$(cat "/sys/class/block/$(basename "$device")/partition") || continue
    disk=/dev/$(lsblk -n -o PKNAME "$device" | head -n 1)
    # 1: there is no room behind it.
    growpart "$disk" "$number" || [ $? -eq 1 ]
    pvresize "$device"
done
free=$(vgs --noheadings --nosuffix --units b -o vg_free "$group" | tr -d ' ')
[ "$free" = 0 ] || lvextend -r -l +100%FREE "$volume"
