/** Reading a GUID partition table from its sectors (UEFI 2.10, section 5.3). */

import { FormatError } from '../errors.ts';
import { crc32 } from './crc32.ts';
import { guidText, NIL_GUID } from './guid.ts';

export const GPT_SIGNATURE = new TextEncoder().encode('EFI PART');
export const GPT_REVISION = 0x0001_0000;
/** Where the primary header lies; the backup is in the last block of the disk. */
export const GPT_PRIMARY_LBA = 1;
export const GPT_HEADER_LENGTH = 92;
export const GPT_ENTRY_LENGTH = 128;
/** Name of a partition: UTF-16 code units. */
export const GPT_NAME_UNITS = 36;

/** Byte positions in the header. */
export const GPT_HEADER = {
  revision: 8,
  headerSize: 12,
  headerCrc: 16,
  myLba: 24,
  alternateLba: 32,
  firstUsableLba: 40,
  lastUsableLba: 48,
  diskGuid: 56,
  entriesLba: 72,
  entryCount: 80,
  entrySize: 84,
  entriesCrc: 88,
} as const;

/** Byte positions in an entry. */
export const GPT_ENTRY = { type: 0, guid: 16, firstLba: 32, lastLba: 40, attributes: 48, name: 56 } as const;

/** Bits of `GptEntry.attributes`. */
export const GPT_ATTRIBUTE = {
  /** The platform needs the partition to work; tools leave it alone. */
  required: 1n << 0n,
  /** Firmware makes no block-io protocol for it. */
  noBlockIo: 1n << 1n,
  /** A BIOS boot manager starts from it. */
  legacyBoot: 1n << 2n,
} as const;

/** Partition types by name, from the UEFI and Discoverable Partitions specifications; sfdisk knows the same ones. */
export const GPT_TYPE = {
  efiSystem: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  biosBoot: '21686148-6449-6e6f-744e-656564454649',
  prepBoot: '9e1a2d38-c612-4316-aa26-8b49521e5a8b',
  extendedBoot: 'bc13c2ff-59e6-4262-a352-b275fd6f7172',
  linux: '0fc63daf-8483-4772-8e79-3d69d8477de4',
  linuxRootX86_64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
  linuxRootArm64: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
  linuxRootRiscv64: '72ec70a6-cf74-40e6-bd49-4bda08e8f224',
  linuxRootPpc64le: 'c31c45e6-3f39-412e-80fb-4809c4980599',
  linuxRootS390x: '5eead9a9-fe09-4a1e-a1d7-520d00531306',
  linuxHome: '933ac7e1-2eb4-4f13-b844-0e14e2aef915',
  linuxSwap: '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f',
  linuxLvm: 'e6d6d379-f507-44c2-a23c-238f2a3df928',
  linuxRaid: 'a19d880f-05fc-4d3b-a006-743f0f84911e',
  microsoftReserved: 'e3c9e316-0b5c-4db8-817d-f92df00215ae',
  microsoftBasicData: 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7',
  windowsRecovery: 'de94bba4-06d1-4d40-a16a-bfd50179d6ac',
} as const;

/** An array longer than this is damage, not a table: the usual one has 16 KiB. Bytes. */
const ENTRIES_LIMIT = 4 * 1024 * 1024;

export interface GptHeader {
  readonly myLba: number;
  readonly alternateLba: number;
  readonly firstUsableLba: number;
  readonly lastUsableLba: number;
  readonly diskGuid: string;
  readonly entriesLba: number;
  readonly entryCount: number;
  /** Bytes of one entry: 128 times a power of two. */
  readonly entrySize: number;
  readonly entriesCrc: number;
}

export interface GptEntry {
  /** 1 for the first slot of the array; what Linux calls the partition. */
  readonly number: number;
  readonly type: string;
  readonly guid: string;
  readonly firstLba: number;
  /** The last block that belongs to the partition. */
  readonly lastLba: number;
  readonly attributes: bigint;
  readonly name: string;
}

function damaged(why: string): FormatError {
  return new FormatError('gpt.damaged', `Cannot use the GUID partition table: ${why}`);
}

/** True when `sector` begins as a GPT header does; says nothing about whether it is whole. */
export function hasGptSignature(sector: Uint8Array): boolean {
  return sector.length >= GPT_HEADER_LENGTH && GPT_SIGNATURE.every((byte, at) => sector[at] === byte);
}

