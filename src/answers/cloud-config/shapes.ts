/**
 * cloud-init's user data, key by key. Source: the module reference of cloud-init's documentation (22.4 to 26.2), with the
 * releases that deprecated a key. Form: `readShapes`.
 */
import { readShapes } from '../shape/shape.ts';

export const CLOUD_CONFIG_SHAPES = readShapes(`
command = s | [s]
package = s | [s]
strings = [s]
user-entry = {
  name: s, snapuser: s, doas: [s], expiredate: s, gecos: s, groups: s | [s] | <null>, homedir: s, inactive: s | i,
  lock_passwd: b, lock-passwd~lock_passwd: b, no_create_home: b, no-create-home~no_create_home: b,
  no_log_init: b, no-log-init~no_log_init: b, no_user_group: b, no-user-group~no_user_group: b,
  passwd: s, hashed_passwd: s, hashed-passwd~hashed_passwd: s, plain_text_passwd: s, plain-text-passwd~plain_text_passwd: s,
  create_groups: b, create-groups~create_groups: b, primary_group: s, primary-group~primary_group: s,
  selinux_user: s, selinux-user~selinux_user: s, shell: s, ssh_authorized_keys: [s],
  ssh-authorized-keys~ssh_authorized_keys: [s], ssh_import_id: [s], ssh-import-id~ssh_import_id: [s],
  ssh_redirect_user: b, ssh-redirect-user~ssh_redirect_user: b, system: b, sudo: s | null | b | [s | null], uid: i | s }
mirror = { arches!: [s], uri: s, search: [s], search_dns: b, keyid: s, key: s, keyserver: s }
apt-source = { source: s, keyid: s, key: s, keyserver: s, filename: s, append: b }
log-target = s | [s] | { output: s, error: s }
modules = [s | [any]]
merge = s | [{ name!: "list" | "dict" | "str", settings!: [s] }]
pro = { enable: [s], enable_beta: [s], token: s, features: { disable_auto_attach: b }, config: { * } }
ca = { remove_defaults: b, remove-defaults~remove_defaults: b, trusted: [s] }
yum-repo = { baseurl: s, metalink: s, mirrorlist: s, name: s, enabled: b | i | s, * }
report = {
  type!: "log" | "print" | "webhook" | "hyperv", level: "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL", endpoint: s,
  consumer_key: s, token_key: s, token_secret: s, consumer_secret: s, timeout: n, retries: i, kvp_file_path: s, event_types: [s] }
cloud-config = {
  cloud_init_modules: @modules, cloud_config_modules: @modules, cloud_final_modules: @modules,
  launch-index: i, merge_how: @merge, merge_type: @merge, system_info: { * }, datasource: { * }, datasource_list: [s],
  vendor_data: { enabled: b | s, prefix: s | [s | i] }, vendor_data2: { * }, allow_userdata: b, output: {
    all: @log-target, init: @log-target, config: @log-target, final: @log-target },
  reporting: <@report>, unverified_modules: [s], migrate: b, syslog_fix_perms: s | [s], network: { * }, disable_network_activation: b,
  log_cfgs: [any], logcfg: s, def_log_file: s, users_groups: any, version: s,
  ansible: { install_method: "distro" | "pip", run_user: s, ansible_config: s, setup_controller: { * }, galaxy: { actions!: [[s]] },
    package_name: s, pull: { * } | [{ * }] },
  apk_repos: { preserve_repositories: b, alpine_repo: null | { base_url: s, community_enabled: b, testing_enabled: b, version!: s },
    local_repo_base_url: s },
  apt: { preserve_sources_list: b, disable_suites: [s], primary: [@mirror], security: [@mirror], add_apt_repo_match: s,
    debconf_selections: <s>, sources_list: s, conf: s, https_proxy: s, http_proxy: s, proxy: s, ftp_proxy: s, sources: <@apt-source> },
  apt_pipelining: i | b | s,
  autoinstall: any,
  bootcmd: [@command],
  byobu_by_default: "enable-system" | "enable-user" | "disable-system" | "disable-user" | "enable" | "disable" | "user" | "system",
  ca_certs: @ca, ca-certs~ca_certs: @ca,
  chef: { * },
  chpasswd: { expire: b, list~users: s | [s], users: [{ name!: s, type: "hash" | "text" | "RANDOM", password: s }] },
  create_hostname_file: b,
  device_aliases: <s>,
  disable_ec2_metadata: b, disable_root: b, disable_root_opts: s,
  disk_setup: <{ table_type: "mbr" | "gpt", layout: "remove" | b | [i | [i | s]], overwrite: b }>,
  drivers: { nvidia: { license-accepted!: b, version: s } },
  fan: { config!: s, config_path: s },
  final_message: s,
  fqdn: s, prefer_fqdn_over_hostname: b, hostname: s, preserve_hostname: b, manage_etc_hosts: b | "localhost" | "template",
  fs_setup: [{ label: s, filesystem: s, device: s, partition: s | i, overwrite: b, replace_fs: s, extra_opts: s | [s], cmd: s | [s] }],
  groups: [s | <s | [s]>] | <s | [s]> | s,
  growpart: { mode: "auto" | "growpart" | "gpart" | "off" | b, devices: [s], ignore_growroot_disabled: b },
  grub_dpkg: { enabled: b, grub-pc/install_devices: s, grub-pc/install_devices_empty: b | s, grub-efi/install_devices: s },
  grub-dpkg~grub_dpkg: { * },
  keyboard: { layout!: s, model: s, variant: s, options: s },
  landscape: { client!: { account_name!: s, computer_title!: s, * } },
  locale: s | b, locale_configfile: s,
  lxd: { init: { network_address: s, network_port: i, storage_backend: "zfs" | "dir" | "lvm" | "btrfs", storage_create_device: s,
    storage_create_loop: i, storage_pool: s, trust_password: s }, bridge: { mode!: "none" | "existing" | "new", * }, preseed: s },
  manage_resolv_conf: b, resolv_conf: { nameservers: [s], searchdomains: [s], domain: s, sortlist: [s], options: { * } },
  mcollective: { conf: { * } },
  mounts: [[s | i | null]], mount_default_fields: [s | null | i], swap: { filename: s, size: "auto" | i | s, maxsize: i | s },
  no_ssh_fingerprints: b, authkey_hash: s,
  ntp: null | { pools: [s], servers: [s], peers: [s], allow: [s], ntp_client: s, enabled: b, config: {
    confpath: s, check_exe: s, packages: [s], service_name: s, template: s } },
  packages: [@package | { apt: [@package], snap: [@package] }],
  package_update: b, package_upgrade: b, package_reboot_if_required: b,
  apt_update~package_update: b, apt_upgrade~package_upgrade: b, apt_reboot_if_required~package_reboot_if_required: b,
  password: s, ssh_pwauth: b | s,
  phone_home: { url!: s, post: "all" | [s], tries: i },
  power_state: { delay: i | s, mode!: "poweroff" | "reboot" | "halt", message: s, timeout: i, condition: s | b | [any] },
  puppet: { install: b, version: s, install_type: "packages" | "aio", collection: s, aio_install_url: s, cleanup: b, conf_file: s,
    ssl_dir: s, csr_attributes_path: s, package_name: s, exec: b, exec_args: [s], start_service: b, conf: { * }, csr_attributes: { * } },
  random_seed: { file: s, data: s, encoding: "raw" | "base64" | "b64" | "gzip" | "gz", command: [s], command_required: b },
  resize_rootfs: b | "noblock",
  rh_subscription: { username: s, password: s, activation_key: s, activation-key: s, org: s | i, auto_attach: b, auto-attach: b,
    service_level: s, service-level: s, add_pool: [s], add-pool: [s], enable_repo: [s], enable-repo: [s], disable_repo: [s],
    disable-repo: [s], release_version: s, rhsm_baseurl: s, rhsm-baseurl: s, server_hostname: s, server-hostname: s },
  rpi: { * },
  rsyslog: { config_dir: s, config_filename: s, configs: [s | { filename: s, content!: s }], remotes: { * },
    service_reload_command: s | [s], install_rsyslog: b, check_exe: s, packages: [s] },
  runcmd: [@command | null],
  salt_minion: { pkg_name: s, service_name: s, config_dir: s, conf: { * }, grains: { * }, public_key: s, private_key: s, pki_dir: s },
  snap: { assertions: [s] | <s>, commands: [@command] | <@command> },
  spacewalk: { server: s, proxy: s, activation_key: s },
  ssh: { emit_keys_to_console!: b }, ssh_key_console_blacklist: [s], ssh_fp_console_blacklist: [s],
  ssh_authorized_keys: [s], ssh_deletekeys: b, ssh_genkeytypes: ["ecdsa" | "ed25519" | "rsa" | "dsa"], ssh_import_id: [s],
  ssh_keys: <s>, allow_public_ssh_keys: b, ssh_quiet_keygen: b, ssh_publish_hostkeys: { enabled: b, blacklist: [s] },
  timezone: s,
  ubuntu_pro: @pro, ubuntu_advantage~ubuntu_pro: @pro, ubuntu-advantage~ubuntu_pro: @pro,
  updates: { network: { when!: ["boot-new-instance" | "boot-legacy" | "boot" | "hotplug"] } },
  user: s | @user-entry,
  users: [s | [s] | @user-entry] | s | { * },
  wireguard: null | { interfaces!: [{ name: s, config_path: s, content: s }], readinessprobe: [s] },
  write_files: [{ path!: s, content: s, source: { uri!: s, headers: { * } }, owner: s, permissions: s, append: b, defer: b,
    encoding: "gz" | "gzip" | "gz+base64" | "gzip+base64" | "gz+b64" | "gzip+b64" | "b64" | "base64" | "text/plain" }],
  yum_repo_dir: s, yum_repos: <@yum-repo>,
  zypper: { repos: [{ id!: s, baseurl!: s, * }], config: { * } }
}
`);
