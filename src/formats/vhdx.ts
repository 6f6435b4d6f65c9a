/** VHDX images of version 1 (Microsoft, MS-VHDX). Numbers are little-endian. */

import { BLOCK_TABLE_LIMIT, type BlockMap, type ReadImage, viewAt } from './block-map.ts';
import { crc32c } from './crc32c.ts';
import { guidText, NIL_GUID } from './guid.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const HEADERS = [64 * KiB, 128 * KiB];
const HEADER_LENGTH = 4 * KiB;
const HEADER = { checksum: 4, sequence: 8, logGuid: 48, version: 66 } as const;
const REGION_TABLES = [192 * KiB, 256 * KiB];
const REGION_TABLE_LENGTH = 64 * KiB;
const REGIONS_LIMIT = 2047;
const METADATA_TABLE_LENGTH = 64 * KiB;
const METADATA_LIMIT = 2047;
const ENTRY_LENGTH = 32;
const SIGNATURE = { head: 0x6461_6568, regi: 0x6967_6572 } as const;
/** "metadata". */
const METADATA_SIGNATURE = 0x6174_6164_6174_656dn;
const REGION = {
  table: '2dc27766-f623-4200-9d64-115e9bfd4a08',
  metadata: '8b7ca206-4790-4b9a-b8fe-575f050f886e',
} as const;
const ITEM = {
  fileParameters: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b',
  diskSize: '2fa54224-cd1b-4876-b211-5dbed83bf4b8',
  sectorSize: '8141bf1d-a96f-4709-ba47-f233a8faab5f',
} as const;
const HAS_PARENT = 2;
/** States of a block: what is not stored reads as zeros, of an image without a parent. */
const STORED = 6;
const ZEROS = new Set([0, 1, 2, 3, 5]);
/** Sectors one sector bitmap block covers; between the payload blocks it covers and the next ones it has an entry. */
const BITMAP_SECTORS = 2 ** 23;

/**
 * Where the blocks of a VHDX are; undefined for one that is another's child, has a log to be replayed or is not what it
 * should be: QEMU judges those.
 */
export async function readVhdx(read: ReadImage): Promise<BlockMap | undefined> {
  const header = await currentHeader(read);
  if (header === undefined || header.getUint16(HEADER.version, true) !== 1) return undefined;
  if (guidText(bytesOf(header), HEADER.logGuid) !== NIL_GUID) return undefined;
  const regions = await readRegions(read);
  const table = regions?.get(REGION.table);
  const metadata = regions?.get(REGION.metadata);
  if (table === undefined || metadata === undefined) return undefined;
  const geometry = await readMetadata(read, metadata.position);
  if (geometry === undefined) return undefined;
  const { size, blockSize, sectorSize } = geometry;
  const perBitmap = (BITMAP_SECTORS * sectorSize) / blockSize;
  const blocks = Math.ceil(size / blockSize);
  const entries = blocks + Math.floor((blocks - 1) / perBitmap);
  if (entries * 8 > Math.min(BLOCK_TABLE_LIMIT, table.length)) return undefined;
  const view = await viewAt(read, table.position, entries * 8);
  if (view === undefined) return undefined;
  const at = (index: number): number => 8 * (index + Math.floor(index / perBitmap));
  const state = (index: number): number => view.getUint32(at(index), true) & 7;
  for (let index = 0; index < blocks; index++) {
    if (state(index) !== STORED && !ZEROS.has(state(index))) return undefined;
  }
  return {
    size,
    blockSize,
    offsetOf: (index) => {
      if (state(index) !== STORED) return undefined;
      // Bits 20 to 63: the place in MiB.
      return Number(view.getBigUint64(at(index), true) >> 20n) * MiB;
    },
  };
}

/** Of the two headers that one whose checksum is right and which is the newer. */
async function currentHeader(read: ReadImage): Promise<DataView | undefined> {
  let current: DataView | undefined;
  for (const position of HEADERS) {
    const header = await viewAt(read, position, HEADER_LENGTH);
    if (header === undefined || !isSound(header, SIGNATURE.head)) continue;
    const sequence = header.getBigUint64(HEADER.sequence, true);
    if (current === undefined || sequence > current.getBigUint64(HEADER.sequence, true)) current = header;
  }
  return current;
}

interface Region {
  readonly position: number;
  readonly length: number;
}

async function readRegions(read: ReadImage): Promise<Map<string, Region> | undefined> {
  for (const position of REGION_TABLES) {
    const table = await viewAt(read, position, REGION_TABLE_LENGTH);
    if (table === undefined || !isSound(table, SIGNATURE.regi)) continue;
    const count = table.getUint32(8, true);
    if (count > REGIONS_LIMIT) continue;
    const found = new Map<string, Region>();
    for (let index = 0, at = 16; index < count; index++, at += ENTRY_LENGTH) {
      const place = { position: Number(table.getBigUint64(at + 16, true)), length: table.getUint32(at + 24, true) };
      const name = guidText(bytesOf(table), at);
      const known = name === REGION.table || name === REGION.metadata;
      // An entry nobody knows may be left alone unless it says that it is required.
      if (!known && (table.getUint32(at + 28, true) & 1) !== 0) return undefined;
      found.set(name, place);
    }
    return found;
  }
  return undefined;
}

interface Geometry {
  readonly size: number;
  readonly blockSize: number;
  readonly sectorSize: number;
}

async function readMetadata(read: ReadImage, position: number): Promise<Geometry | undefined> {
  const table = await viewAt(read, position, METADATA_TABLE_LENGTH);
  if (table?.getBigUint64(0, true) !== METADATA_SIGNATURE) return undefined;
  const count = table.getUint16(10, true);
  if (count > METADATA_LIMIT) return undefined;
  const items = new Map<string, number>();
  for (let index = 0, at = 32; index < count; index++, at += ENTRY_LENGTH) {
    items.set(guidText(bytesOf(table), at), position + table.getUint32(at + 16, true));
  }
  const item = async (name: string, length: number): Promise<DataView | undefined> => {
    const at = items.get(name);
    return at === undefined ? undefined : viewAt(read, at, length);
  };
  const parameters = await item(ITEM.fileParameters, 8);
  const blockSize = parameters?.getUint32(0, true) ?? 0;
  const size = Number((await item(ITEM.diskSize, 8))?.getBigUint64(0, true) ?? 0n);
  const sectorSize = (await item(ITEM.sectorSize, 4))?.getUint32(0, true) ?? 0;
  if (parameters === undefined || (parameters.getUint32(4, true) & HAS_PARENT) !== 0) return undefined;
  const sound =
    (sectorSize === 512 || sectorSize === 4096) &&
    blockSize >= MiB &&
    blockSize <= 256 * MiB &&
    (blockSize & (blockSize - 1)) === 0 &&
    Number.isSafeInteger(size) &&
    size > 0 &&
    size % sectorSize === 0;
  return sound ? { size, blockSize, sectorSize } : undefined;
}

/** Whether a structure has its signature and the checksum over itself, taken with the checksum's own field as zeros. */
function isSound(view: DataView, signature: number): boolean {
  if (view.getUint32(0, true) !== signature) return false;
  const copy = Uint8Array.from(bytesOf(view));
  copy.fill(0, HEADER.checksum, HEADER.checksum + 4);
  return crc32c(copy) === view.getUint32(HEADER.checksum, true);
}

const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
