/**
 * What a machine must not inherit from the one its image was made on. One ordered table drives both sides: the seal makes
 * the edits of a row, and verify finds what they would have changed, and what no edit can take out.
 */
import type { Facts } from './facts.ts';
import { espProblems, fstabProblems, leftoverSpace, passwordProblems, userProblems } from './hygiene-facts.ts';
import { buildHostProblems, credentialProblems, proxyProblems, tokenProblems } from './hygiene-search.ts';
import { leftByEdits, type SealEdit } from './left-by-edits.ts';
import type { Problem, Rule, Severity } from './rule.ts';

export interface HygieneRow {
  /** Stable, as ids of rules are; one that is off is neither sealed nor looked for. */
  readonly id: string;
  readonly severity: Severity;
  readonly title: string;
  /** Why it must not ship; the seal's record says so too. */
  readonly why: string;
  readonly mend: string;
  /** Each does nothing where its path is not there. */
  readonly edits: readonly SealEdit[];
  /** What edits cannot take out. */
  readonly finds?: (facts: Facts) => readonly Problem[];
  /** What it is about. @default system */
  readonly of?: 'tree' | 'disk';
}

const SEAL = 'The seal takes it out: pack without --no-seal, or remove it in the image.';
const HISTORIES = [
  'bash_history',
  'zsh_history',
  'ash_history',
  'sh_history',
  'python_history',
  'node_repl_history',
  'mysql_history',
  'psql_history',
  'lesshst',
  'viminfo',
  'wget-hsts',
];

