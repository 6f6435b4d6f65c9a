# What curtin does in a target whose image has no hooks of its own (builtin_curthooks), without what needs a network: it
# installs no kernel and no packages. Order and commands are those of curtin 23.

built_in() {
    family
    cloud_config
    cp "$state/fstab" "$target/etc/fstab"
    case $family in
        redhat) : >"$target/.autorelabel" ;;
    esac
    # A dd image keeps what boot loader it has on BIOS; on UEFI curtin wants an ESP, which it does not mount for one.
    if [ "$MODE" = disk ]; then return; fi
    boot_loader
}

family() {
    local id='' like='' word
    [ -f "$target/etc/os-release" ] || fail rehearse.distribution 'there is no /etc/os-release'
    id=$(. "$target/etc/os-release"; echo "${ID:-}")
    like=$(. "$target/etc/os-release"; echo "${ID_LIKE:-}")
    for word in $id $like; do
        case $word in
            debian | ubuntu) family=debian ;;
            centos | fedora | ol | redhat | rhel | rocky | almalinux | mariner) family=redhat ;;
            opensuse | sles | suse) family=suse ;;
            *) continue ;;
        esac
        variant=$id
        return
    done
    fail rehearse.distribution "curtin knows no distribution \"$id\", and there is no /curtin/curtin-hooks"
}

cloud_config() {
    local folder="$target/etc/cloud/cloud.cfg.d" file
    mkdir -p "$folder"
    for file in $job/cloud.cfg.d/*.cfg; do
        install --mode=0600 "$file" "$folder/$(basename "$file")"
    done
}

inside() { curtin in-target --target="$target" -- "$@"; }

must() { inside "$@" || fail rehearse.boot-loader "failed in the target: $*"; }

# Consoles of the deployment are carried over; all else of the variable goes.
kernel_options() {
    local file="$target/etc/default/grub" line="GRUB_CMDLINE_LINUX_DEFAULT=\"console=$SERIAL,115200\""
    mkdir -p "$target/etc/default"
    if grep -qs '^GRUB_CMDLINE_LINUX_DEFAULT=' "$file"; then
        sed -i "s|^GRUB_CMDLINE_LINUX_DEFAULT=.*|$line|" "$file"
    else
        echo "$line" >>"$file"
    fi
    if [ "$family" = debian ]; then
        mkdir -p "$target/etc/default/grub.d"
        rm -f "$target/etc/default/grub.d/50-cloudimg-settings.cfg"
        printf 'GRUB_DISABLE_OS_PROBER="true"\nGRUB_TERMINAL="console"\n' >>"$target/etc/default/grub.d/50-curtin-settings.cfg"
    fi
}

boot_loader() {
    local disk platform loader folder=$variant suffix
    disk=$(target_disk)
    kernel_options
    case $ARCH in
        arm64) platform=arm64-efi suffix=aa64 ;;
        *) platform=x86_64-efi suffix=x64 ;;
    esac
    case $family:$FIRMWARE in
        debian:bios)
            must update-grub
            must grub-install "$disk"
            ;;
        debian:uefi)
            must update-grub
            must grub-install --target=$platform --efi-directory=/boot/efi --bootloader-id="$variant" --recheck
            ;;
        *:bios)
            must grub2-mkconfig -o /boot/grub2/grub.cfg
            must grub2-install "$disk"
            ;;
        *:uefi)
            case $variant in rhel | ol) folder=redhat ;; esac
            [ "$family" != suse ] || folder=suse
            for loader in "EFI/$folder/shim$suffix.efi" "EFI/BOOT/BOOT${suffix^^}.EFI" "EFI/$folder/grub$suffix.efi" ''; do
                [ ! -f "$target/boot/efi/$loader" ] || break
            done
            if [ -n "$loader" ]; then
                must efibootmgr --create --write-signature --label "$folder" --disk "$disk" --part "$ESP_PARTITION" --loader "/$loader"
                must grub2-mkconfig -o "/boot/efi/EFI/$folder/grub.cfg"
            else
                must grub2-install --target=$platform --efi-directory=/boot/efi --bootloader-id="$folder" --recheck
                must grub2-mkconfig -o /boot/grub2/grub.cfg
            fi
            ;;
    esac
}
