/** The boot sector of a FAT and the information sector of FAT32 (FAT specification 1.03, sections 3.1 to 3.3, 5). */
import { type FatGeometry, SECTOR, TABLES } from './layout.ts';

/** As the specification recommends: some drivers take nothing else. */
const OEM_NAME = 'MSWIN4.1';
const EXTENDED_SIGNATURE = 0x29;
const DRIVE = { floppy: 0x00, fixed: 0x80 } as const;
/** int 18h, which has a BIOS try the next device, and an endless loop. */
const BOOT_CODE = [0xcd, 0x18, 0xeb, 0xfe];
const NAME = { 12: 'FAT12   ', 16: 'FAT16   ', 32: 'FAT32   ' } as const;
const FIRST_OF_32_BITS = 0x10000;
const encoder = new TextEncoder();

export function bootSector(
  geometry: FatGeometry,
  { label, serial }: { readonly label: string; readonly serial: number },
): Uint8Array {
  const { bits, sectors, clusterSectors, reserved, tableSectors, rootEntries, media } = geometry;
  const sector = new Uint8Array(SECTOR);
  const view = new DataView(sector.buffer);
  const fat32 = bits === 32;
  const extended = fat32 ? 64 : 36;
  const code = extended + 26;
  sector.set([0xeb, code - 2, 0x90]);
  sector.set(encoder.encode(OEM_NAME), 3);
  view.setUint16(11, SECTOR, true);
  view.setUint8(13, clusterSectors);
  view.setUint16(14, reserved, true);
  view.setUint8(16, TABLES);
  view.setUint16(17, rootEntries, true);
  if (!fat32 && sectors < FIRST_OF_32_BITS) view.setUint16(19, sectors, true);
  else view.setUint32(32, sectors, true);
  view.setUint8(21, media);
  if (!fat32) view.setUint16(22, tableSectors, true);
  view.setUint16(24, geometry.trackSectors, true);
  view.setUint16(26, geometry.heads, true);
  if (fat32) {
    view.setUint32(36, tableSectors, true);
    view.setUint32(44, 2, true);
    view.setUint16(48, 1, true);
    view.setUint16(50, 6, true);
  }
  view.setUint8(extended, media === 0xf0 ? DRIVE.floppy : DRIVE.fixed);
  view.setUint8(extended + 2, EXTENDED_SIGNATURE);
  view.setUint32(extended + 3, serial, true);
  sector.set(encoder.encode(label.padEnd(11)), extended + 7);
  sector.set(encoder.encode(NAME[bits]), extended + 18);
  sector.set(BOOT_CODE, code);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** FSInfo: how many clusters are free, and where to look for the next one. */
export function fsInfo(free: number, next: number): Uint8Array {
  const sector = new Uint8Array(SECTOR);
  const view = new DataView(sector.buffer);
  sector.set(encoder.encode('RRaA'));
  sector.set(encoder.encode('rrAa'), 484);
  view.setUint32(488, free, true);
  view.setUint32(492, next, true);
  sector.set([0x55, 0xaa], 510);
  return sector;
}
