#!/busybox sh
# First process of the ephemeral guest's initrd: drivers, the root on the first disk, and the job as its first process.
bb=/busybox
$bb mkdir -p /proc /sys /root
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
# News of the kernel do not come in the middle of a line the job writes.
echo 4 >/proc/sys/kernel/printk
# Software emulation finds what it has translated by the guest's addresses (src/machine/argv.ts): a program that starts a
# hundred times, as those of hooks do, is translated once. No systemd is here to be told by a credential.
echo 0 >/proc/sys/kernel/randomize_va_space
for module in $($bb cat /modules/order); do
    $bb insmod "/modules/$module" || echo "rehearse: cannot load $module"
done
$bb mount -t ext4 /dev/vda /root || { echo "rehearse: no ephemeral root on /dev/vda"; $bb poweroff -f; }
$bb mount -t tmpfs run /root/run
$bb cp -a /job /root/run/job
exec $bb switch_root /root /bin/bash /run/job/job.sh
