/**
 * Profiles of Agama, the installer of SLES 16 and openSUSE Leap 16, key by key. Source: the profile reference of Agama's
 * documentation. Form: `readShapes`.
 */
import { readShapes } from '../shape/shape.ts';

export const AGAMA_SHAPES = readShapes(`
keys = s | [s]
pre-script = { name!: s, body~content: s, content: s, url: s }
post-script = { name!: s, body~content: s, content: s, url: s, chroot: b }
profile = {
  $schema: s,
  product: { id!: s, mode: s, registrationCode: s, registrationEmail: s, registrationUrl: s,
    addons: [{ id!: s, version: s, registrationCode: s }] },
  hostname: { static: s, transient: s },
  user: { fullName!: s, userName!: s, password!: s, hashedPassword: b, sshPublicKey: @keys, sshPublicKeys: @keys },
  root: { password: s, hashedPassword: b, sshPublicKey: @keys, sshPublicKeys: @keys },
  localization: { language: s, keyboard: s, timezone: s },
  l10n: { locale: s, keymap: s, timezone: s },
  software: @software,
  network: { state: { connectivity: "unknown" | "none" | "portal" | "limited" | "full", copyNetwork: b, networkingEnabled: b,
    wirelessEnabled: b }, connections: [@connection] },
  storage: @storage,
  legacyAutoyastStorage: [{ * }],
  bootloader: { stopOnBootMenu: b, timeout: i, extraKernelParams: s, updateNvram: b },
  scripts: { pre: [@pre-script], postPartitioning: [@pre-script], post: [@post-script], init: [@pre-script] },
  files: [{ destination!: s, content: s, url: s, permissions: s, user: s, group: s }],
  questions: { policy: "auto" | "user", answers: [@answer] },
  proxy: { enabled: b, httpProxy: s, httpsProxy: s, ftpProxy: s, gopherProxy: s, socksProxy: s, socks5Server: s, noProxy: s },
  ntp: { sources: [{ type!: "pool" | "server" | "peer", address!: s, iburst: b, offline: b }] },
  security: { sslCertificates: [{ fingerprint!: s, algorithm!: "SHA1" | "SHA256" }] },
  access: { ssh: "enabled" | "default", webConsole: "enabled" | "default" },
  dasd: { devices: [{ channel!: s, state: "active" | "offline", format: b, diag: b }] },
  zfcp: { controllers: [s], devices: [{ channel!: s, wwpn!: s, lun!: s, active: b }] },
  iscsi: { initiator: s, targets: [{ address!: s, port!: i, name!: s, interface!: s, startup: "onboot" | "manual" | "automatic",
    authByTarget: @authentication, authByInitiator: @authentication }] }
}
authentication = { username!: s, password!: s }
answer = { class: s, text: s, password: s, data: { * }, action: s, answer~action: s, value: s }
software = { patterns: [s] | { add: [s], remove: [s] }, packages: [s], onlyRequired: b, extraRepositories: [{ alias: s, url: s,
  priority: i, name: s, productDir: s, enabled: b, allowUnsigned: b, gpgFingerprints: [s] }] }
connection = { id!: s, interface: s, customMacAddress: s, macAddress: s, mtu: i, method4: "auto" | "manual" | "link-local" | "disabled",
  method6: "auto" | "manual" | "dhcp" | "link-local" | "shared" | "disabled", gateway4: s, gateway6: s, addresses: [s], nameservers: [s],
  dnsSearchList: [s], dnsSearchlist~dnsSearchList: [s], ignoreAutoDns: b, status: "up" | "down" | "keep" | "removed", autoconnect: b,
  persistent: b, wireless: { * }, bond: { mode: "balance-rr" | "active-backup" | "balance-xor" | "broadcast" | "802.3ad" | "balance-tlb"
  | "balance-alb", options: s, ports: [s] }, bridge: { stp: b, forwardDelay: i, priority: i, maxAge: i, helloTime: i, ports: [s] },
  match: { kernel: [s], interface: [s], driver: [s], path: [s] }, ieee-8021x: { * },
  vlan: { id!: i, parent!: s, protocol: "802.1Q" | "802.1ad", flags: ["reorder-headers" | "gvrp" | "loose-binding" | "mvrp"] } }
`);

