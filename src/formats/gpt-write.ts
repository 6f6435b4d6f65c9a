/** Writing a GUID partition table: protective MBR, primary and backup (UEFI 2.10, sections 5.2.3 and 5.3). */

import { crc32 } from './crc32.ts';
import {
  GPT_ENTRY,
  GPT_ENTRY_LENGTH,
  GPT_HEADER,
  GPT_HEADER_LENGTH,
  GPT_NAME_UNITS,
  GPT_PRIMARY_LBA,
  GPT_REVISION,
  GPT_SIGNATURE,
  gptEntriesLength,
} from './gpt.ts';
import { guidBytes, NIL_GUID } from './guid.ts';
import { protectiveMbr } from './mbr.ts';

/** A partition to write. Positions and sizes are bytes, multiples of the sector size. */
export interface GptPartition {
  /** Slot in the array, from 1. @default the first one free */
  readonly number?: number;
  readonly start: number;
  readonly size: number;
  readonly type: string;
  /** PARTUUID. */
  readonly guid: string;
  /** At most 36 UTF-16 code units. */
  readonly name?: string;
  /** `GPT_ATTRIBUTE` bits. */
  readonly attributes?: bigint;
}

export interface GptLayout {
  /** Bytes; a multiple of `sectorSize`. */
  readonly diskSize: number;
  /** @default 512 */
  readonly sectorSize?: 512 | 4096;
  readonly diskGuid: string;
  readonly partitions: readonly GptPartition[];
  /** Slots in the array; 16 KiB must be kept for it at least. @default 128 */
  readonly entryCount?: number;
  /** First-stage boot code for BIOS machines, at most 440 bytes. */
  readonly bootCode?: Uint8Array;
}

/** The bytes of a table: `primary` goes to position 0, `backup.bytes` to `backup.position`. */
export interface GptImage {
  readonly primary: Uint8Array;
  readonly backup: { readonly position: number; readonly bytes: Uint8Array };
}

/** The array takes 16 KiB even where it has fewer slots, says section 5.3.1. */
const ENTRIES_MINIMUM = 16384;

/** Bytes [start, end) of a disk that partitions may use. */
export function gptUsable(layout: Pick<GptLayout, 'diskSize' | 'sectorSize' | 'entryCount'>): {
  readonly start: number;
  readonly end: number;
} {
  const sector = layout.sectorSize ?? 512;
  const array = arrayLength(layout.entryCount ?? 128, sector);
  return { start: 2 * sector + array, end: layout.diskSize - sector - array };
}

function arrayLength(entryCount: number, sector: number): number {
  return Math.max(gptEntriesLength(entryCount, GPT_ENTRY_LENGTH, sector), ENTRIES_MINIMUM);
}

/**
 * The table `layout` describes. The same layout gives the same bytes.
 * @throws RangeError when a partition is misaligned, outside the usable blocks, over another one, or named too long
 */
export function writeGpt(layout: GptLayout): GptImage {
  const sector = layout.sectorSize ?? 512;
  const entryCount = layout.entryCount ?? 128;
  if (layout.diskSize % sector !== 0) {
    throw new RangeError(`a disk of ${layout.diskSize} bytes is not a whole number of ${sector}-byte sectors`);
  }
  const usable = gptUsable(layout);
  if (usable.end <= usable.start) throw new RangeError(`a disk of ${layout.diskSize} bytes has no room for a GPT`);
  const array = arrayLength(entryCount, sector);
  const entries = new Uint8Array(array);
  for (const [number, partition] of numbered(layout.partitions, entryCount)) {
    checkPlace(partition, usable, sector);
    entries.set(entryBytes(partition, sector), (number - 1) * GPT_ENTRY_LENGTH);
  }
  checkApart(layout.partitions);

  const lastLba = layout.diskSize / sector - 1;
  const arrayLbas = array / sector;
  const common = {
    firstUsableLba: usable.start / sector,
    lastUsableLba: usable.end / sector - 1,
    diskGuid: layout.diskGuid,
    entryCount,
    entriesCrc: crc32(entries.subarray(0, entryCount * GPT_ENTRY_LENGTH)),
  };
  const primary = new Uint8Array(usable.start);
  primary.set(protectiveMbr(layout.diskSize / sector, layout.bootCode ?? new Uint8Array(0)));
  primary.set(
    headerBytes({ ...common, myLba: GPT_PRIMARY_LBA, alternateLba: lastLba, entriesLba: GPT_PRIMARY_LBA + 1 }),
    GPT_PRIMARY_LBA * sector,
  );
  primary.set(entries, (GPT_PRIMARY_LBA + 1) * sector);
  const backup = new Uint8Array(array + sector);
  backup.set(entries);
  backup.set(
    headerBytes({ ...common, myLba: lastLba, alternateLba: GPT_PRIMARY_LBA, entriesLba: lastLba - arrayLbas }),
    array,
  );
  return { primary, backup: { position: usable.end, bytes: backup } };
}

