import { slice } from '../disk/block-source.ts';
import { type Disk, type OpenDiskOptions, openDisk } from '../disk/open.ts';
import { type PartitionTable, readPartitions } from '../disk/partitions.ts';
import { isComposeError } from '../errors.ts';
import { type FileTree, readPath } from '../filesystem/file-tree.ts';
import { type FileSystemProbe, probeFileSystem } from '../filesystem/probe.ts';
import { findRoot } from '../filesystem/root.ts';
import { readVolumes } from '../filesystem/volumes.ts';
import type { Package, PackageManager, PackageSet } from '../formats/package-list.ts';
import type { IsoDescription } from '../machine/iso-describe.ts';
import { readOsRelease, readPackages } from './packages.ts';

/** What a disk or an artifact holds. Sizes are bytes. */
export interface Inspection {
  readonly kind: 'disk' | 'tar' | 'iso';
  readonly format: string;
  readonly size: number;
  /** Files of a backing chain, the top one first. */
  readonly chain: readonly string[];
  readonly partitions: readonly PartitionInfo[];
  readonly logicalVolumes: readonly LogicalVolumeInfo[];
  readonly system: SystemInfo | undefined;
  /** Why no system is described, where none is. */
  readonly problem: string | undefined;
  /** Of an ISO image; its partitions are those of a hybrid one. */
  readonly iso?: IsoDescription;
}

export interface PartitionInfo {
  readonly number: number;
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  readonly fileSystem: FileSystemInfo | undefined;
}

export interface LogicalVolumeInfo {
  /** `GROUP/NAME`. */
  readonly name: string;
  readonly size: number;
  readonly uuid: string;
  readonly fileSystem: FileSystemInfo | undefined;
  /** Why it cannot be read. */
  readonly problem: string | undefined;
}

export interface FileSystemInfo {
  readonly kind: string;
  readonly label: string | undefined;
  readonly uuid: string | undefined;
}

export interface SystemInfo {
  readonly os: string;
  readonly id: string;
  readonly version: string;
  readonly kernels: readonly string[];
  readonly initrds: readonly string[];
  readonly packages: readonly Package[];
  /** Where the packages are from. */
  readonly packageDatabases: readonly PackageDatabase[];
  /** Why a package database was not read, where one is damaged. */
  readonly packagesProblem: string | undefined;
  readonly machineId: 'empty' | 'set' | 'absent';
  readonly hostKeys: readonly string[];
  readonly maas: readonly Requirement[];
}

export interface PackageDatabase {
  readonly manager: PackageManager;
  readonly path: string;
  readonly packages: number;
}

/** Something MAAS or curtin looks for, and whether it is there. */
export interface Requirement {
  readonly what: string;
  readonly met: boolean;
  readonly why: string;
}

/** Describes a disk image without changing it. @throws the errors of opening and reading it */
export async function inspectDisk(path: string, options: OpenDiskOptions = {}): Promise<Inspection> {
  await using disk = await openDisk(path, options);
  const table = await readPartitions(disk);
  const partitions = await describePartitions(disk, table);
  const base = {
    kind: 'disk',
    format: disk.format,
    size: disk.size,
    chain: disk.chain.map((link) => link.path),
    partitions,
    logicalVolumes: await describeLogicalVolumes(disk, table),
  } as const;
  try {
    const root = await findRoot(disk);
    return { ...base, system: await describeSystem(root.tree), problem: undefined };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return { ...base, system: undefined, problem: error.message };
  }
}

async function describePartitions(disk: Disk, table: PartitionTable): Promise<PartitionInfo[]> {
  const list: PartitionInfo[] = [];
  for (const { number, start, size, type, name, uuid } of table.partitions) {
    const probe = await probeFileSystem(slice(disk, start, size));
    list.push({ number, start, size, type, name, uuid, fileSystem: fileSystemInfo(probe) });
  }
  return list;
}

