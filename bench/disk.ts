import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { composeBaseDisk } from '../src/build/base-disk.ts';
import { openDisk } from '../src/disk/open.ts';
import { quietContext } from '../src/events.ts';
import { findRoot } from '../src/filesystem/root.ts';
import { aptInstall, hostDebianMirror } from '../src/host/apt.ts';
import { plan } from '../src/recipe/plan.ts';

/** Length of the disk: a common size of a cloud disk. */
const DISK_SIZE = 4 * 1024 ** 3;

/** The disk every way of packing is given. */
export interface BenchDisk {
  readonly path: string;
  /** Number of the root partition. */
  readonly partition: number;
  /** Byte at which it begins. */
  readonly offset: number;
  /** The EFI system partition that is mounted in the tree: where, and the byte at which it begins. */
  readonly esp: { readonly mountPoint: string; readonly start: number } | undefined;
}

/** The root partition of the qcow2 at `path`, found as compose finds it. */
export async function describeDisk(path: string): Promise<BenchDisk> {
  await using disk = await openDisk(path);
  const root = await findRoot(disk);
  if (root.partition === undefined) throw new Error(`${path} has no partition table`);
  const mount = root.mounts.find(({ esp }) => esp);
  if (root.mounts.length > (mount === undefined ? 0 : 1))
    throw new Error(`the tree of ${path} lies on several file systems`);
  const start = mount?.partition?.start;
  const esp = mount === undefined || start === undefined ? undefined : { mountPoint: mount.mountPoint, start };
  return { path, partition: root.partition.number, offset: root.partition.start, esp };
}

export interface MountedRoot extends AsyncDisposable {
  readonly path: string;
  /** Folder with what is mounted in the tree, at its place. */
  readonly mounted: string;
  readonly usedBytes: number;
}

/**
 * The root partition mounted read-only by the kernel from a raw copy made here, with the files of the EFI system partition in
 * their place (by mtools: not every kernel has vfat). No rival's time includes that.
 */
export async function mountRoot(disk: BenchDisk, work: string): Promise<MountedRoot> {
  const path = mkdtempSync(join(work, 'mnt-'));
  const raw = `${path}.raw`;
  execFileSync('qemu-img', ['convert', '-O', 'raw', disk.path, raw]);
  execFileSync('mount', ['-o', `loop,ro,noload,offset=${disk.offset}`, raw, path]);
  const { blocks, bfree, bsize } = statfsSync(path);
  const mounted = `${path}.mounted`;
  const { esp } = disk;
  mkdirSync(join(mounted, esp?.mountPoint ?? ''), { recursive: true });
  if (esp !== undefined) {
    const efi = join(mounted, esp.mountPoint);
    const env = { ...process.env, MTOOLS_SKIP_CHECK: '1' };
    execFileSync('mcopy', ['-s', '-m', '-i', `${raw}@@${esp.start}`, '::*', efi], { env });
    execFileSync('mount', ['--bind', efi, join(path, esp.mountPoint)]);
  }
  return {
    path,
    mounted,
    usedBytes: (blocks - bfree) * bsize,
    [Symbol.asyncDispose]: async () => {
      if (esp !== undefined) execFileSync('umount', [join(path, esp.mountPoint)]);
      execFileSync('umount', [path]);
      rmSync(raw);
    },
  };
}

/**
 * Debian 12 root disks: `usual` is the catalogue's, nine tenths of a gigabyte; `small` has the kernel for virtual machines and
 * nothing that only a deployment on metal needs, half a gigabyte; `server` has what runs and builds programs too, three.
 */
export type DiskName = 'usual' | 'small' | 'server';

interface Difference {
  readonly set?: readonly string[];
  readonly without?: readonly string[];
  readonly with?: readonly string[];
}

const DIFFERENCES: Readonly<Record<DiskName, Difference>> = {
  usual: {},
  small: {
    set: ['kernel=linux-image-cloud-amd64'],
    without: ['lvm2', 'xfsprogs', 'locales', 'lsb-release', 'cloud-init', 'cloud-guest-utils', 'python3-oauthlib'],
  },
  server: {
    with: [
      'docker.io',
      'qemu-system-x86',
      'libvirt-daemon-system',
      'postgresql',
      'default-jdk-headless',
      'clang',
      'golang-go',
      'linux-headers-amd64',
    ],
  },
};

/** A Debian 12 root disk made from packages, and the tools of the rivals, installed where they are missing. */
export async function benchDisk(packages: readonly string[], name: DiskName = 'usual'): Promise<BenchDisk> {
  const missing = packages.filter((name) => {
    try {
      execFileSync('dpkg', ['-s', name], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  const context = quietContext();
  if (missing.length > 0) await aptInstall(missing, { signal: context.signal });
  const { set = [], without = [], with: more = [] } = DIFFERENCES[name];
  const { source } = plan({ recipe: 'debian-12', source: 'packages', set });
  if (source.kind !== 'packages') throw new Error('the plan has another source');
  const { suite, components, layout } = source;
  const include = [...source.include.filter((one) => !without.includes(one)), ...more];
  const mirror = await hostDebianMirror();
  const wanted = { arch: 'amd64', suite, components, include, mirror, size: DISK_SIZE, layout } as const;
  const base = await composeBaseDisk(wanted, context);
  return describeDisk(base.path);
}
