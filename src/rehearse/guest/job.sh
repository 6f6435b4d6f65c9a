#!/bin/bash
# First process of the ephemeral guest: deploys the artifact onto the target disk as curtin does, tells every stage to the
# metadata service, and powers off. What it is to do is in `settings`, which the host wrote.
set -u
job=/run/job
target=/run/target
mkdir -p /run/state "$target"
. $job/settings
. $job/report.sh
. $job/disk.sh
. $job/hooks.sh
. $job/built-in.sh
export PATH=$job/tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

prepare() {
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev 2>/dev/null
    mkdir -p /dev/pts /dev/shm /run/lock
    mount -t devpts devpts /dev/pts
    mount -t tmpfs shm /dev/shm
    mount -t tmpfs tmp /tmp
    [ ! -d /sys/firmware/efi ] || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
    [ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
    ip link set lo up
    ip address add "$ADDRESS" dev eth0
    ip link set eth0 up
    ip route add default via "$GATEWAY"
    echo "${RESOLVER:+nameserver $RESOLVER}" >/etc/resolv.conf
    hostname ephemeral
    /lib/systemd/systemd-udevd --daemon
    udevadm trigger --action=add
    udevadm settle
}

late() {
    in_target rehearse.dependency 'cloud-init --version'
    [ "$BASE_OS" != ubuntu ] || in_target rehearse.dependency 'netplan info'
    wget --quiet --output-document=/dev/null --post-data=op=netboot_off "$NETBOOT_URL" ||
        fail rehearse.netboot-off 'the server did not take netboot_off'
}

# The checks MAAS has curtin run inside an image of one's own (compose_curtin_preseed, DEPS_PER_OS).
in_target() {
    if [ "$DEPENDENCIES" = no ]; then return; fi
    curtin in-target --target="$target" -- bash -c "$2" || fail "$1" "\"$2\" does not work in the image"
}

# The source tree of curtin itself, with the configuration MAAS would send; it reports its stages by its own webhook.
real_curtin() {
    local status
    mkdir -p /run/curtin
    wget --quiet --output-document=- "$CURTIN_URL" | tar -C /run/curtin -xf -
    cd /
    say "running $(ls /run/curtin | tr '\n' ' ')"
    rm -f $job/tools/curtin
    env PYTHONPATH=/run/curtin /run/curtin/bin/curtin -v install -c $job/config.json 2>&1 | tee "$state/curtin.log"
    status=${PIPESTATUS[0]}
    sync
    if [ "$status" != 0 ]; then
        tell finish rehearse/curtin FAIL "rehearse.curtin curtin install ended with $status" "$state/curtin.log"
        power_off
    fi
    tell finish rehearse/curtin SUCCESS 'curtin install'
}

prepare
note ephemeral "$(uname -r)"
if [ "$MODE" = curtin ]; then
    real_curtin
    stage boot-files boot_files
    power_off
fi
tell start cmd-install '' 'curtin command install, played by compose'
if [ "$MODE" = disk ]; then
    stage partitioning restore
else
    stage partitioning partition
    stage extract extract
fi
stage curthooks curthooks
stage hook finalize
stage late late
stage boot-files boot_files
tell finish cmd-install SUCCESS 'curtin command install, played by compose'
power_off
