#!/bin/bash
# `curtin in-target [--target=DIR] -- COMMAND…` for hooks, where curtin itself is not here: the command in a chroot with
# the kernel's file systems, a process table of its own, no services started, and a resolver. Its status is the command's.
set -u
[ "${1:-}" = in-target ] || { echo "curtin ${1:-}: only in-target is here; a rehearsal with --curtin has all of it" >&2; exit 2; }
shift
target=${TARGET_MOUNT_POINT:-}
while [ $# -gt 0 ]; do
    case $1 in
        --target=*) target=${1#*=} ;;
        -t | --target) target=$2; shift ;;
        --) shift; break ;;
        -*) ;;
        *) break ;;
    esac
    shift
done
[ -d "$target" ] || { echo "curtin in-target: no target ($target)" >&2; exit 2; }
binds=()
bind() {
    mkdir -p "$target$1"
    mount --bind "$1" "$target$1" && binds+=("$target$1")
}
for folder in /dev /proc /run /sys; do bind $folder; done
[ ! -d /sys/firmware/efi/efivars ] || bind /sys/firmware/efi/efivars
policy="$target/usr/sbin/policy-rc.d" resolver="$target/etc/resolv.conf"
added=''
if [ -d "$target/usr/sbin" ] && [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && added=yes
fi
moved=''
if [ -d "$target/etc" ]; then
    if [ -e "$resolver" ] || [ -L "$resolver" ]; then mv "$resolver" "$resolver.rehearse" && moved=yes; fi
    cp /etc/resolv.conf "$resolver"
fi
unshare --fork --pid -- chroot "$target" "$@"
status=$?
[ -z "$added" ] || rm -f "$policy"
if [ -d "$target/etc" ]; then
    rm -f "$resolver"
    [ -z "$moved" ] || mv "$resolver.rehearse" "$resolver"
fi
for ((at = ${#binds[@]} - 1; at >= 0; at--)); do umount --lazy "${binds[$at]}"; done
exit $status
