/** Virtual Hard Disk images (Microsoft, Virtual Hard Disk Image Format Specification 1.0). Numbers are big-endian. */

import { BLOCK_TABLE_LIMIT, type BlockMap, type ReadImage, viewAt } from './block-map.ts';

export const VHD_FOOTER_LENGTH = 512;
const FOOTER = {
  dataOffset: 16,
  creator: 28,
  currentSize: 48,
  cylinders: 56,
  heads: 58,
  sectors: 59,
  type: 60,
} as const;
const TYPE = { fixed: 2, dynamic: 3 };
const DYNAMIC_LENGTH = 1024;
const DYNAMIC = { tableOffset: 16, tableEntries: 28, blockSize: 32 } as const;
const SECTOR = 512;
const UNALLOCATED = 0xffff_ffff;
/** "conectix" and "cxsparse". */
const COOKIE = 0x636f_6e65_6374_6978n;
const DYNAMIC_COOKIE = 0x6378_7370_6172_7365n;
/** The largest geometry, which says nothing: a disk of that size or more has the size its footer gives. */
const LARGEST_GEOMETRY = 65535 * 16 * 255;
/**
 * Creators that mean the size in the footer; with all others the geometry is the size (QEMU, block/vpc.c): Hyper-V,
 * QEMU with force_size, disk2vhd, XenServer, XenConverter, Azure.
 */
const CREATORS_WITH_SIZE = new Set(['win ', 'qem2', 'd2v ', 'tap\0', 'CTXS', 'wa\0\0']);

/**
 * Where the blocks of a VHD are; undefined for one that is another's child or not what it should be: QEMU judges those.
 * @param length bytes of the file
 */
export async function readVhd(read: ReadImage, length: number): Promise<BlockMap | undefined> {
  const footer = (await footerAt(read, 0)) ?? (await footerAt(read, length - VHD_FOOTER_LENGTH));
  if (footer === undefined) return undefined;
  const size = sizeOf(footer);
  const type = footer.getUint32(FOOTER.type);
  if (!Number.isSafeInteger(size) || size === 0) return undefined;
  if (type === TYPE.fixed) {
    return size <= length - VHD_FOOTER_LENGTH ? { size, blockSize: size, offsetOf: () => 0 } : undefined;
  }
  if (type !== TYPE.dynamic) return undefined;
  return readDynamic(read, Number(footer.getBigUint64(FOOTER.dataOffset)), size);
}

async function footerAt(read: ReadImage, position: number): Promise<DataView | undefined> {
  const view = position < 0 ? undefined : await viewAt(read, position, VHD_FOOTER_LENGTH);
  return view?.getBigUint64(0) === COOKIE ? view : undefined;
}

function sizeOf(footer: DataView): number {
  const geometry = footer.getUint16(FOOTER.cylinders) * footer.getUint8(FOOTER.heads) * footer.getUint8(FOOTER.sectors);
  const creator = String.fromCharCode(...[0, 1, 2, 3].map((at) => footer.getUint8(FOOTER.creator + at)));
  if (geometry !== LARGEST_GEOMETRY && !CREATORS_WITH_SIZE.has(creator)) return geometry * SECTOR;
  const size = Number(footer.getBigUint64(FOOTER.currentSize));
  return size - (size % SECTOR);
}

async function readDynamic(read: ReadImage, position: number, size: number): Promise<BlockMap | undefined> {
  const header = await viewAt(read, position, DYNAMIC_LENGTH);
  if (header?.getBigUint64(0) !== DYNAMIC_COOKIE) return undefined;
  const entries = header.getUint32(DYNAMIC.tableEntries);
  const blockSize = header.getUint32(DYNAMIC.blockSize);
  const powerOfTwo = blockSize >= SECTOR && (blockSize & (blockSize - 1)) === 0;
  if (!powerOfTwo || entries * 4 > BLOCK_TABLE_LIMIT || entries * blockSize < size) return undefined;
  const table = await viewAt(read, Number(header.getBigUint64(DYNAMIC.tableOffset)), entries * 4);
  if (table === undefined) return undefined;
  // Before its data each block has a bit for every sector. A sector whose bit is not set has zeros in the file as well.
  const bitmap = Math.ceil(blockSize / (8 * SECTOR) / SECTOR) * SECTOR;
  return {
    size,
    blockSize,
    offsetOf: (index) => {
      const sector = table.getUint32(index * 4);
      return sector === UNALLOCATED ? undefined : sector * SECTOR + bitmap;
    },
  };
}
