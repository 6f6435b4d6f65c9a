import { type BlockSource, slice } from '../disk/block-source.ts';
import type { LogicalVolume } from '../disk/lvm/read.ts';
import type { Partition, PartitionTable } from '../disk/partitions.ts';
import { type DiskArea, wholeArea } from '../disk/splice.ts';
import { PackError } from '../errors.ts';
import type { FileSystemProbe } from './probe.ts';

/** Where a file system can be: a partition, a logical volume, or a whole disk without a table. */
export interface Place {
  readonly partition: Partition | undefined;
  readonly logicalVolume: LogicalVolume | undefined;
  /** For a person: `partition 2`, `logical volume vg/root`, `the disk`. */
  readonly where: string;
  /** Where its bytes lie on the disk. */
  readonly areas: readonly DiskArea[];
  readonly source: BlockSource;
}

/** Every partition of `disk`, or the disk itself where it has no partition table. */
export function placesOf(disk: BlockSource, table: PartitionTable): Place[] {
  if (table.scheme === 'none') {
    const areas = [wholeArea(0, disk.size)];
    return [{ partition: undefined, logicalVolume: undefined, where: 'the disk', areas, source: disk }];
  }
  return table.partitions.map((partition) => ({
    partition,
    logicalVolume: undefined,
    where: `partition ${partition.number}`,
    areas: [wholeArea(partition.start, partition.size)],
    source: slice(disk, partition.start, partition.size),
  }));
}

type Probed = Place & { readonly probe: FileSystemProbe | undefined };

/**
 * The logical volumes on `probed`, the places of one disk. `failures` tells by index why one of them is not used although
 * it is an LVM physical volume.
 */
export async function logicalPlaces(
  probed: readonly Probed[],
): Promise<{ readonly places: Place[]; readonly failures: ReadonlyMap<number, unknown> }> {
  const members = probed.flatMap((place, index) => (place.probe?.kind === 'LVM2_member' ? [{ place, index }] : []));
  if (members.length === 0) return { places: [], failures: new Map() };
  // Modules that disks without LVM have no use for.
  const [{ readLvm }, { areasOnDisk }] = await Promise.all([
    import('../disk/lvm/read.ts'),
    import('../disk/mapped.ts'),
  ]);
  const lvm = await readLvm(members.map(({ place }) => place));
  const starts = members.map(({ place }) => place.partition?.start ?? 0);
  const places = lvm.groups.flatMap((group) =>
    group.logicalVolumes.map((logicalVolume) => ({
      partition: undefined,
      logicalVolume,
      where: `logical volume ${group.name}/${logicalVolume.name}`,
      areas: areasOnDisk(logicalVolume.segments, starts),
      source: logicalVolume.source,
    })),
  );
  return { places, failures: new Map([...lvm.failures].map(([at, failure]) => [members[at]!.index, failure])) };
}

/**
 * @throws PackError `lvm.has-snapshot` for a volume whose old content a snapshot keeps: what edits take out of the volume
 *   would still be on the disk
 */
export function requireNoSnapshot(place: Place): void {
  const snapshots = place.logicalVolume?.snapshots ?? [];
  if (snapshots.length === 0) return;
  throw new PackError(
    'lvm.has-snapshot',
    `Cannot edit the file system on ${place.where}: it has a snapshot (${snapshots.join(', ')})`,
    {
      hint: 'Remove the snapshot with lvremove, or pack a tree (tgz): the snapshot would keep what a seal takes out.',
      evidence: { snapshots },
    },
  );
}
