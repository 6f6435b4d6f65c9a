import { type BlockSource, readBytes, slice } from '../disk/block-source.ts';
import { type PartitionTable, readPartitions } from '../disk/partitions.ts';
import { isComposeError } from '../errors.ts';
import { openFat } from '../filesystem/fat/open.ts';
import type { FileSystem } from '../filesystem/file-system.ts';
import type { FileTree } from '../filesystem/file-tree.ts';
import { findRoot, type Root } from '../filesystem/root.ts';
import { readVolumes, type Volume } from '../filesystem/volumes.ts';
import { GPT_TYPE } from '../formats/gpt.ts';
import { findLeftovers, type Leftovers } from './leftovers.ts';
import { type Esp, readEsp } from './loaders.ts';

/** What the rules know of a disk beside the tree on it. Sizes are bytes. */
export interface DiskFacts {
  readonly size: number;
  readonly scheme: PartitionTable['scheme'];
  /** Why the partition table cannot be used, or what is wrong with one that can. */
  readonly tableProblems: readonly string[];
  readonly partitions: number;
  readonly root: DiskRoot | undefined;
  /** Why there is no root, where there is none. */
  readonly rootProblem: string | undefined;
  /** Places with a directory /curtin of their own. */
  readonly curtin: readonly { readonly where: string; readonly isRoot: boolean }[];
  /** The EFI system partition, where there is one. */
  readonly esp: Esp | undefined;
  readonly espProblem: string | undefined;
  /** Whether a PC's BIOS finds a program in the first sector. */
  readonly bootCode: boolean;
  /** What fstab mounts below the root from another file system of the disk. */
  readonly mounts: readonly string[];
  readonly leftovers: Leftovers | undefined;
  /** Members of the archive around the disk. */
  readonly members: number | undefined;
  /** Forbidden texts that are somewhere in its bytes, free space included; none were looked for where the disk is not whole yet. */
  readonly words: readonly string[];
}

export interface DiskRoot {
  readonly kind: FileSystem['kind'];
  readonly where: string;
  /** `GROUP/NAME` of a logical volume. */
  readonly logicalVolume: string | undefined;
  /** Whether nothing lies behind it, or behind the partition its volume group is in. */
  readonly isLast: boolean;
}

const BOOT_CODE = 440;
const SECTOR = 512;
const EFI_TYPES: readonly string[] = [GPT_TYPE.efiSystem, 'ef'];

/** Collects them, with the tree of the root. @throws what reading `disk` throws that says nothing of the image */
export async function collectDisk(
  disk: BlockSource,
  members: number | undefined,
  signal: AbortSignal,
): Promise<{ readonly facts: DiskFacts; readonly tree: FileTree | undefined }> {
  const nothing = {
    partitions: 0,
    root: undefined,
    curtin: [],
    esp: undefined,
    espProblem: undefined,
    mounts: [],
    members,
    words: [],
  };
  const common = { ...nothing, size: disk.size, leftovers: undefined };
  const bootCode = disk.size >= SECTOR && (await readBytes(disk, 0, BOOT_CODE)).some((byte) => byte !== 0);
  const table = await readable(() => readPartitions(disk));
  if ('problem' in table) {
    const tableProblems = [table.problem];
    return {
      facts: { ...common, bootCode, scheme: 'none', tableProblems, rootProblem: undefined },
      tree: undefined,
    };
  }
  const { scheme, partitions, notes = [] } = table.value;
  const found = await readable(() => findRoot(disk));
  const root = 'problem' in found ? undefined : found.value;
  const volumes = await readable(() => readVolumes(disk, table.value));
  const esp = await espOf(disk, table.value);
  signal.throwIfAborted();
  const facts: DiskFacts = {
    ...common,
    bootCode,
    scheme,
    tableProblems: [...notes, ...(disk.size % SECTOR === 0 ? [] : [`it has ${disk.size} bytes, no whole sectors`])],
    partitions: partitions.length,
    root: root && rootFacts(root),
    rootProblem: 'problem' in found ? found.problem : undefined,
    curtin: 'problem' in volumes ? [] : await curtinPlaces(volumes.value, root),
    ...esp,
    mounts: root?.mounts.map(({ mountPoint }) => mountPoint) ?? [],
    leftovers: root && (await allLeftovers(root, signal)),
  };
  return { facts, tree: root?.tree };
}

/** What a damaged or unknown disk says is a fact; other failures are not. */
async function readable<T>(read: () => Promise<T>): Promise<{ readonly value: T } | { readonly problem: string }> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return { problem: error.message };
  }
}

function rootFacts({ fs, place, table, partition }: Root): DiskRoot {
  const { logicalVolume, where } = place;
  const ends = place.areas.map((area) => area.position + area.length);
  const end = Math.max(0, ...ends);
  const own = partition ?? table.partitions.find(({ start, size }) => start < end && end <= start + size);
  const isLast = own === undefined || table.partitions.every(({ start }) => start <= own.start);
  const name = logicalVolume === undefined ? undefined : `${logicalVolume.group}/${logicalVolume.name}`;
  return { kind: fs.kind, where, logicalVolume: name, isLast };
}

/** curtin mounts all that it finds and looks for the directory at its top. */
async function curtinPlaces(volumes: readonly Volume[], root: Root | undefined): Promise<DiskFacts['curtin']> {
  const places: { where: string; isRoot: boolean }[] = [];
  for (const volume of volumes) {
    const opened = await readable(async () =>
      volume.probe?.kind === 'vfat' ? await openFat(volume.source) : volume.fs,
    );
    const fs = 'problem' in opened ? undefined : opened.value;
    if (fs === undefined) continue;
    const entry = await readable(() => fs.lookup('/curtin'));
    if ('problem' in entry || entry.value?.kind !== 'directory') continue;
    places.push({ where: volume.where, isRoot: volume.where === root?.place.where });
  }
  return places;
}

async function espOf(disk: BlockSource, table: PartitionTable): Promise<Pick<DiskFacts, 'esp' | 'espProblem'>> {
  const partition = table.partitions.find(({ type }) => EFI_TYPES.includes(type));
  if (partition === undefined) return { esp: undefined, espProblem: undefined };
  const read = await readable(async () => readEsp(await openFat(slice(disk, partition.start, partition.size))));
  return 'problem' in read ? { esp: undefined, espProblem: read.problem } : { esp: read.value, espProblem: undefined };
}

async function allLeftovers(root: Root, signal: AbortSignal): Promise<Leftovers> {
  const all: Leftovers[] = [];
  const parts = [...root.mounts, ...root.shadowed];
  for (const fs of new Set([root.fs, ...parts.map((mount) => mount.fs)])) all.push(await findLeftovers(fs, signal));
  return {
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    samples: all.flatMap(({ samples }) => samples),
    unread: all.find(({ unread }) => unread !== undefined)?.unread,
  };
}