export const HYGIENE: readonly HygieneRow[] = [
  {
    id: 'hygiene.machine-id',
    severity: 'error',
    title: 'The machine id is empty',
    why: 'every machine makes its own; two with the same id get the same address and mix up their logs',
    mend: SEAL,
    edits: [
      ['empty', '/etc/machine-id'],
      ['remove', '/var/lib/dbus/machine-id'],
    ],
  },
  {
    id: 'hygiene.host-keys',
    severity: 'error',
    title: 'There are no SSH host keys',
    why: 'every machine makes its own; with a shared one each can pose as the others',
    mend: SEAL,
    edits: [['remove', '/etc/ssh/ssh_host_*']],
  },
  {
    id: 'hygiene.random-seed',
    severity: 'error',
    title: 'There is no seed of random numbers, and no secret of the machine',
    why: 'entropy and keys of one machine must not be shared',
    mend: SEAL,
    edits: [
      ['remove', '/var/lib/systemd/random-seed'],
      ['remove', '/var/lib/systemd/credential.secret'],
      ['remove', '/var/lib/urandom/random-seed'],
      ['remove', '/var/lib/random-seed'],
      ['remove', '/var/lib/NetworkManager/secret_key'],
      // That of systemd-boot; on a disk it lies on a FAT, which is not edited.
      ['remove', '/boot/efi/loader/random-seed', 'tree'],
      ['remove', '/efi/loader/random-seed', 'tree'],
    ],
  },
  {
    id: 'hygiene.cloud-init',
    severity: 'error',
    title: 'cloud-init has no state',
    why: 'cloud-init must take the machine for a new instance; with the old state it does not ask MAAS',
    mend: SEAL,
    edits: [['clear', '/var/lib/cloud']],
  },
  {
    id: 'hygiene.build-keys',
    severity: 'error',
    title: 'No key of the build opens the machine',
    why: 'whoever has the key of the build could log in everywhere',
    mend: SEAL,
    edits: [['remove', '/root/.ssh']],
  },
  {
    id: 'hygiene.build-user',
    severity: 'warning',
    title: 'The account of the build has no rights left',
    why: 'an account that nobody knows of may become root without a password',
    mend: 'Remove the account in the image (userdel -r), or let the build log in as root. The seal takes out the rights cloud-init gave.',
    edits: [['remove', '/etc/sudoers.d/90-cloud-init-users']],
    finds: userProblems,
  },
  {
    id: 'hygiene.passwords',
    severity: 'error',
    title: 'No account has a password',
    why: 'a password of the build is known to whoever reads the recipe, and its hash to whoever has the image',
    mend: 'passwd -l USER for each in the image; MAAS gives keys to the account of its own.',
    edits: [],
    finds: passwordProblems,
  },
  {
    id: 'hygiene.history',
    severity: 'error',
    title: 'There is no history of commands',
    why: 'commands of the build, and the secrets typed with them',
    mend: SEAL,
    edits: HISTORIES.flatMap((name): SealEdit[] => [
      ['remove', `/root/.${name}`],
      ['remove', `/home/*/.${name}`],
    ]),
  },
  {
    id: 'hygiene.logs',
    severity: 'warning',
    title: 'There are no logs of the build',
    why: 'logs of the build tell its network and secrets, and grow every image',
    mend: SEAL,
    edits: [
      ['clear', '/var/log/journal'],
      ['remove', '/var/log/cloud-init*.log'],
      ['clear', '/var/log/apt'],
      ['clear', '/var/log/installer'],
      ['clear', '/var/log/anaconda'],
      ['clear', '/var/log/audit'],
      ['clear', '/var/log/YaST2'],
      ['empty', '/var/log/*.log'],
      ['empty', '/var/log/syslog'],
      ['empty', '/var/log/messages'],
      ['empty', '/var/log/secure'],
      ['empty', '/var/log/wtmp'],
      ['empty', '/var/log/btmp'],
      ['empty', '/var/log/lastlog'],
      ['empty', '/var/log/faillog'],
      ['remove', '/root/anaconda-ks.cfg'],
      ['remove', '/root/original-ks.cfg'],
      ['remove', '/root/install.log*'],
      ['clear', '/var/crash'],
      ['clear', '/var/lib/systemd/coredump'],
      ['clear', '/var/lib/systemd/timers'],
    ],
  },
  {
    id: 'hygiene.leases',
    severity: 'warning',
    title: 'There are no leases of addresses',
    why: 'the machine would ask for the address of the build machine',
    mend: SEAL,
    edits: [
      ['clear', '/var/lib/dhcp'],
      ['clear', '/var/lib/dhclient'],
      ['remove', '/var/lib/NetworkManager/*.lease'],
      ['remove', '/var/lib/wicked/lease-*'],
    ],
  },
  {
    id: 'hygiene.network',
    severity: 'error',
    title: 'No setting names the network card of the build machine',
    why: 'network and interface names of the build machine; MAAS sends those of the deployed one',
    mend: SEAL,
    edits: [
      ['remove', '/etc/netplan/50-cloud-init.yaml'],
      ['remove', '/etc/netplan/00-installer-config*.yaml'],
      ['remove', '/etc/network/interfaces.d/50-cloud-init*'],
      ['remove', '/etc/systemd/network/10-cloud-init*'],
      ['remove', '/etc/udev/rules.d/70-persistent-net.rules'],
      ['remove', '/etc/udev/rules.d/70-persistent-cd.rules'],
      ['remove', '/etc/NetworkManager/system-connections/*'],
      ['remove', '/etc/sysconfig/network-scripts/ifcfg-e*'],
      ['remove', '/etc/sysconfig/network/ifcfg-e*'],
    ],
  },
  {
    id: 'hygiene.packages',
    severity: 'warning',
    title: 'There are no caches of the package manager',
    why: 'package cache and indexes, stale by the time of a deployment',
    mend: SEAL,
    edits: [
      ['remove', '/var/cache/apt/archives/*.deb'],
      ['clear', '/var/cache/apt/archives/partial'],
      ['remove', '/var/cache/apt/*.bin'],
      ['clear', '/var/lib/apt/lists'],
      ['clear', '/var/cache/dnf'],
      ['clear', '/var/cache/yum'],
      ['clear', '/var/cache/tdnf'],
      ['clear', '/var/cache/zypp'],
      ['clear', '/var/cache/apk'],
      ['clear', '/var/cache/PackageKit'],
    ],
  },
  {
    id: 'hygiene.proxy',
    severity: 'error',
    title: 'No proxy of the build is set',
    why: 'the deployed machine would ask a proxy that is not there, or give away its name and password',
    mend: 'Remove the setting in the image; the seal takes out the one that compose made.',
    edits: [['remove', '/etc/apt/apt.conf.d/*compose-proxy*']],
    finds: proxyProblems,
  },
  {
    id: 'hygiene.credentials',
    severity: 'error',
    title: 'There are no credentials of mirrors, registries and subscriptions',
    why: 'whoever has the image has them; a subscription would be shared by all machines',
    mend: 'Unregister in the image, and remove the files; the seal takes out the identities of subscriptions.',
    edits: [
      ['remove', '/etc/pki/consumer/*'],
      ['remove', '/etc/pki/entitlement/*'],
      ['remove', '/etc/zypp/credentials.d/*'],
    ],
    finds: credentialProblems,
  },
  {
    id: 'hygiene.build-host',
    severity: 'warning',
    title: 'Nothing names the host of the build, and no setting has its addresses',
    why: 'names and addresses of the build do not exist where the machine is deployed',
    mend: 'Remove the line in the image.',
    edits: [],
    finds: buildHostProblems,
  },
  {
    id: 'hygiene.tokens',
    severity: 'error',
    title: 'No setting has a token or a private key in it',
    why: 'whoever has the image has them',
    mend: 'Remove it in the image; have cloud-init or a secret store give it to the machine. What is no secret: --allow hygiene.tokens=REASON.',
    edits: [],
    finds: tokenProblems,
  },
  {
    id: 'hygiene.temporary',
    severity: 'warning',
    title: 'There are no temporary files and caches',
    why: 'temporary files of the build, gone on every boot or never',
    mend: SEAL,
    edits: [
      ['clear', '/tmp'],
      ['clear', '/var/tmp'],
      ['clear', '/run'],
      ['remove', '/root/.cache'],
    ],
  },
  {
    id: 'hygiene.deployment',
    severity: 'error',
    title: 'There is nothing of an earlier deployment',
    why: 'left by an earlier deployment: credentials of another machine, and a file that grub-mkconfig fails on',
    mend: SEAL,
    edits: [
      // curtin appends to this file without a newline, and grub-mkconfig then ends with 127.
      ['remove', '/etc/default/grub.d/50-curtin-settings.cfg'],
      ['remove', '/etc/cloud/cloud.cfg.d/95-cloudconfig-*'],
      ['remove', '/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg'],
      ['remove', '/etc/cloud/cloud.cfg.d/curtin-*'],
      ['remove', '/etc/cloud/cloud.cfg.d/99-installer.cfg'],
      ['remove', '/etc/cloud/cloud.cfg.d/90-installer-network.cfg'],
      ['remove', '/root/curtin-install*'],
    ],
  },
  {
    id: 'cloud-init.flag',
    severity: 'error',
    title: 'No file turns cloud-init off',
    why: 'cloud-init must run on the deployed machine; one that never asks for its user data stays in Deploying',
    mend: SEAL,
    edits: [['remove', '/etc/cloud/cloud-init.disabled']],
  },
  {
    id: 'fstab.build-disk',
    severity: 'error',
    title: 'fstab of a tree does not name the disk it was built on',
    why: 'its file systems are not on the machine; curtin, or the hook, writes those of the machine',
    mend: 'Empty /etc/fstab in a tree; the seal does so.',
    edits: [['empty', '/etc/fstab', 'tree']],
    finds: fstabProblems,
    of: 'tree',
  },
  {
    id: 'esp.build-disk',
    severity: 'warning',
    title: 'No setting of GRUB in /boot/efi of a tree leads to the disk it was built on',
    why: 'the machine has no such file system, and its loader stops; on Enterprise Linux grub2-mkconfig refuses to write another in its place',
    mend: 'Remove it in a tree; the seal does so where it merges the EFI system partition, and where curtin fills that of the machine it leaves all of it out.',
    // Those of src/pack/esp-edits.ts: what lies in the root itself was put there for the tree.
    edits: [],
    finds: espProblems,
    of: 'tree',
  },
  {
    id: 'hygiene.free-space',
    severity: 'error',
    title: 'Free space of a disk is zeros',
    why: 'what was deleted can still be read there, secrets among it, and it makes the image larger',
    mend: 'Pack without --keep-free; compose zeroes free blocks as it reads them.',
    edits: [],
    finds: leftoverSpace,
    of: 'disk',
  },
];

/** A row as a rule of verify. */
export function hygieneRules(): readonly Rule[] {
  return HYGIENE.map((row) => ({
    ...{ id: row.id, severity: row.severity, title: row.title, mend: row.mend },
    why: `${row.why.slice(0, 1).toUpperCase()}${row.why.slice(1)}.`,
    source: row.edits.length > 0 ? 'src/verify/hygiene.ts, whose edits the seal makes' : 'src/verify/hygiene.ts',
    for: { of: row.of ?? 'system' },
    check: (facts) => [...(OWN_CHECK.has(row.id) ? [] : leftByEdits(row.edits, facts)), ...(row.finds?.(facts) ?? [])],
  }));
}

/** Rows whose edits take out more than what is wrong. */
const OWN_CHECK = new Set(['fstab.build-disk']);