/**
 * The header in `sector` (one whole block, which is `lba` of the disk).
 * @throws FormatError `gpt.damaged` when the signature, the CRC, the place or a size is wrong
 */
export function parseGptHeader(sector: Uint8Array, lba: number): GptHeader {
  if (!hasGptSignature(sector)) throw damaged(`block ${lba} has no "EFI PART" signature`);
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  const headerSize = view.getUint32(GPT_HEADER.headerSize, true);
  if (headerSize < GPT_HEADER_LENGTH || headerSize > sector.length) {
    throw damaged(`the header in block ${lba} claims ${headerSize} bytes`);
  }
  const summed = sector.slice(0, headerSize);
  summed.fill(0, GPT_HEADER.headerCrc, GPT_HEADER.headerCrc + 4);
  if (crc32(summed) !== view.getUint32(GPT_HEADER.headerCrc, true)) {
    throw damaged(`the header in block ${lba} does not match its checksum`);
  }
  const lbaAt = (at: number): number => Number(view.getBigUint64(at, true));
  const header: GptHeader = {
    myLba: lbaAt(GPT_HEADER.myLba),
    alternateLba: lbaAt(GPT_HEADER.alternateLba),
    firstUsableLba: lbaAt(GPT_HEADER.firstUsableLba),
    lastUsableLba: lbaAt(GPT_HEADER.lastUsableLba),
    diskGuid: guidText(sector, GPT_HEADER.diskGuid),
    entriesLba: lbaAt(GPT_HEADER.entriesLba),
    entryCount: view.getUint32(GPT_HEADER.entryCount, true),
    entrySize: view.getUint32(GPT_HEADER.entrySize, true),
    entriesCrc: view.getUint32(GPT_HEADER.entriesCrc, true),
  };
  if (header.myLba !== lba) throw damaged(`the header in block ${lba} says it belongs in block ${header.myLba}`);
  if (header.entrySize < GPT_ENTRY_LENGTH || !Number.isInteger(Math.log2(header.entrySize / GPT_ENTRY_LENGTH))) {
    throw damaged(`an entry of ${header.entrySize} bytes is not 128 times a power of two`);
  }
  if (header.entryCount * header.entrySize > ENTRIES_LIMIT) {
    throw damaged(`${header.entryCount} entries of ${header.entrySize} bytes are more than any disk has`);
  }
  if (header.firstUsableLba > header.lastUsableLba + 1) {
    throw damaged(`its usable blocks ${header.firstUsableLba} to ${header.lastUsableLba} are upside down`);
  }
  return header;
}

/**
 * The used entries of the array `bytes`, in the order of their numbers.
 * @throws FormatError `gpt.damaged` when the array does not match its CRC
 */
export function parseGptEntries(bytes: Uint8Array, header: GptHeader): GptEntry[] {
  const length = header.entryCount * header.entrySize;
  if (bytes.length < length) throw damaged(`its array of entries is cut at ${bytes.length} of ${length} bytes`);
  if (crc32(bytes.subarray(0, length)) !== header.entriesCrc) {
    throw damaged(`the entries in block ${header.entriesLba} do not match their checksum`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: GptEntry[] = [];
  for (let slot = 0; slot < header.entryCount; slot++) {
    const at = slot * header.entrySize;
    const type = guidText(bytes, at + GPT_ENTRY.type);
    if (type === NIL_GUID) continue;
    entries.push({
      number: slot + 1,
      type,
      guid: guidText(bytes, at + GPT_ENTRY.guid),
      firstLba: Number(view.getBigUint64(at + GPT_ENTRY.firstLba, true)),
      lastLba: Number(view.getBigUint64(at + GPT_ENTRY.lastLba, true)),
      attributes: view.getBigUint64(at + GPT_ENTRY.attributes, true),
      name: nameText(bytes.subarray(at + GPT_ENTRY.name, at + GPT_ENTRY.name + GPT_NAME_UNITS * 2)),
    });
  }
  return entries;
}

const utf16 = new TextDecoder('utf-16le', { ignoreBOM: true });

function nameText(bytes: Uint8Array): string {
  const text = utf16.decode(bytes);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** Bytes the array of entries takes on a disk: whole blocks. */
export function gptEntriesLength(entryCount: number, entrySize: number, sectorSize: number): number {
  return Math.ceil((entryCount * entrySize) / sectorSize) * sectorSize;
}
