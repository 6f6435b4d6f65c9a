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
  /** Of the root file system; the same for every layout, so that a disk of one layout is made of another's by its head alone. */
  readonly root: DiskRange;
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
/** The volume of the root as GRUB and the kernel name it. */
export const ROOT_VOLUME = { grub: `lvm/${GROUP}-${VOLUME}`, kernel: `/dev/mapper/${GROUP}-${VOLUME}` } as const;
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
  const volume: DiskRange = { start: ESP.start + ESP.size, size: end - ESP.start - ESP.size };
  const { head, root } = physicalVolume(volume, seeded);
  const biosBoot = arch === 'amd64' ? BIOS_BOOT : undefined;
  const lvm = layout === 'lvm' ? { start: volume.start, head } : undefined;
  const last: Omit<GptPartition, 'guid'> =
    lvm === undefined
      ? { start: root.start, size: end - root.start, type: GPT_TYPE.linux, name: 'root' }
      : { ...volume, type: GPT_TYPE.linuxLvm, name: 'lvm' };
  const partitions: GptPartition[] = [
    { ...ESP, number: 1, type: GPT_TYPE.efiSystem, guid: seeded('esp'), name: 'ESP' },
    // The last one: it is the one that grows.
    { ...last, number: 2, guid: seeded('part') },
  ];
  if (biosBoot !== undefined) {
    partitions.push({ ...biosBoot, number: 14, type: GPT_TYPE.biosBoot, guid: seeded('bios'), name: 'BIOS' });
  }
  return { partitions, esp: ESP, biosBoot, root, lvm };
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