/** The storage section is long enough for a table of its own; its shapes go by the same names. */
export const AGAMA_STORAGE_SHAPES = readShapes(`
storage = { boot: { configure!: b, device: s }, drives: [@drive], volumeGroups: [@volume-group], mdRaids: [@raid] }
table-type = "gpt" | "msdos" | "dasd"
drive = { partitions!: [@partition], search: @search, alias: s, ptableType: @table-type }
  | { search: @search, alias: s, encryption: @encryption, filesystem: @filesystem }
raid-level = "raid0" | "raid1" | "raid5" | "raid6" | "raid10"
raid = { partitions!: [@partition], search: @search, alias: s, name: s, level: @raid-level, parity: s, chunkSize: @bytes, devices: [s],
    ptableType: @table-type }
  | { search: @search, alias: s, name: s, level: @raid-level, parity: s, chunkSize: @bytes, devices: [s], encryption: @encryption,
    filesystem: @filesystem }
which = "default" | "mandatory"
partition = { generate!: @which | { partitions!: @which, encryption: @encryption } }
  | { delete!: b, search!: @search }
  | { deleteIfNeeded!: b, search!: @search, size: @size }
  | { search: @search, alias: s, id: "linux" | "swap" | "lvm" | "raid" | "esp" | "prep" | "bios_boot", size: @size,
    encryption: @encryption, filesystem: @filesystem }
volume-group = { name!: s, search: @search, extentSize: @bytes, physicalVolumes: [s | { generate!: [s] | { targetDevices!: [s],
    spacePolicy: "useNeeded" | "useAvailable", encryption: @encryption } }], logicalVolumes: [@logical-volume] }
logical-volume = { generate!: @which | { logicalVolumes!: @which, encryption: @encryption, stripes: i, stripeSize: @bytes } }
  | { delete!: b, search!: @search }
  | { deleteIfNeeded!: b, search!: @search, size: @size }
  | { pool!: b, alias: s, name: s, size: @size, stripes: i, stripeSize: @bytes, encryption: @encryption }
  | { usedPool!: s, name: s, size: @size, encryption: @encryption, filesystem: @filesystem }
  | { name: s, search: @search, size: @size, stripes: i, stripeSize: @bytes, encryption: @encryption, filesystem: @filesystem }
search = s | { condition: @condition, sort: s | { * } | [s | { * }], max: i, ifNotFound: "skip" | "error" | "create" }
condition = { name!: s } | { driver!: s } | { boss!: b } | { number!: i } | { id!: s }
  | { size!: @bytes | { equal!: @bytes } | { greater!: @bytes } | { less!: @bytes } }
  | { filesystem!: "any" | "none" | @filesystem-condition }
  | { partitions!: "any" | "none" | { any!: @condition } | { none!: @condition } | { all!: @condition }
    | { count!: { condition: @condition, min: i, max: i } } }
  | { and!: [@condition] } | { or!: [@condition] } | { not!: @condition }
filesystem-condition = { type!: @filesystem-name | { btrfs!: { snapshots: b } } } | { label!: s }
  | { and!: [@filesystem-condition] } | { or!: [@filesystem-condition] } | { not!: @filesystem-condition }
bytes = s | i
size = @bytes | [@bytes] | { min!: @bytes, max: @bytes }
encryption = "protected_swap" | "secure_swap" | "random_swap" | "protectedSwap" | "secureSwap" | "randomSwap"
  | { luks1!: { password!: s, cipher: s, keySize: i } }
  | { luks2!: { password!: s, cipher: s, keySize: i, pbkdFunction: "pbkdf2" | "argon2i" | "argon2id", label: s, tpm: b } }
  | { pervasiveLuks2!: { password!: s, apqns: [s], keyType: s } }
  | { tpmFde!~luks2: { password!: s } }
filesystem-name = "bcachefs" | "btrfs" | "exfat" | "ext2" | "ext3" | "ext4" | "f2fs" | "jfs" | "nfs" | "nilfs2" | "ntfs" | "reiserfs"
  | "swap" | "tmpfs" | "vfat" | "xfs"
filesystem = { reuseIfPossible: b, type: @filesystem-name | { btrfs!: { snapshots: b } }, label: s, path: s,
  mountBy: "device" | "id" | "label" | "path" | "uuid", mkfsExtraArguments: s, mkfsOptions~mkfsExtraArguments: [s], mountOptions: [s] }
`);