async function describeLogicalVolumes(disk: Disk, table: PartitionTable): Promise<LogicalVolumeInfo[]> {
  const list: LogicalVolumeInfo[] = [];
  for (const { logicalVolume, source, probe, failure } of await readVolumes(disk, table)) {
    if (logicalVolume === undefined) continue;
    const { group, name, uuid } = logicalVolume;
    const problem = failure instanceof Error ? failure.message : undefined;
    list.push({ name: `${group}/${name}`, size: source.size, uuid, fileSystem: fileSystemInfo(probe), problem });
  }
  return list;
}

function fileSystemInfo(probe: FileSystemProbe | undefined): FileSystemInfo | undefined {
  return probe === undefined ? undefined : { kind: probe.kind, label: probe.label, uuid: probe.uuid };
}

/** What a root tree is: its system, kernels, packages, and what MAAS would miss. */
export async function describeSystem(tree: FileTree): Promise<SystemInfo> {
  const release = await readOsRelease(tree);
  const { sets, problem: packagesProblem } = await packagesOrProblem(tree);
  const boot = (await tree.list('/boot')).map((entry) => baseName(entry.path));
  const ssh = (await tree.list('/etc/ssh')).map((entry) => baseName(entry.path));
  const machineId = await readPath(tree, '/etc/machine-id');
  const there = async (path: string): Promise<boolean> => (await tree.lookup(path, { follow: true })) !== undefined;
  const kernels = boot.filter((name) => /^vmlinu[xz]-/.test(name));
  const initrds = boot.filter((name) => /^(initrd|initramfs)/.test(name));
  const hooks = await tree.lookup('/curtin/curtin-hooks', { follow: true });
  const maas: Requirement[] = [
    { what: 'kernel in /boot', met: kernels.length > 0, why: 'curtin boots the kernel the image brings' },
    { what: 'initrd in /boot', met: initrds.length > 0, why: 'the installed system needs one to find its root' },
    {
      what: 'cloud-init',
      met: await there('/usr/bin/cloud-init'),
      why: 'MAAS runs "cloud-init --version" in every custom image',
    },
    {
      what: 'netplan',
      met: await there('/usr/sbin/netplan'),
      why: 'MAAS runs "netplan info" where base_image is Ubuntu',
    },
    {
      what: 'grub-install',
      met: await there('/usr/sbin/grub-install'),
      why: 'a tar image gets its boot loader on the machine',
    },
    { what: 'efibootmgr', met: await there('/usr/bin/efibootmgr'), why: 'curtin registers the boot loader with UEFI' },
    { what: 'growpart', met: await there('/usr/bin/growpart'), why: 'a dd image grows to its disk on the first boot' },
    {
      what: '/curtin/curtin-hooks',
      met: hooks !== undefined && (hooks.mode & 0o111) !== 0,
      why: 'a Linux dd image is found and configured by it',
    },
  ];
  return {
    os: release.PRETTY_NAME ?? release.NAME ?? 'unknown',
    id: release.ID ?? 'unknown',
    version: release.VERSION_ID ?? '',
    kernels,
    initrds,
    packages: sets.flatMap((set) => set.packages),
    packageDatabases: sets.map(({ manager, database, packages }) => ({
      manager,
      path: database,
      packages: packages.length,
    })),
    packagesProblem,
    machineId: machineId === undefined ? 'absent' : machineId.length === 0 ? 'empty' : 'set',
    hostKeys: ssh.filter((name) => /^ssh_host_.*_key$/.test(name)),
    maas,
  };
}

/** A damaged package database is told, and does not hide the rest. */
async function packagesOrProblem(
  tree: FileTree,
): Promise<{ readonly sets: readonly PackageSet[]; readonly problem: string | undefined }> {
  try {
    return { sets: await readPackages(tree), problem: undefined };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return { sets: [], problem: error.message };
  }
}

function baseName(path: Uint8Array): string {
  return new TextDecoder().decode(path.subarray(path.lastIndexOf(0x2f) + 1));
}
