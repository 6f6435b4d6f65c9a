#!/bin/sh
# Makes the root's logical volume as large as the disk it was deployed to; nothing is left to do on a boot after that.
set -eu
sys=${COMPOSE_SYS:-/sys}
volume=$(df -P / | awk 'NR == 2 { print $1 }')
group=$(lvs --noheadings -o vg_name "$volume" | tr -d ' ')
for device in $(vgs --noheadings -o pv_name "$group"); do
    block=$(readlink -f "$sys/class/block/$(basename "$device")")
    if [ -e "$block/partition" ]; then
        # 1: there is no room behind it.
        growpart "/dev/$(basename "$(dirname "$block")")" "$(cat "$block/partition")" || [ $? -eq 1 ]
    fi
    pvresize "$device"
done
free=$(vgs --noheadings --nosuffix --units b -o vg_free "$group" | tr -d ' ')
[ "$free" = 0 ] || lvextend -r -l +100%FREE "$volume"
