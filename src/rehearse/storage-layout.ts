import type { Arch } from '../machine/arch.ts';

export type StorageLayout = 'flat' | 'lvm';
export type RehearsalFirmware = 'bios' | 'uefi';

/** How the target disk is laid out, in the forms that the built-in steps and curtin itself want it in. */
export interface PlannedStorage {
  /** sfdisk's script. */
  readonly sfdisk: string;
  readonly rootPartition: number;
  readonly espPartition: number;
  /** curtin's storage configuration, version 1, as MAAS composes it (compose_curtin_storage_preseed). */
  readonly curtin: { readonly version: 1; readonly config: readonly Readonly<Record<string, unknown>>[] };
}

/** Of the target disk, by which curtin finds it; QEMU takes up to 20 characters. */
export const TARGET_SERIAL = 'REHEARSAL-TARGET';

const MIB = 1024 * 1024;
/** As MAAS makes them. */
const ESP_MIB = 512;
const BIOS_MIB = 1;
/** Room of the first and of the last partition table, MiB. */
const TABLES_MIB = 2;
/** GPT type of the partition GRUB keeps its core in (UEFI has a name of its own in sfdisk). */
const BIOS_BOOT = '21686148-6449-6E6F-744E-656564454649';

/** @param size length of the disk, bytes */
export function planStorage(layout: StorageLayout, firmware: RehearsalFirmware, size: number): PlannedStorage {
  const uefi = firmware === 'uefi';
  const firstMib = uefi ? ESP_MIB : BIOS_MIB;
  const first = uefi ? `size=${ESP_MIB}MiB, type=uefi` : `size=${BIOS_MIB}MiB, type=${BIOS_BOOT}`;
  const rest = layout === 'lvm' ? 'type=lvm' : 'type=linux';
  const rootBytes = Math.floor(size / MIB - TABLES_MIB - firstMib) * MIB;
  return {
    sfdisk: `label: gpt\n${first}\n${rest}\n`,
    rootPartition: 2,
    espPartition: 1,
    curtin: { version: 1, config: curtinStorage(layout, uefi, { firstMib, rootBytes }) },
  };
}

/** Whether a machine of `arch` has this firmware: BIOS is the PC's. */
export function hasFirmware(arch: Arch, firmware: RehearsalFirmware): boolean {
  return firmware === 'uefi' || arch === 'amd64';
}

function curtinStorage(
  layout: StorageLayout,
  uefi: boolean,
  { firstMib, rootBytes }: { readonly firstMib: number; readonly rootBytes: number },
): Record<string, unknown>[] {
  const disk = { id: 'vda', type: 'disk', name: 'vda', serial: TARGET_SERIAL, ptable: 'gpt', wipe: 'superblock' };
  const first = { id: 'vda-part1', type: 'partition', device: 'vda', number: 1, size: `${firstMib * MIB}B` };
  const second = { id: 'vda-part2', type: 'partition', device: 'vda', number: 2, size: `${rootBytes}B` };
  const config: Record<string, unknown>[] = [
    { ...disk, grub_device: true },
    uefi ? { ...first, flag: 'boot', wipe: 'superblock' } : { ...first, flag: 'bios_grub', wipe: 'zero' },
    { ...second, wipe: 'superblock' },
  ];
  let volume = 'vda-part2';
  if (layout === 'lvm') {
    // Room for LVM's own metadata at the head of the physical volume.
    const extents = Math.floor(rootBytes / MIB / 4 - 2) * 4 * MIB;
    config.push({ id: 'vgroot', type: 'lvm_volgroup', name: 'vgroot', devices: ['vda-part2'] });
    config.push({ id: 'lvroot', type: 'lvm_partition', name: 'lvroot', volgroup: 'vgroot', size: `${extents}B` });
    volume = 'lvroot';
  }
  config.push({ id: 'root-format', type: 'format', fstype: 'ext4', volume });
  if (uefi) config.push({ id: 'esp-format', type: 'format', fstype: 'fat32', volume: 'vda-part1' });
  config.push({ id: 'root-mount', type: 'mount', device: 'root-format', path: '/' });
  // After the root: curtin mounts in the order of the list.
  if (uefi) config.push({ id: 'esp-mount', type: 'mount', device: 'esp-format', path: '/boot/efi' });
  return config;
}
