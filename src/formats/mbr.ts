/** The PC master boot record and the extended boot records that continue it (UEFI 2.10, section 5.2). */

import { FormatError } from '../errors.ts';

export const MBR_LENGTH = 512;
/** Boot code ends where the disk signature begins. */
export const MBR_BOOT_CODE_LENGTH = 440;

const DISK_SIGNATURE = 440;
const ENTRIES = 446;
const ENTRY_LENGTH = 16;
const ENTRY_COUNT = 4;
const BOOT_SIGNATURE = 510;
const BOOT_SIGNATURE_VALUE = 0xaa55;

/** Byte positions in an entry. */
const ENTRY = { status: 0, firstChs: 1, type: 4, lastChs: 5, firstLba: 8, sectors: 12 } as const;

const ACTIVE = 0x80;
const UNUSED_TYPE = 0x00;
export const MBR_TYPE_PROTECTIVE = 0xee;
/** CHS extended, LBA extended, and the one old Linux used. */
const EXTENDED_TYPES = new Set([0x05, 0x0f, 0x85]);

export interface MbrEntry {
  /** Slot in its record, 1 to 4. */
  readonly slot: number;
  readonly active: boolean;
  readonly type: number;
  readonly firstLba: number;
  readonly sectors: number;
}

export interface Mbr {
  /** What Linux builds PARTUUIDs from; 0 when the disk has none. */
  readonly diskSignature: number;
  /** The used entries. */
  readonly entries: readonly MbrEntry[];
}

/**
 * The table in the first 512 bytes of a disk or of an extended partition, or undefined when there is none. As in
 * Linux, a sector with the boot signature whose entries have an impossible status is the boot sector of a file
 * system (block/partitions/msdos.c), not a table.
 */
export function parseMbr(sector: Uint8Array): Mbr | undefined {
  if (sector.length < MBR_LENGTH) return undefined;
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  if (view.getUint16(BOOT_SIGNATURE, true) !== BOOT_SIGNATURE_VALUE) return undefined;
  const entries: MbrEntry[] = [];
  for (let slot = 1; slot <= ENTRY_COUNT; slot++) {
    const at = ENTRIES + (slot - 1) * ENTRY_LENGTH;
    const status = view.getUint8(at + ENTRY.status);
    if (status !== 0 && status !== ACTIVE) return undefined;
    const entry: MbrEntry = {
      slot,
      active: status === ACTIVE,
      type: view.getUint8(at + ENTRY.type),
      firstLba: view.getUint32(at + ENTRY.firstLba, true),
      sectors: view.getUint32(at + ENTRY.sectors, true),
    };
    if (entry.type !== UNUSED_TYPE && entry.sectors > 0) entries.push(entry);
  }
  return { diskSignature: view.getUint32(DISK_SIGNATURE, true), entries };
}

/** True for an entry that holds further partitions rather than data. */
export function isExtended(entry: MbrEntry): boolean {
  return EXTENDED_TYPES.has(entry.type);
}

/** What an extended boot record says: a logical partition, and where the next record is. Blocks of the whole disk. */
export interface ExtendedBootRecord {
  readonly logical: MbrEntry | undefined;
  readonly nextLba: number | undefined;
}

/**
 * Reads one record of the chain. `lba` is where `sector` lies, `extendedLba` where the extended partition begins:
 * a logical partition counts from its own record, the link from the beginning of the extended partition.
 * @throws FormatError `mbr.damaged` when there is no record
 */
export function parseExtendedBootRecord(sector: Uint8Array, lba: number, extendedLba: number): ExtendedBootRecord {
  const record = parseMbr(sector);
  if (record === undefined) {
    throw new FormatError(
      'mbr.damaged',
      `Cannot use the MBR partition table: block ${lba} has no extended boot record`,
      {
        hint: 'Compare with `fdisk -l DISK`; the logical partitions from there on are lost to Linux too.',
        evidence: { block: lba },
      },
    );
  }
  const logical = record.entries.find((entry) => !isExtended(entry));
  const link = record.entries.find(isExtended);
  return {
    logical: logical === undefined ? undefined : { ...logical, firstLba: lba + logical.firstLba },
    nextLba: link === undefined ? undefined : extendedLba + link.firstLba,
  };
}

/** The MBR that keeps tools which know no GPT away from a disk of `sectors` blocks. `bootCode`: at most 440 bytes. */
export function protectiveMbr(sectors: number, bootCode: Uint8Array): Uint8Array {
  if (bootCode.length > MBR_BOOT_CODE_LENGTH) {
    throw new RangeError(`boot code of ${bootCode.length} bytes is longer than ${MBR_BOOT_CODE_LENGTH}`);
  }
  const bytes = new Uint8Array(MBR_LENGTH);
  const view = new DataView(bytes.buffer);
  bytes.set(bootCode);
  // Cylinder 0, head 0, sector 2, and "too far to say": the values section 5.2.3 prescribes.
  bytes.set([0x00, 0x02, 0x00], ENTRIES + ENTRY.firstChs);
  bytes.set([0xff, 0xff, 0xff], ENTRIES + ENTRY.lastChs);
  view.setUint8(ENTRIES + ENTRY.type, MBR_TYPE_PROTECTIVE);
  view.setUint32(ENTRIES + ENTRY.firstLba, 1, true);
  view.setUint32(ENTRIES + ENTRY.sectors, Math.min(sectors - 1, 0xffff_ffff), true);
  view.setUint16(BOOT_SIGNATURE, BOOT_SIGNATURE_VALUE, true);
  return bytes;
}
