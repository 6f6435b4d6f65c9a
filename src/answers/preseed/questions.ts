/**
 * Questions of debian-installer that people answer beforehand, with their types. Source: appendix B of the installation guides
 * of Debian 10 to 13 and the templates of the installer's components.
 */
import type { QuestionType } from './types.ts';

export interface Question {
  readonly type: QuestionType;
  /** The only values it has; undefined where any text will do. */
  readonly values: readonly string[] | undefined;
  /** First release of Debian with it. */
  readonly since: number;
}

/** A line a type: names, `>=12` behind a name for those that came later, `{a|b}` for those with few values. */
const TABLE = `
string anna/choose_modules_lowmem apt-setup/local0/comment apt-setup/local0/key apt-setup/local0/repository
string apt-setup/local1/comment apt-setup/local1/key apt-setup/local1/repository apt-setup/security_host apt-setup/security_path apt-setup/volatile_host
string auto-install/classes auto-install/defaultroot clock-setup/ntp-server debian-installer/add-kernel-opts
string debian-installer/country debian-installer/language grub-installer/bootdev grub-installer/password-crypted
string hw-detect/start_pcmcia keyboard-configuration/layoutcode keyboard-configuration/modelcode
string keyboard-configuration/variantcode keyboard-configuration/optionscode keyboard-configuration/toggle
string mirror/ftp/directory mirror/ftp/hostname mirror/ftp/proxy mirror/http/directory mirror/http/hostname mirror/http/proxy
string mirror/https/directory mirror/https/hostname mirror/https/proxy mirror/udeb/suite mirror/udeb/components
string netcfg/dhcp_hostname netcfg/dhcp_timeout netcfg/dhcpv6_timeout netcfg/get_domain netcfg/get_gateway netcfg/get_hostname
string netcfg/get_ipaddress netcfg/get_nameservers netcfg/get_netmask netcfg/hostname netcfg/link_wait_timeout
string netcfg/vlan_id>=10 netcfg/wireless_essid netcfg/wireless_essid_again netcfg/wireless_wep netcfg/wireless_wpa
string network-console/authorized_keys_url partman-auto/cap-ram partman-auto/disk partman-auto/expert_recipe
string partman-auto/expert_recipe_file partman-auto-lvm/guided_size partman-auto-lvm/new_vg_name partman-auto-raid/recipe
string partman/early_command passwd/user-default-groups passwd/user-fullname passwd/username passwd/user-uid
string pkgsel/include pkgsel/include/install_dependencies preseed/early_command preseed/include preseed/include/checksum
string preseed/include_command preseed/late_command preseed/run preseed/run/checksum preseed/url preseed/file
string base-installer/kernel/image base-installer/kernel/override-image base-installer/includes localechooser/supported-locales rescue/enable
string disk-detect/iscsi/target open-iscsi/targets partman-iscsi/login/address partman-basicfilesystems/swap_size
string debian-installer/consoledisplay
string base-installer/kernel/altmeta
select debconf/frontend debconf/priority debian-installer/locale keyboard-configuration/xkb-keymap keymap netcfg/choose_interface
select mirror/country mirror/codename mirror/suite mirror/http/countries
select mirror/protocol{ftp|http|https} netcfg/wireless_security_type netcfg/wireless_adhoc_managed time/zone
select partman-auto/method{regular|lvm|crypto|raid} partman-auto/choose_recipe partman-auto/init_automatically_partition
select partman/choose_partition partman/mount_style{traditional|label|uuid}
select partman-partitioning/choose_label
select pkgsel/update-policy{none|unattended-upgrades} pkgsel/upgrade{none|safe-upgrade|full-upgrade}
select hw-detect/firmware-lookup>=12{never|missing|always} grub-installer/choose_bootdev
select keyboard-configuration/layout keyboard-configuration/variant keyboard-configuration/model keyboard-configuration/altgr
select keyboard-configuration/compose console-setup/codeset47 console-setup/charmap47
string partman/default_filesystem partman-partitioning/default_label
boolean anna/no_kernel_modules apt-setup/backports apt-setup/contrib apt-setup/non-free apt-setup/non-free-firmware>=12
boolean apt-setup/cdrom/set-first apt-setup/cdrom/set-next apt-setup/cdrom/set-failed apt-setup/cdrom/set-double
boolean apt-setup/disable-cdrom-entries apt-setup/enable-source-repositories apt-setup/local0/source apt-setup/local1/source
boolean apt-setup/no_mirror apt-setup/use_mirror auto-install/enable base-installer/install-recommends
boolean cdrom-detect/eject cdrom-detect/load_floppy clock-setup/ntp clock-setup/utc clock-setup/utc-auto
boolean console-setup/ask_detect partman-basicmethods/method_only partman/confirm_write_new_label debian-installer/allow_unauthenticated debian-installer/allow_unauthenticated_ssl debian-installer/exit/halt
boolean debian-installer/exit/poweroff debian-installer/framebuffer debian-installer/splash
boolean finish-install/keep-consoles grub-installer/force-efi-extra-removable grub-installer/make_active
boolean grub-installer/only_debian grub-installer/skip grub-installer/with_other_os
boolean grub-installer/enable_os_prober_otheros_yes>=12 grub-installer/enable_os_prober_otheros_no>=12
boolean hw-detect/load_firmware hw-detect/load_media keyboard-configuration/ctrl_alt_bksp keyboard-configuration/unsupported_layout
boolean lilo-installer/skip netcfg/confirm_static netcfg/disable_autoconfig netcfg/disable_dhcp netcfg/enable netcfg/use_autoconfig
boolean netcfg/use_vlan netcfg/get_hostname_from_dns network-console/start
boolean partman-auto/purge_lvm_from_device partman-auto-crypto/erase_disks partman-auto-raid/confirm partman-basicfilesystems/no_swap
boolean partman-basicfilesystems/no_mount_point partman-crypto/confirm partman-crypto/confirm_nooverwrite
boolean partman-crypto/weak_passphrase partman-efi/non_efi_system partman-lvm/confirm partman-lvm/confirm_nooverwrite
boolean partman-lvm/device_remove_lvm partman-lvm/device_remove_lvm_span partman-md/confirm partman-md/confirm_nooverwrite
boolean partman-md/device_remove_md partman-partitioning/confirm_copy partman-partitioning/confirm_new_label
boolean partman-partitioning/confirm_resize partman-partitioning/confirm_write_new_label partman/confirm
boolean partman/confirm_nooverwrite passwd/auto-login passwd/make-user passwd/root-login
boolean passwd/shadow pkgsel/install-language-support pkgsel/run_tasksel popularity-contest/participate
boolean user-setup/allow-password-empty user-setup/allow-password-weak user-setup/encrypt-home base-installer/kernel/skip-install
boolean lvmcfg/vgdelete_confirm preseed/interactive
select partman/alignment{cylinder|minimal|optimal}
multiselect apt-setup/services-select pkgsel/language-packs tasksel/first tasksel/desktop
multiselect anna/choose_modules hw-detect/select_modules
password grub-installer/password grub-installer/password-again network-console/password network-console/password-again
password partman-crypto/passphrase partman-crypto/passphrase-again passwd/root-password passwd/root-password-again
password passwd/root-password-crypted passwd/user-password passwd/user-password-again passwd/user-password-crypted
note finish-install/reboot_in_progress

`;

/** By name. */
export const QUESTIONS: ReadonlyMap<string, Question> = readQuestions(TABLE);

function readQuestions(table: string): Map<string, Question> {
  const questions = new Map<string, Question>();
  for (const line of table.split('\n')) {
    const [type = '', ...entries] = line.trim().split(/\s+/);
    for (const entry of entries) {
      const [, name = '', since, values] = /^([^>{]+)(?:>=(\d+))?(?:\{(.+)\})?$/.exec(entry) ?? [];
      questions.set(name, { type: type as QuestionType, values: values?.split('|'), since: Number(since ?? 0) });
    }
  }
  return questions;
}
