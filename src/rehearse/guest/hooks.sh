# The image's own hooks, and what is looked at once they have run.

# run_hook FILE CODE: 0 when it ran, 1 when there is none.
run_hook() {
    local status
    [ -f "$target/curtin/$1" ] || return 1
    say "running /curtin/$1"
    [ -x "$target/curtin/$1" ] || fail "$2" "/curtin/$1 is not executable"
    set +e
    (
        cd /
        export CONFIG=$job/config.json TARGET_MOUNT_POINT=$target OUTPUT_FSTAB=$state/fstab WORKING_DIR=$state
        export OUTPUT_INTERFACES=$state/interfaces OUTPUT_NETWORK_CONFIG=$state/network OUTPUT_NETWORK_STATE=$state/network.state
        export CURTIN_REPORTSTACK=cmd-install/stage-curthooks CURTIN_VERBOSITY=3 CURTIN_STACKTRACE=1
        exec "$target/curtin/$1"
    )
    status=$?
    set -e
    [ $status = 0 ] || fail "$2" "/curtin/$1 ended with status $status"
}

curthooks() {
    # Not as a condition: that would turn the shell's -e off in it.
    if [ -f "$target/curtin/curtin-hooks" ]; then
        run_hook curtin-hooks rehearse.hook
        note hooks own
    else
        built_in
        note hooks built-in
    fi
}

finalize() {
    if [ -f "$target/curtin/finalize" ]; then run_hook finalize rehearse.finalize; fi
}

# Whether a kernel is one of this machine: the x86 boot protocol's HdrS at 514, arm64's magic number at 56, or compressed.
fits_machine() {
    local x86 arm
    x86=$(dd if="$1" bs=1 skip=514 count=4 status=none | tr -d '\0')
    arm=$(dd if="$1" bs=1 skip=56 count=4 status=none | tr -d '\0')
    case $ARCH in
        amd64) [ "$x86" = HdrS ] ;;
        *) [ "$arm" = ARMd ] || [ "$x86" != HdrS ] ;;
    esac
}

# Kernels and initrds as the boot loader will look for them. A /boot of its own on a dd image is not mounted, and not seen.
boot_files() {
    local kernel version newest='' without='' found='' file
    if [ ! -d "$target/etc" ] || grep -Eqs '^[^#]\S*\s+/boot\s' "$target/etc/fstab"; then
        note kernel unknown
        return
    fi
    for kernel in $(ls "$target"/boot/vmlinuz* "$target"/boot/Image* 2>/dev/null | sort --version-sort); do
        [ -f "$kernel" ] || continue
        found=yes
        fits_machine "$kernel" || fail rehearse.kernel-architecture "${kernel#"$target"} is no kernel of $ARCH"
        version=${kernel##*/}
        version=${version#*-}
        case ${kernel##*/} in
            *rescue*) continue ;;
            *-*) newest=$version ;;
            *) version='' ;;
        esac
        without=$version
        for file in "$target/boot/initrd.img-$version" "$target/boot/initramfs-$version.img" "$target/boot/initrd-$version"; do
            [ ! -s "$file" ] || without=''
        done
        if [ -z "$version" ]; then
            without=any
            for file in "$target"/boot/init*; do [ ! -s "$file" ] || without=''; done
        fi
        [ -z "$without" ] || note initrd "none for ${kernel#"$target"}"
    done
    [ -n "$found" ] || fail rehearse.no-kernel 'there is no kernel in /boot'
    note kernel "${newest:-unknown}"
    [ "$CONSOLE" = no ] || serial_console
}

# A rehearsal reads the console of the first boot: the one thing that is changed in what curtin left.
serial_console() {
    local file
    for file in "$target"/boot/grub/grub.cfg "$target"/boot/grub2/grub.cfg "$target"/boot/efi/EFI/*/grub.cfg; do
        [ ! -f "$file" ] || sed -Ei "/console=$SERIAL/! s/^([[:space:]]*linux(efi|16)?[[:space:]].*)\$/\1 console=tty0 console=$SERIAL,115200/" "$file"
    done
    for file in "$target"/boot/loader/entries/*.conf; do
        [ ! -f "$file" ] || sed -Ei "/console=$SERIAL/! s/^(options[[:space:]].*)\$/\1 console=tty0 console=$SERIAL,115200/" "$file"
    done
}
