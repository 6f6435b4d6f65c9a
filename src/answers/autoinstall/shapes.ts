/**
 * Autoinstall of Ubuntu's server installer, key by key. Source: its autoinstall reference and the storage reference of curtin;
 * releases are those whose newest medium reads a key. Form: `readShapes`.
 */
import { readShapes } from '../shape/shape.ts';

export const AUTOINSTALL_SHAPES = readShapes(`
commands = [s | [s]]
match-spec = { model: s, vendor: s, path: s, id_path: s, devpath: s, serial: s, ssd: b, size: "largest" | "smallest" | i | s,
  install-media: b }
match = @match-spec | [@match-spec]
netplan = { version!: i, renderer: s, ethernets: <any>, wifis: <any>, bridges: <any>, bonds: <any>, tunnels: <any>,
  vlans: <any>, vrfs: <any>, modems: <any>, dummy-devices: <any> }
groups = [s] | { override: [s], append: [s] }
mirror = "country-mirror" | { uri!: s, arches: [s] }
pro = { token: s }
autoinstall = {
  version!: i,
  interactive-sections: [s],
  early-commands: @commands, late-commands: @commands, error-commands: @commands,
  reporting: <{ type!: s, * }>,
  user-data: { * },
  packages: [s],
  debconf-selections: s,
  locale: s,
  refresh-installer: { update: b, channel: s },
  kernel: { package: s, flavor: s },
  kernel-crash-dumps>=24.04: { enabled!: b | null },
  keyboard: { layout!: s, variant: s, toggle: s | null },
  zdevs>=24.04: [{ id: s, enabled: b }],
  source: { search_drivers: b, id: s },
  network: @netplan | { network!: @netplan },
  ubuntu-pro: @pro, ubuntu-advantage~ubuntu-pro: @pro,
  proxy: s | null,
  apt: { preserve_sources_list: b, primary: [any], security: [any], mirror-selection: { primary: [@mirror] }, geoip: b,
    sources: <{ * }>, sources_list: s, conf: s, proxy: s, http_proxy: s, https_proxy: s, ftp_proxy: s, disable_suites: [s],
    add_apt_repo_match: s, debconf_selections: <s>,
    disable_components: ["universe" | "multiverse" | "restricted" | "contrib" | "non-free"],
    preferences: [{ package!: s, pin!: s, pin-priority!: i }], fallback: "abort" | "continue-anyway" | "offline-install" },
  storage: { layout: { name!: "lvm" | "direct" | "zfs" | "hybrid", match: @match, ptable: "gpt" | "msdos", password: s, encrypted: b,
      mode: "reformat_disk" | "use_gap", sizing-policy: "scaled" | "all", reset-partition: b | s | i, reset-partition-only: b },
    config: [{ type!: s, * }], grub: { * }, swap: { filename: s, size: i | s, maxsize: i | s, force: b }, version: i },
  identity: { realname: s, username!: s, hostname!: s, password!: s, groups>=26.04: @groups },
  ssh: { install-server: b, authorized-keys: [s], allow-pw: b },
  snaps: [{ name!: s, channel: s, classic: b }],
  active-directory>=22.04: { admin-name: s, domain-name: s },
  codecs: { install: b },
  drivers: { install: b },
  oem>=22.04: { install!: b | "auto" },
  timezone: s,
  updates: "security" | "all",
  shutdown: "reboot" | "poweroff"
}
size = i | s
wipe = "superblock" | "superblock-recursive" | "pvremove" | "zero" | "random" | null
disk = { type!: s, id!: s, ptable: "gpt" | "msdos" | "dos" | "vtoc" | "unsupported" | null, serial: s, wwn: s, path: s, device_id: s,
  model: s, multipath: s, wipe: @wipe, preserve: b, name: s, grub_device: b, match: @match, nvme_controller: s | null }
partition = { type!: s, id!: s, device!: s, number: i, size: @size, offset: @size, flag: s, wipe: @wipe, preserve: b, resize: b,
  grub_device: b, partition_type: s, partition_name: s, uuid: s, path: s, multipath: s, attrs: [s] | null }
format = { type!: s, id!: s, fstype!: s, volume!: s, label: s | null, uuid: s, preserve: b, extra_options: [s] }
mount = { type!: s, id!: s, device: s, path: s, options: s | null, spec: s, fstype: s, freq: i | s, passno: i | s }
lvm_volgroup = { type!: s, id!: s, name!: s, devices!: [s], uuid: s, preserve: b }
lvm_partition = { type!: s, id!: s, name!: s, volgroup!: s, size: @size, wipe: @wipe, preserve: b, path: s }
dm_crypt = { type!: s, id!: s, volume!: s, dm_name: s, key: s, keyfile: s, options: [s], preserve: b, wipe: @wipe, recovery_key: { * },
  path: s }
raid = { type!: s, id!: s, name!: s, raidlevel!: s | i, devices: [s], spare_devices: [s], preserve: b, ptable: s, wipe: @wipe,
  metadata: s | n | null, mdname: s, container: s, path: s, uuid: s }
bcache = { type!: s, id!: s, backing_device: s, cache_device: s, name: s, cache_mode: s, cache_set_uuid: s, ptable: s, preserve: b,
  wipe: @wipe }
zpool = { type!: s, id!: s, pool!: s, vdevs!: [s], mountpoint: s | null, pool_properties: { * }, fs_properties: { * },
  default_features: b, encryption_style: s | null, keyfile: s | null }
zfs = { type!: s, id!: s, pool!: s, volume!: s, properties: { * } }
dasd = { type!: s, id!: s, device_id!: s, blocksize: i, disk_layout: s, label: s, mode: s, preserve: b }
nvme_controller = { type!: s, id!: s, transport!: s, tcp_port: i, tcp_addr: s, preserve: b }
device = { type!: s, id!: s, * }
`);

/** Types of actions in `storage.config`, each a shape above. */
export const ACTION_TYPES = [
  'disk',
  'partition',
  'format',
  'mount',
  'lvm_volgroup',
  'lvm_partition',
  'dm_crypt',
  'raid',
  'bcache',
  'zpool',
  'zfs',
  'dasd',
  'nvme_controller',
  'device',
] as const;
