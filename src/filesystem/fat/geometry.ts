import { FormatError } from '../../errors.ts';
import { u16, u32 } from '../ext4/bytes.ts';
import { damaged } from './problems.ts';

/** Where the parts of a FAT file system are, bytes from its start (Microsoft FAT specification, sections 3 and 4). */
export interface Geometry {
  /** Bits of an entry in the allocation table. */
  readonly bits: 12 | 16 | 32;
  readonly sectorSize: number;
  readonly clusterSize: number;
  /** Of the allocation table that counts. */
  readonly tableAt: number;
  readonly tableSize: number;
  /** The root directory of FAT12 and FAT16; no bytes in FAT32. */
  readonly rootAt: number;
  readonly rootSize: number;
  /** First cluster of the root directory of FAT32, else 0. */
  readonly rootCluster: number;
  /** Of cluster 2, the first one. */
  readonly dataAt: number;
  /** Clusters are numbered from 2 to `clusters` + 1. */
  readonly clusters: number;
  /** Whether the boot sector says that it was not unmounted. */
  readonly dirty: boolean;
}

export const BOOT_SECTOR_SIZE = 512;
export const FIRST_CLUSTER = 2;
export const ENTRY_SIZE = 32;

const BPB = {
  sectorSize: 11,
  clusterSectors: 13,
  reservedSectors: 14,
  tables: 16,
  rootEntries: 17,
  sectors: 19,
  media: 21,
  tableSectors: 22,
  sectors32: 32,
  tableSectors32: 36,
  flags32: 40,
  version32: 42,
  rootCluster32: 44,
} as const;
/** Of the boot sector: bit 0 is set while a kernel has it mounted for writing. */
const STATE = 37;
const STATE_32 = 65;
const STATE_DIRTY = 1;
/** FAT32: the tables are not copies of each other; the low four bits say which one counts. */
const NOT_MIRRORED = 0x80;
const ACTIVE_TABLE = 0x0f;
const MOST_CLUSTERS = { 12: 4084, 16: 65524, 32: 0x0ffffff5 } as const;

/**
 * The geometry in a boot sector. FAT32 is what has no 16-bit length of its table; of the others the number of clusters
 * decides, as in the kernel (fs/fat/inode.c, fat_fill_super).
 * @throws FormatError `fat.not-fat`, `fat.damaged`, `fat.truncated`
 */
export function parseGeometry(boot: Uint8Array, size: number): Geometry {
  const sectorSize = u16(boot, BPB.sectorSize);
  const clusterSectors = boot[BPB.clusterSectors]!;
  const media = boot[BPB.media]!;
  const isPower = (value: number): boolean => value > 0 && (value & (value - 1)) === 0;
  if (!isPower(sectorSize) || sectorSize < 512 || sectorSize > 4096 || !isPower(clusterSectors)) throw notFat();
  if (media < 0xf8 && media !== 0xf0) throw notFat();
  const reserved = u16(boot, BPB.reservedSectors);
  const tables = boot[BPB.tables]!;
  if (reserved === 0 || tables === 0) throw notFat();
  const shortTable = u16(boot, BPB.tableSectors);
  const fat32 = shortTable === 0;
  const tableSectors = fat32 ? u32(boot, BPB.tableSectors32) : shortTable;
  const rootSize = u16(boot, BPB.rootEntries) * ENTRY_SIZE;
  if (tableSectors === 0) throw damaged('the boot sector', 'the allocation table has no length');
  if (rootSize % sectorSize !== 0) {
    throw damaged('the boot sector', `a root directory of ${rootSize} bytes is no number of whole sectors`);
  }
  const tableSize = tableSectors * sectorSize;
  const tablesAt = reserved * sectorSize;
  const rootAt = tablesAt + tables * tableSize;
  const dataAt = rootAt + rootSize;
  const total = (u16(boot, BPB.sectors) || u32(boot, BPB.sectors32)) * sectorSize;
  if (total <= dataAt) throw damaged('the boot sector', `its ${total} bytes end before its data begin (${dataAt})`);
  if (total > size) {
    throw new FormatError(
      'fat.truncated',
      `Cannot read the FAT file system: it is ${total} bytes long, its partition or image only ${size}`,
      { hint: 'The image was cut off, or its partition shrunk below the file system; copy it again.' },
    );
  }
  const clusterSize = clusterSectors * sectorSize;
  const counted = Math.floor((total - dataAt) / clusterSize);
  const bits = fat32 ? 32 : counted <= MOST_CLUSTERS[12] ? 12 : 16;
  const clusters = Math.min(counted, Math.floor((tableSize * 8) / bits) - FIRST_CLUSTER);
  if (clusters <= 0 || clusters > MOST_CLUSTERS[bits]) {
    throw damaged('the boot sector', `a FAT${bits} cannot have ${clusters} clusters`);
  }
  const rootCluster = fat32 ? u32(boot, BPB.rootCluster32) : 0;
  if (fat32 && u16(boot, BPB.version32) !== 0) {
    throw damaged('the boot sector', `its version is ${u16(boot, BPB.version32)}, and only 0 is known`);
  }
  const flags = fat32 ? u16(boot, BPB.flags32) : 0;
  const active = (flags & NOT_MIRRORED) === 0 ? 0 : flags & ACTIVE_TABLE;
  if (active >= tables) throw damaged('the boot sector', `it uses table ${active} of ${tables}`);
  return {
    bits,
    sectorSize,
    clusterSize,
    tableAt: tablesAt + active * tableSize,
    tableSize,
    rootAt,
    rootSize,
    rootCluster,
    dataAt,
    clusters,
    dirty: (boot[fat32 ? STATE_32 : STATE]! & STATE_DIRTY) !== 0,
  };
}

function notFat(): FormatError {
  return new FormatError('fat.not-fat', 'Cannot read the FAT file system: its boot sector is not one of a FAT', {
    hint: 'The partition holds something else, or its first sector was overwritten; blkid -p shows what it is.',
  });
}
