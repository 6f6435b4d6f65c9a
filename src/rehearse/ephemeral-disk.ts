import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../events.ts';
import { quote } from '../guest/shell.ts';
import { hostDebianMirror } from '../host/apt.ts';
import { cacheFolder, temporaryFolder } from '../host/folders.ts';
import { makeFolder } from '../host/make-folder.ts';
import { run } from '../host/process.ts';
import { reapPath } from '../host/reaper.ts';
import { SingleFlight } from '../host/single-flight.ts';
import type { Arch } from '../machine/arch.ts';
import { userEmulation } from '../machine/user-emulation.ts';

/** What stands in for the Ubuntu that MAAS boots a machine with to deploy it. */
export interface EphemeralSystem {
  /** qcow2 of its root file system, without partitions; to be used through an overlay. */
  readonly disk: string;
  readonly kernel: string;
  /** Static busybox for the initrd. */
  readonly busybox: string;
  /** Modules for the initrd in the order they are loaded. */
  readonly modules: readonly string[];
  readonly fromCache: boolean;
}

/** Raised whenever what is made below changes. */
const VERSION = 1;
/** Its tar is the one of Ubuntu 22.04's deployments (1.34). */
const SUITE = 'bookworm';
const SIZE = '1500M';

/** What curtin runs, what its Python modules are, and what hooks may count on; by Debian's names. */
const PACKAGES = [
  ...['linux-image-cloud-${arch}', 'busybox-static', 'kmod', 'udev', 'mount', 'procps', 'iproute2', 'wget'],
  ...['file', 'gzip', 'bzip2', 'xz-utils', 'rsync', 'lsb-release', 'efibootmgr'],
  ...['fdisk', 'gdisk', 'parted', 'e2fsprogs', 'dosfstools', 'xfsprogs', 'btrfs-progs', 'lvm2', 'mdadm'],
  ...['python3', 'python3-yaml', 'python3-attr', 'python3-oauthlib', 'python3-pyudev', 'python3-apt'],
  ...['python3-debian', 'python3-jsonschema', 'python3-packaging'],
];
const UNREAD = ['doc', 'man', 'locale', 'info'];

const systems = new SingleFlight<EphemeralSystem>();

/**
 * The system that deploys: Debian's packages in an ext4 file, made on this host without root and kept in the cache. Another
 * architecture than the host's needs its user emulation.
 * @throws HostError `tool.missing`, `tool.failed`
 */
export async function composeEphemeral(arch: Arch, context: Context): Promise<EphemeralSystem> {
  const packages = PACKAGES.map((name) => name.replace('${arch}', arch));
  const inputs = JSON.stringify({ version: VERSION, suite: SUITE, size: SIZE, arch, packages });
  const key = createHash('sha256').update(inputs).digest('hex').slice(0, 24);
  const folder = join(cacheFolder(), 'ephemeral', `${SUITE}-${arch}-${key}`);
  return systems.run(folder, '', (shared) => cached(folder, arch, packages, shared), context);
}

async function cached(
  folder: string,
  arch: Arch,
  packages: readonly string[],
  context: Context,
): Promise<EphemeralSystem> {
  if (existsSync(folder)) return { ...(await systemIn(folder)), fromCache: true };
  await makeFolder(join(folder, '..'));
  const partial = `${folder}.partial-${process.pid}`;
  using _held = reapPath(partial);
  await using work = await temporaryFolder('compose-ephemeral-');
  // mmdebstrap's hook runs as another user in unshare mode and has to write here.
  await chmod(work.path, 0o777);
  try {
    await fill(work.path, arch, packages, context);
    await mkdir(partial);
    const raw = join(work.path, 'root.raw');
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, join(partial, 'root.qcow2')], context);
    for (const name of await readdir(work.path)) {
      if (name.startsWith('boot-'))
        await writeFile(join(partial, name.slice(5)), await readFile(join(work.path, name)));
    }
    // Another compose may have been faster.
    await rename(partial, folder).catch((error) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return { ...(await systemIn(folder)), fromCache: false };
}

async function fill(work: string, arch: Arch, packages: readonly string[], context: Context): Promise<void> {
  const hook = join(work, 'hook');
  await writeFile(hook, hookScript(work), { mode: 0o755 });
  const onLine = (line: string): void =>
    context.emit({ type: 'output', phase: 'ephemeral', stream: 'stderr', text: `${line}\n` });
  const args = [
    ...['--variant=minbase', '--components=main', `--architectures=${arch}`, `--include=${packages.join(',')}`],
    ...['--aptopt=APT::Install-Recommends "0"', '--aptopt=Acquire::Retries "3"', '--dpkgopt=force-unsafe-io'],
    ...UNREAD.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    ...['--skip=cleanup/apt', `--customize-hook=${hook}`, SUITE, '/dev/null', await hostDebianMirror()],
  ];
  // Its initrd is made by compose, of what this machine needs (/etc/kernel/postinst.d/initramfs-tools).
  await run('mmdebstrap', args, { ...context, env: { ...process.env, ...userEmulation(arch), INITRD: 'No' }, onLine });
}

/** Writes the root file system and what boots it into `work`; the bind mount is what mke2fs reads, without /proc and /sys. */
function hookScript(work: string): string {
  return `#!/bin/sh
set -eu
root="$1"
out=${quote(work)}
kernel=$(ls "$root/lib/modules")
cp "$root/boot/vmlinuz-$kernel" "$out/boot-vmlinuz"
cp "$root/bin/busybox" "$out/boot-busybox"
chroot "$root" modprobe --show-depends --set-version "$kernel" --all virtio_pci virtio_blk virtio_net ext4 |
  sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }' | while read -r module; do
    cp "$root$module" "$out/boot-module-$(basename "$module")"
    basename "$module" >> "$out/boot-order"
  done
chmod 0644 "$out"/boot-*
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
tree="$root"
mounted=$(mktemp -d)
if mount --bind "$root" "$mounted" 2>/dev/null; then tree="$mounted"; fi
status=0
mke2fs -q -F -t ext4 -L ephemeral -O ^has_journal -E lazy_itable_init=0 -d "$tree" "$out/root.raw" ${SIZE} || status=$?
if [ "$tree" = "$mounted" ]; then umount "$mounted"; fi
rmdir "$mounted"
exit "$status"
`;
}

async function systemIn(folder: string): Promise<Omit<EphemeralSystem, 'fromCache'>> {
  const order = (await readFile(join(folder, 'order'), 'utf8')).trim().split('\n');
  const [disk, kernel, busybox] = ['root.qcow2', 'vmlinuz', 'busybox'].map((name) => join(folder, name));
  const modules = order.map((name) => join(folder, `module-${name}`));
  return { disk: disk!, kernel: kernel!, busybox: busybox!, modules };
}