function numbered(partitions: readonly GptPartition[], entryCount: number): Map<number, GptPartition> {
  const slots = new Map<number, GptPartition>();
  const guids = new Set<string>();
  for (const partition of partitions) {
    if (partition.number === undefined) continue;
    if (slots.has(partition.number)) throw new RangeError(`two partitions have the number ${partition.number}`);
    slots.set(partition.number, partition);
  }
  let free = 1;
  for (const partition of partitions) {
    const guid = partition.guid.toLowerCase();
    if (guids.has(guid)) throw new RangeError(`two partitions have the GUID ${guid}`);
    guids.add(guid);
    if (partition.number !== undefined) continue;
    while (slots.has(free)) free++;
    slots.set(free, partition);
  }
  for (const number of slots.keys()) {
    if (!Number.isInteger(number) || number < 1 || number > entryCount) {
      throw new RangeError(`partition number ${number} is not between 1 and ${entryCount}`);
    }
  }
  return slots;
}

function checkPlace(partition: GptPartition, usable: { start: number; end: number }, sector: number): void {
  const end = partition.start + partition.size;
  const place = `partition "${partition.name ?? partition.guid}" (bytes ${partition.start} to ${end})`;
  if (partition.start % sector !== 0 || partition.size % sector !== 0) {
    throw new RangeError(`${place} is not made of whole ${sector}-byte sectors`);
  }
  if (!(partition.size > 0)) throw new RangeError(`${place} is empty`);
  if (!(partition.start >= usable.start && end <= usable.end)) {
    throw new RangeError(`${place} is outside the usable bytes ${usable.start} to ${usable.end}`);
  }
  if (partition.type.toLowerCase() === NIL_GUID) throw new RangeError(`${place} has the type of an unused entry`);
}

function checkApart(partitions: readonly GptPartition[]): void {
  const sorted = partitions.toSorted((a, b) => a.start - b.start);
  for (const [index, partition] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next !== undefined && partition.start + partition.size > next.start) {
      throw new RangeError(`the partitions at bytes ${partition.start} and ${next.start} overlap`);
    }
  }
}

function entryBytes(partition: GptPartition, sector: number): Uint8Array {
  const name = partition.name ?? '';
  if (name.length > GPT_NAME_UNITS) throw new RangeError(`the name "${name}" is longer than ${GPT_NAME_UNITS} units`);
  const bytes = new Uint8Array(GPT_ENTRY_LENGTH);
  const view = new DataView(bytes.buffer);
  bytes.set(guidBytes(partition.type), GPT_ENTRY.type);
  bytes.set(guidBytes(partition.guid), GPT_ENTRY.guid);
  view.setBigUint64(GPT_ENTRY.firstLba, BigInt(partition.start / sector), true);
  view.setBigUint64(GPT_ENTRY.lastLba, BigInt((partition.start + partition.size) / sector - 1), true);
  view.setBigUint64(GPT_ENTRY.attributes, partition.attributes ?? 0n, true);
  for (let index = 0; index < name.length; index++) {
    view.setUint16(GPT_ENTRY.name + index * 2, name.charCodeAt(index), true);
  }
  return bytes;
}

interface HeaderFields {
  readonly myLba: number;
  readonly alternateLba: number;
  readonly firstUsableLba: number;
  readonly lastUsableLba: number;
  readonly diskGuid: string;
  readonly entriesLba: number;
  readonly entryCount: number;
  readonly entriesCrc: number;
}

function headerBytes(fields: HeaderFields): Uint8Array {
  const bytes = new Uint8Array(GPT_HEADER_LENGTH);
  const view = new DataView(bytes.buffer);
  bytes.set(GPT_SIGNATURE);
  view.setUint32(GPT_HEADER.revision, GPT_REVISION, true);
  view.setUint32(GPT_HEADER.headerSize, GPT_HEADER_LENGTH, true);
  view.setBigUint64(GPT_HEADER.myLba, BigInt(fields.myLba), true);
  view.setBigUint64(GPT_HEADER.alternateLba, BigInt(fields.alternateLba), true);
  view.setBigUint64(GPT_HEADER.firstUsableLba, BigInt(fields.firstUsableLba), true);
  view.setBigUint64(GPT_HEADER.lastUsableLba, BigInt(fields.lastUsableLba), true);
  bytes.set(guidBytes(fields.diskGuid), GPT_HEADER.diskGuid);
  view.setBigUint64(GPT_HEADER.entriesLba, BigInt(fields.entriesLba), true);
  view.setUint32(GPT_HEADER.entryCount, fields.entryCount, true);
  view.setUint32(GPT_HEADER.entrySize, GPT_ENTRY_LENGTH, true);
  view.setUint32(GPT_HEADER.entriesCrc, fields.entriesCrc, true);
  view.setUint32(GPT_HEADER.headerCrc, crc32(bytes), true);
  return bytes;
}
