import type { BlockSource } from '../disk/block-source.ts';
import type { Partition } from '../disk/partitions.ts';
import { FormatError, PackError } from '../errors.ts';
import { openFat } from './fat/open.ts';
import { ownershipOf } from './fat/options.ts';
import type { FileSystem } from './file-system.ts';
import { type Entry, type FileTree, readPath } from './file-tree.ts';
import { diskOfSpec, type FstabEntry, parseFstab, resolveSpec } from './fstab.ts';
import { pathKey } from './paths.ts';
import type { Place } from './place.ts';
import { requireClean } from './volume-state.ts';
import type { ReadableVolume, Volume } from './volumes.ts';
import { type DirectoryReader, walkTree } from './walk.ts';

/** A file system that is part of the tree below the root. */
export interface Mount {
  /** Absolute, symlinks resolved. */
  readonly mountPoint: string;
  /** Whether it is the EFI system partition. */
  readonly esp: boolean;
  readonly fs: FileSystem;
  readonly partition: Partition | undefined;
  readonly volume: BlockSource;
  /** Where the file system is on the disk. */
  readonly place: Place;
}

/** Something the fstab mounts and the tree leaves out. */
export interface Skipped {
  readonly mountPoint: string;
  readonly why: string;
}

/** Types that have no bytes on this disk. */
const NOT_ON_DISK = new Set(
  (
    'swap tmpfs ramfs proc sysfs devpts devtmpfs cgroup cgroup2 securityfs debugfs tracefs configfs efivarfs mqueue ' +
    'hugetlbfs binfmt_misc fusectl overlay none nfs nfs4 cifs smb3 smbfs 9p virtiofs ceph glusterfs sshfs fuse.sshfs ' +
    'iso9660 udf usbfs rpc_pipefs autofs'
  ).split(' '),
);
const ESP_MOUNT_POINTS = ['/boot/efi', '/efi'];
const OWN_LOADERS = 'the root has loaders of its own in that directory, put there for a tree, and they are packed';
const NO_DIRECTORY = 'the tree has no such directory, and curtin makes its own';

interface Merged {
  readonly tree: FileTree;
  readonly mounts: Mount[];
  readonly shadowed: Mount[];
  readonly skipped: Skipped[];
}

/**
 * The tree of `root` with what its /etc/fstab mounts at boot; all of `volumes` lie on `disk`. The EFI system partition is no
 * exception: where curtin finds no loader in the tree it has grub-install make one, which that of Enterprise Linux refuses on
 * UEFI (curthooks.py, find_efi_loader). Loaders that a build put below that mount point, for the tree and not for its own
 * machine, come before it.
 * @throws PackError `root.mount-unreadable` for what the running system would see and this tree would not;
 *   FormatError `ext4.not-clean`, `xfs.not-clean`
 */
export async function mountAll(root: ReadableVolume, volumes: readonly Volume[], disk: BlockSource): Promise<Merged> {
  const mounts: Mount[] = [];
  const shadowed: Mount[] = [];
  const skipped: Skipped[] = [];
  const readers = new Map<string, DirectoryReader>();
  let tree: FileTree = root.fs;
  const text = await readFstab(root.fs);
  const entries = parseFstab(text);
  const rootSpec = entries.find((entry) => entry.mountPoint === '/')?.spec;
  const rootDevice = rootSpec === undefined ? undefined : diskOfSpec(rootSpec);
  // Parents first, so that a mount point inside another mounted file system is found there.
  for (const entry of entries.toSorted((a, b) => depth(a) - depth(b))) {
    if (!entry.mountPoint.startsWith('/') || depth(entry) === 0) continue;
    const plan = await planMount(entry, volumes, rootDevice, disk);
    if (plan === undefined) continue;
    if ('why' in plan) {
      skipped.push(plan);
      continue;
    }
    const { fs, esp, place } = plan;
    const { mountPoint } = entry;
    const point = await tree.lookup(mountPoint, { follow: true });
    if (point?.kind !== 'directory') {
      if (!esp) throw unreadable(entry, 'the tree has no such directory to mount it at');
      skipped.push({ mountPoint, why: NO_DIRECTORY });
      continue;
    }
    // The loaders that a second line would find are those of the first.
    if (esp && readers.has(pathKey(point.path))) continue;
    const { partition, source: volume } = place;
    const mount = { mountPoint: `/${Buffer.from(point.path)}`, esp, fs, partition, volume, place };
    if (esp && (await hasLoader(tree, point))) {
      shadowed.push(mount);
      skipped.push({ mountPoint, why: OWN_LOADERS });
      continue;
    }
    mounts.push(mount);
    readers.set(pathKey(point.path), fs.reader);
    tree = walkTree(root.fs.reader, readers);
  }
  return { tree, mounts, shadowed, skipped };
}

