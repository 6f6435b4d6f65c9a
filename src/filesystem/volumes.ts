import { type BlockSource, readBytes } from '../disk/block-source.ts';
import type { PartitionTable } from '../disk/partitions.ts';
import { u16 } from './ext4/bytes.ts';
import { openExt4 } from './ext4/open.ts';
import { EXT_MAGIC, SB, SUPERBLOCK_POSITION } from './ext4/superblock.ts';
import type { FileSystem } from './file-system.ts';
import type { Named } from './fstab.ts';
import { logicalPlaces, type Place, placesOf } from './place.ts';
import { type FileSystemProbe, probeFileSystem } from './probe.ts';

/** A place and what it holds. */
export interface Volume extends Named, Place {
  readonly probe: FileSystemProbe | undefined;
  /** Of a kind that compose reads: the open file system. */
  readonly fs: FileSystem | undefined;
  /** Why what it holds does not open. */
  readonly failure: unknown;
}

/** A volume whose file system opened. */
export interface ReadableVolume extends Volume {
  readonly fs: FileSystem;
}

async function hasExtMagic(source: BlockSource): Promise<boolean> {
  const at = SUPERBLOCK_POSITION + SB.magic;
  return at + 2 <= source.size && u16(await readBytes(source, at, 2), 0) === EXT_MAGIC;
}

const EXT_KINDS = ['ext2', 'ext3', 'ext4'];

/**
 * Every partition of `disk` with what it holds, or the disk itself where it has no partition table; after them the
 * logical volumes on them.
 */
export async function readVolumes(disk: BlockSource, table: PartitionTable): Promise<Volume[]> {
  const volumes: Volume[] = [];
  for (const place of placesOf(disk, table)) volumes.push(await readVolume(place));
  const { places, failures } = await logicalPlaces(volumes);
  const all = volumes.map((volume, index) => ({ ...volume, failure: volume.failure ?? failures.get(index) }));
  for (const place of places) all.push(await readVolume(place));
  return all;
}

async function readVolume(place: Place): Promise<Volume> {
  const { source, partition, logicalVolume } = place;
  const failed = logicalVolume?.failure;
  const probe = failed === undefined ? await probeFileSystem(source) : undefined;
  const common = {
    ...place,
    probe,
    number: partition?.number,
    uuid: probe?.uuid,
    label: probe?.label,
    partUuid: partition?.uuid,
    partLabel: partition?.name,
    devices: logicalVolume?.devices ?? [],
  };
  if (failed !== undefined) return { ...common, fs: undefined, failure: failed };
  try {
    return { ...common, fs: await openFileSystem(source, probe?.kind), failure: undefined };
  } catch (failure) {
    return { ...common, fs: undefined, failure };
  }
}

async function openFileSystem(source: BlockSource, kind: string | undefined): Promise<FileSystem | undefined> {
  // Twenty modules that most disks have no use for.
  if (kind === 'xfs') return (await import('./xfs/open.ts')).openXfs(source);
  // A superblock with a wrong checksum is nothing to blkid; opening it says what is wrong.
  const isExt = kind === undefined ? await hasExtMagic(source) : EXT_KINDS.includes(kind);
  return isExt ? openExt4(source) : undefined;
}

/** One line for a person: `partition 2 (root, 4294967296 bytes): ext4 "cloudimg-rootfs"`. */
export function describeVolume(volume: Volume): string {
  const { partition, probe, failure, where } = volume;
  const facts = [partition?.name, `${volume.source.size} bytes`].filter((fact) => fact !== undefined && fact !== '');
  const label = probe?.label === undefined ? '' : ` "${probe.label}"`;
  const what = probe === undefined ? 'nothing known' : `${probe.kind}${label}`;
  const broken = failure instanceof Error ? `, does not open: ${failure.message}` : '';
  const unclean = volume.fs?.unclean === undefined ? '' : `, not clean: ${volume.fs.unclean}`;
  return `${where} (${facts.join(', ')}): ${what}${broken}${unclean}`;
}
