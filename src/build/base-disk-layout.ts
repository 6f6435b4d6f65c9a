/** Where everything lies on a base disk made from packages. */

import { GPT_TYPE } from '../formats/gpt.ts';
import { type GptPartition, gptUsable } from '../formats/gpt-write.ts';
import { LVM_EXTENT, type LvmGroupToWrite, lvmExtents, writeLvm } from '../formats/lvm-write.ts';
import type { Arch } from '../machine/arch.ts';
import type { DiskLayout } from '../recipe/schema.ts';

export interface DiskRange {
  /** Bytes from the start of the disk. */
  readonly start: number;
  readonly size: number;
}

export interface BaseDiskLayout {
  readonly partitions: readonly GptPartition[];
  readonly esp: DiskRange;
  /** Where GRUB's core image for BIOS goes; a PC only. */
  readonly biosBoot: DiskRange | undefined;
  /** Of the root file system. */
  readonly root: DiskRange;
  /** The root as the kernel's command line and /etc/fstab name it. */
  readonly rootDevice: string;
  /** Bytes in front of the root file system that make its partition a physical volume. */
  readonly lvm: { readonly start: number; readonly head: Uint8Array } | undefined;
}

const MIB = 1024 * 1024;
/** Behind the array of a GPT, in whole blocks of 4 KiB; it ends where the first aligned partition begins. */
const BIOS_BOOT: DiskRange = { start: 20 * 1024, size: MIB - 20 * 1024 };
const ESP: DiskRange = { start: MIB, size: 64 * MIB };
/** Names that every machine deployed from an image has: LVM knows a group by its name. */
const GROUP = 'system';
const VOLUME = 'root';
/** The time a group was made is in its metadata; the same inputs give the same disk. */
const CREATED = 1_700_000_000;

/**
 * @param size of the disk, bytes
 * @param seeded a UUID with dashes for a name, the same for the same inputs
 */
export function baseDiskLayout(
  { arch, size, layout }: { readonly arch: Arch; readonly size: number; readonly layout: DiskLayout },
  seeded: (name: string) => string,
): BaseDiskLayout {
  const end = Math.floor(gptUsable({ diskSize: size }).end / MIB) * MIB;
  const last: DiskRange = { start: ESP.start + ESP.size, size: end - ESP.start - ESP.size };
  const biosBoot = arch === 'amd64' ? BIOS_BOOT : undefined;
  const lvm = layout === 'lvm' ? physicalVolume(last, seeded) : undefined;
  const type = lvm === undefined ? GPT_TYPE.linux : GPT_TYPE.linuxLvm;
  const partitions: GptPartition[] = [
    { ...ESP, number: 1, type: GPT_TYPE.efiSystem, guid: seeded('esp'), name: 'ESP' },
    // The last one: it is the one that grows.
    { ...last, number: 2, type, guid: seeded('part'), name: lvm === undefined ? 'root' : 'lvm' },
  ];
  if (biosBoot !== undefined) {
    partitions.push({ ...biosBoot, number: 14, type: GPT_TYPE.biosBoot, guid: seeded('bios'), name: 'BIOS' });
  }
  return {
    partitions,
    esp: ESP,
    biosBoot,
    root: lvm?.root ?? { start: last.start, size: Math.floor(last.size / 4096) * 4096 },
    rootDevice: lvm === undefined ? `UUID=${seeded('root')}` : `/dev/mapper/${GROUP}-${VOLUME}`,
    lvm: lvm && { start: last.start, head: lvm.head },
  };
}

function physicalVolume(partition: DiskRange, seeded: (name: string) => string): { head: Uint8Array; root: DiskRange } {
  const uuid = (name: string): string => seeded(name).replaceAll('-', '');
  const extents = lvmExtents(partition.size);
  const group: LvmGroupToWrite = {
    name: GROUP,
    uuid: uuid('group'),
    physicalUuid: uuid('physical'),
    deviceSize: partition.size,
    created: CREATED,
    volumes: [{ name: VOLUME, uuid: uuid('volume'), extents }],
  };
  const { head, volumes } = writeLvm(group);
  return { head, root: { start: partition.start + (volumes[0]?.position ?? 0), size: extents * LVM_EXTENT } };
}