async function readFstab(fs: FileSystem): Promise<string> {
  try {
    const bytes = await readPath(fs, '/etc/fstab', 1024 * 1024);
    return bytes === undefined ? '' : new TextDecoder().decode(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FormatError('root.fstab-too-long', 'Cannot read /etc/fstab: it is longer than 1 MiB', { cause: error });
  }
}

function depth(entry: FstabEntry): number {
  return entry.mountPoint.split('/').filter((part) => part !== '').length;
}

interface Planned {
  readonly esp: boolean;
  readonly fs: FileSystem;
  readonly place: Place;
}

/** What to do with one entry: the volume to merge, a reason to leave it out, or undefined to say nothing. */
async function planMount(
  entry: FstabEntry,
  volumes: readonly Volume[],
  rootDevice: string | undefined,
  disk: BlockSource,
): Promise<Planned | Skipped | undefined> {
  const { mountPoint, spec, type, options } = entry;
  const has = (option: string): boolean => options.includes(option);
  if (has('bind') || has('rbind')) return { mountPoint, why: `a bind mount of ${spec}, which the tree has already` };
  if (NOT_ON_DISK.has(type) || type.startsWith('fuse') || has('_netdev')) return undefined;
  // With an automount unit a directory is there as soon as somebody looks, whatever noauto says.
  if (has('noauto') && !has('x-systemd.automount')) return { mountPoint, why: 'noauto: it is not mounted at boot' };
  const volume = resolveSpec(spec, volumes, rootDevice);
  if (volume === undefined) {
    if (has('nofail')) return { mountPoint, why: `nofail, and the disk has no ${spec}` };
    throw unreadable(entry, `the disk has no ${spec}`);
  }
  const kind = volume.probe?.kind ?? 'nothing known';
  const esp = kind === 'vfat' && ESP_MOUNT_POINTS.includes(mountPoint.replace(/\/+$/, ''));
  if (volume.failure !== undefined) throw volume.failure;
  // Kernels mount a FAT that was not unmounted cleanly, and only warn.
  if (kind === 'vfat') {
    // curtin's FAT takes no other owner from a tar: GNU tar ends with 2.
    const owner = esp ? { uid: 0, gid: 0 } : {};
    return { esp, fs: await openFat(volume.source, { ...ownershipOf(options), ...owner }), place: volume };
  }
  if (volume.fs === undefined) {
    throw unreadable(entry, `${spec} holds ${kind}, which compose does not read`);
  }
  const found = { ...volume, fs: volume.fs };
  requireClean(found, disk);
  return { esp, fs: found.fs, place: found };
}

/** Directories alone, and what a boot left there without its ESP, are nothing to start a machine with. */
async function hasLoader(tree: FileTree, folder: Entry): Promise<boolean> {
  for (const entry of await tree.list(folder.path)) {
    if (entry.kind === 'file' && /\.efi$/i.test(Buffer.from(entry.path).toString('latin1'))) return true;
    if (entry.kind === 'directory' && (await hasLoader(tree, entry))) return true;
  }
  return false;
}

function unreadable(entry: FstabEntry, why: string): PackError {
  return new PackError('root.mount-unreadable', `Cannot merge ${entry.mountPoint} into the tree: ${why}`, {
    hint:
      '/etc/fstab mounts it at boot, so a tree without it would be incomplete. Put it on ext4, XFS or FAT on the same disk, ' +
      'mark it noauto or nofail, or pack the disk as it is (--format ddgz --no-seal).',
    evidence: { spec: entry.spec, mountPoint: entry.mountPoint, type: entry.type },
  });
}
