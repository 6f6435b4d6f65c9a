/** Where the parts of a FAT are that compose writes (Microsoft FAT specification 1.03, sections 3 and 4). */

export const SECTOR = 512;
export const ENTRY_SIZE = 32;
export const FIRST_CLUSTER = 2;
export const TABLES = 2;

export type FatBits = 12 | 16 | 32;

/** Fewest and most clusters; their number alone tells the types apart. */
export const CLUSTERS: Readonly<Record<FatBits, { readonly least: number; readonly most: number }>> = {
  12: { least: 1, most: 4084 },
  16: { least: 4085, most: 65524 },
  32: { least: 65525, most: 0x0ffffff5 },
};

/** Units are sectors of 512 bytes where nothing else is said. */
export interface FatGeometry {
  readonly bits: FatBits;
  readonly sectors: number;
  readonly clusterSectors: number;
  readonly reserved: number;
  /** Of each of the two tables. */
  readonly tableSectors: number;
  /** Entries of the root directory; 0 in FAT32, where it is a chain like any other. */
  readonly rootEntries: number;
  /** First sector of cluster 2. */
  readonly dataAt: number;
  readonly clusters: number;
  readonly media: number;
  readonly trackSectors: number;
  readonly heads: number;
}

export interface FatShape {
  readonly bits: FatBits;
  readonly sectors: number;
  readonly clusterSectors: number;
  readonly rootEntries: number;
}

/** A 3.5" floppy of 1.44 MB: two sides, 80 tracks of 18 sectors. */
export const FLOPPY_SECTORS = 2880;
export const FLOPPY_ROOT_ENTRIES = 224;
const MEDIA = { floppy: 0xf0, fixed: 0xf8 } as const;
/** mtools wants a size in whole tracks. */
export const TRACK_SECTORS = 32;

/** The geometry of a volume, or undefined when it would have too few or too many clusters for its type. */
export function fatGeometry(shape: FatShape): FatGeometry | undefined {
  const { bits, sectors, clusterSectors, rootEntries } = shape;
  const reserved = bits === 32 ? 32 : 1;
  const rootSectors = Math.ceil((rootEntries * ENTRY_SIZE) / SECTOR);
  const clustersWith = (tableSectors: number): number =>
    Math.floor((sectors - reserved - rootSectors - TABLES * tableSectors) / clusterSectors);
  // A longer table leaves fewer clusters to describe, so the first length that is enough is the shortest.
  let tableSectors = Math.max(1, Math.ceil(((clustersWith(0) / 2) * bits) / 8 / SECTOR));
  while (tableSectors > 1 && isEnough(tableSectors - 1, clustersWith(tableSectors - 1), bits)) tableSectors--;
  while (!isEnough(tableSectors, clustersWith(tableSectors), bits)) tableSectors++;
  const clusters = clustersWith(tableSectors);
  const { least, most } = CLUSTERS[bits];
  if (clusters < least || clusters > most) return undefined;
  const floppy = sectors === FLOPPY_SECTORS;
  return {
    ...shape,
    reserved,
    tableSectors,
    dataAt: reserved + TABLES * tableSectors + rootSectors,
    clusters,
    media: floppy ? MEDIA.floppy : MEDIA.fixed,
    trackSectors: floppy ? 18 : sectors % TRACK_SECTORS === 0 ? TRACK_SECTORS : 1,
    heads: floppy ? 2 : 64,
  };
}

function isEnough(tableSectors: number, clusters: number, bits: FatBits): boolean {
  return tableSectors * SECTOR * 8 >= (clusters + FIRST_CLUSTER) * bits;
}
