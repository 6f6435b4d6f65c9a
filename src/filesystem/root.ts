import type { BlockSource } from '../disk/block-source.ts';
import { type Partition, type PartitionTable, readPartitions } from '../disk/partitions.ts';
import { isComposeError, PackError } from '../errors.ts';
import type { FileSystem } from './file-system.ts';
import type { FileTree } from './file-tree.ts';
import { type Mount, mountAll, type Skipped } from './mounts.ts';
import type { Place } from './place.ts';
import { requireClean } from './volume-state.ts';
import { describeVolume, type ReadableVolume, readVolumes, type Volume } from './volumes.ts';

export type { Mount, Skipped } from './mounts.ts';

/** The root file system of a disk, with the others its fstab mounts merged in. */
export interface Root {
  readonly tree: FileTree;
  /** The root file system alone. */
  readonly fs: FileSystem;
  /** Undefined for a logical volume, and when the disk has no partition table and is the file system itself. */
  readonly partition: Partition | undefined;
  /** The bytes of the root file system. */
  readonly volume: BlockSource;
  /** Where the root file system is on the disk. */
  readonly place: Place;
  readonly table: PartitionTable;
  /** The other file systems in the tree, and where. */
  readonly mounts: readonly Mount[];
  /** The EFI system partition where the tree has loaders of its own in its place: a part of the disk, not of the tree. */
  readonly shadowed: readonly Mount[];
  /** What the fstab mounts and the tree leaves out. */
  readonly skipped: readonly Skipped[];
}

/** Any of these, beside /etc, makes a tree a root. The last component is not followed: /usr may be elsewhere. */
const SIGNS = [
  '/etc/os-release',
  '/usr/lib/os-release',
  '/sbin/init',
  '/usr/sbin/init',
  '/usr/lib/systemd/systemd',
  '/lib/systemd/systemd',
];

/** What can hold a root that compose does not read, and what to call it. */
const UNREAD: Readonly<Record<string, string>> = {
  crypto_LUKS: 'LUKS encryption',
  btrfs: 'a Btrfs file system',
  f2fs: 'an F2FS file system',
  zfs_member: 'a ZFS pool member',
  linux_raid_member: 'a RAID member',
  bcache: 'a bcache device',
  BitLocker: 'BitLocker encryption',
  ntfs: 'an NTFS file system',
  squashfs: 'a squashfs image',
};

/**
 * Finds the root file system of `disk` by looking into every partition and logical volume, and merges in what its
 * /etc/fstab mounts.
 * @throws PackError `root.none`, `root.ambiguous`, `root.unsupported` (it lies on something compose does not read),
 *   `root.mount-unreadable`; FormatError `ext4.not-clean`, `xfs.not-clean` and the errors of reading partitions and file systems
 */
export async function findRoot(disk: BlockSource): Promise<Root> {
  const table = await readPartitions(disk);
  const volumes = await readVolumes(disk, table);
  const roots: ReadableVolume[] = [];
  for (const volume of volumes) {
    if (volume.fs !== undefined && (await isRoot(volume.fs))) roots.push({ ...volume, fs: volume.fs });
  }
  if (roots.length > 1) throw ambiguous(roots);
  const root = roots[0];
  if (root === undefined) throw whyNone(volumes, disk);
  requireClean(root, disk);
  const merged = await mountAll(root, volumes, disk);
  return { ...merged, fs: root.fs, partition: root.partition, volume: root.source, place: root, table };
}

async function isRoot(fs: FileSystem): Promise<boolean> {
  try {
    if ((await fs.lookup('/etc', { follow: true }))?.kind !== 'directory') return false;
    for (const sign of SIGNS) if ((await fs.lookup(sign)) !== undefined) return true;
    return false;
  } catch (error) {
    // Without its journal's changes an unclean file system may contradict itself; that it is unclean is the news.
    if (!fs.clean && isComposeError(error)) return true;
    throw error;
  }
}

function ambiguous(roots: readonly Volume[]): PackError {
  return new PackError(
    'root.ambiguous',
    `Cannot tell which root file system to pack: ${roots.length} volumes hold one`,
    {
      hint: 'Delete the other one, or its partition; or pack the disk as it is (--format ddgz --no-seal).',
      evidence: { candidates: roots.map(describeVolume) },
    },
  );
}

/** @throws FormatError `ext4.not-clean`, `xfs.not-clean` where the root may be in a journal or log alone, as after a crash */
function whyNone(volumes: readonly Volume[], disk: BlockSource): unknown {
  const evidence = { found: volumes.map(describeVolume) };
  const failed = volumes.find((volume) => volume.failure !== undefined);
  if (failed !== undefined) return failed.failure;
  const unread = volumes.filter((volume) => UNREAD[volume.probe?.kind ?? ''] !== undefined);
  if (unread.length > 0) {
    const list = unread.map((volume) => `${volume.where} is ${UNREAD[volume.probe!.kind]}`);
    return new PackError('root.unsupported', `Cannot read the root file system: ${list.join(', ')}`, {
      hint: 'compose reads ext2, ext3, ext4 and XFS on partitions and LVM; install the system on one, or pack the disk as it is (--format ddgz --no-seal).',
      evidence,
    });
  }
  for (const volume of volumes) if (volume.fs !== undefined) requireClean({ ...volume, fs: volume.fs }, disk);
  return new PackError('root.none', 'Cannot find a root file system: no volume holds /etc and an operating system', {
    hint: 'compose inspect shows what the disk holds; check that the installation finished.',
    evidence,
  });
}
