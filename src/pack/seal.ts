import type { Edit } from '../filesystem/file-tree.ts';

/**
 * What a sealed image does not carry: identity, keys, the state of the build's first boot, its logs and caches. Ordered
 * data; each edit does nothing where its path is not there.
 */
const EDITS: readonly (readonly [kind: Edit['kind'], path: string, reason: string])[] = [
  ['empty', '/etc/machine-id', 'every machine makes its own; an empty file asks systemd to'],
  ['remove', '/var/lib/dbus/machine-id', 'a copy of machine-id'],
  ['remove', '/etc/ssh/ssh_host_*', 'every machine makes its own host keys'],
  ['remove', '/root/.ssh', 'the key of the build'],
  ['clear', '/var/lib/cloud', 'cloud-init must take the machine for a new instance'],
  ['remove', '/etc/netplan/50-cloud-init.yaml', 'network of the build machine'],
  ['remove', '/etc/network/interfaces.d/50-cloud-init*', 'network of the build machine'],
  ['remove', '/etc/sudoers.d/90-cloud-init-users', 'users of the build'],
  ['remove', '/etc/systemd/network/10-cloud-init*', 'network of the build machine'],
  ['remove', '/etc/udev/rules.d/70-persistent-net.rules', 'interface names of the build machine'],
  ['remove', '/etc/apt/apt.conf.d/*compose-proxy*', 'proxy of the build'],
  ['remove', '/var/lib/systemd/random-seed', 'entropy must not be shared'],
  ['remove', '/var/lib/systemd/credential.secret', 'a key of this machine'],
  ['clear', '/var/lib/systemd/timers', 'when timers ran during the build'],
  ['clear', '/var/lib/dhcp', 'leases of the build'],
  ['remove', '/var/lib/NetworkManager/*.lease', 'leases of the build'],
  ['remove', '/var/lib/NetworkManager/secret_key', 'a key of this machine'],
  ['clear', '/var/log/journal', 'logs of the build'],
  ['remove', '/var/log/cloud-init*.log', 'logs of the build'],
  ['clear', '/var/log/apt', 'logs of the build'],
  ['clear', '/var/log/installer', 'logs of the installation'],
  ['empty', '/var/log/*.log', 'logs of the build'],
  ['empty', '/var/log/syslog', 'logs of the build'],
  ['empty', '/var/log/messages', 'logs of the build'],
  ['empty', '/var/log/wtmp', 'logins of the build'],
  ['empty', '/var/log/btmp', 'logins of the build'],
  ['empty', '/var/log/lastlog', 'logins of the build'],
  ['remove', '/root/.bash_history', 'commands of the build'],
  ['remove', '/home/*/.bash_history', 'commands of the build'],
  ['remove', '/root/.cache', 'caches of the build'],
  ['clear', '/tmp', 'temporary files'],
  ['clear', '/var/tmp', 'temporary files'],
  ['clear', '/run', 'a tmpfs on every boot'],
  ['remove', '/var/cache/apt/archives/*.deb', 'package cache'],
  ['clear', '/var/cache/apt/archives/partial', 'package cache'],
  ['remove', '/var/cache/apt/*.bin', 'package cache'],
  ['clear', '/var/lib/apt/lists', 'package indexes, stale by the time of a deployment'],
  // curtin appends to this file without a newline, and grub-mkconfig then ends with 127.
  ['remove', '/etc/default/grub.d/50-curtin-settings.cfg', 'left by an earlier deployment'],
  ['remove', '/etc/cloud/cloud.cfg.d/95-cloudconfig-*', 'left by an earlier deployment'],
  ['remove', '/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg', 'left by an earlier deployment'],
  ['remove', '/etc/cloud/cloud.cfg.d/curtin-*', 'left by an earlier deployment'],
  ['remove', '/etc/cloud/cloud-init.disabled', 'cloud-init must run on the deployed machine'],
];

/** The edits of a seal. `user` is an account the build logged in with: its keys go too. */
export function sealEdits(
  options: { readonly user?: string | undefined; readonly extra?: readonly Edit[] } = {},
): Edit[] {
  const edits: Edit[] = EDITS.map(([kind, path, reason]) => ({ kind, path, reason }));
  if (options.user !== undefined && options.user !== 'root') {
    edits.push({ kind: 'remove', path: `/home/${options.user}/.ssh`, reason: 'the key of the build' });
  }
  return [...edits, ...(options.extra ?? [])];
}
