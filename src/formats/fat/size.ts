/** How large a FAT must be for its files, and of which type. */
import { FormatError } from '../../errors.ts';
import {
  CLUSTERS,
  ENTRY_SIZE,
  type FatBits,
  type FatGeometry,
  type FatShape,
  FLOPPY_ROOT_ENTRIES,
  FLOPPY_SECTORS,
  fatGeometry,
  SECTOR,
  TRACK_SECTORS,
} from './layout.ts';
import { directorySize, type FatNode, walkFat } from './tree.ts';

export interface FatSize {
  /** Bytes, a multiple of 512. @default as much as the files need */
  readonly size?: number;
  /** Bits of an entry of the allocation table. @default by the size */
  readonly bits?: FatBits;
  /** Bytes of a cluster, a power of two from 512 to 32768. @default by the size */
  readonly clusterSize?: number;
}

type Shape = Omit<FatShape, 'sectors'>;

/** What finds volumes by their label reads where other file systems would have theirs, 68 KiB and more from the start. */
const LEAST_SECTORS = 640;
const ROOT_ENTRIES = 512;
const MAX_ROOT_ENTRIES = 65_520;
/** An image is made in memory. */
const MAX_SIZE = 2 * 1024 * 1024 * 1024;
/** The specification warns of drivers that count wrongly near the borders between types. */
const BORDER = 16;
/** What is tried in this order, sectors of a cluster each. */
const CHOICES: readonly (readonly [FatBits, readonly number[]])[] = [
  [12, [1, 2, 4]],
  [16, [4, 8, 16, 32, 64]],
  [32, [8, 16, 32, 64]],
];
/** Volumes of less are FAT12, of less FAT16, else FAT32, when only the size is given. */
const FAT12_BELOW = 8 * 1024 * 1024;
const FAT16_BELOW = 512 * 1024 * 1024;

/**
 * The geometry of a volume for `root` and all that is in it.
 * @throws FormatError `fat.size` for one no FAT can have, `fat.too-large` when the files do not fit
 */
export function chooseGeometry(root: FatNode, wanted: FatSize): FatGeometry {
  const { size, bits, clusterSize } = wanted;
  if (clusterSize !== undefined && ![1, 2, 4, 8, 16, 32, 64].includes(clusterSize / SECTOR)) {
    throw new FormatError(
      'fat.size',
      `Cannot make a FAT of clusters of ${clusterSize} bytes: 512 to 32768, doubled each`,
    );
  }
  const rootBytes = directorySize(root);
  for (const [type, clusters] of CHOICES) {
    if (bits !== undefined && type !== bits) continue;
    const usual = size === FLOPPY_SECTORS * SECTOR ? clusters.slice(0, 1) : clusters;
    for (const clusterSectors of clusterSize === undefined ? usual : [clusterSize / SECTOR]) {
      const rootEntries = rootEntriesOf(type, rootBytes, size);
      if (rootEntries === undefined) continue;
      const need = neededClusters(root, type, clusterSectors * SECTOR);
      const shape = { bits: type, clusterSectors, rootEntries };
      const geometry = size === undefined ? smallest(shape, need) : fixed(shape, size, wanted);
      if (geometry !== undefined && geometry.clusters >= need) return geometry;
    }
  }
  throw cannot(root, wanted);
}

function fixed(shape: Shape, size: number, wanted: FatSize): FatGeometry | undefined {
  if (size % SECTOR !== 0 || size < 16 * SECTOR || size > MAX_SIZE) return undefined;
  const usual: FatBits = size < FAT12_BELOW ? 12 : size < FAT16_BELOW ? 16 : 32;
  if (wanted.bits === undefined && shape.bits !== usual) return undefined;
  return fatGeometry({ ...shape, sectors: size / SECTOR });
}

/** The smallest volume with room for `need` clusters, in whole tracks. */
function smallest(shape: Shape, need: number): FatGeometry | undefined {
  const { least: fewest, most } = CLUSTERS[shape.bits];
  const least = shape.bits === 12 ? fewest : fewest + BORDER;
  const clusters = Math.max(need, least);
  if (clusters > most - BORDER) return undefined;
  const table = Math.ceil((((clusters + 2) * shape.bits) / 8 + SECTOR) / SECTOR);
  const system = 32 + 2 * table + Math.ceil((shape.rootEntries * ENTRY_SIZE) / SECTOR);
  const tracks = Math.ceil(Math.max(LEAST_SECTORS, system + clusters * shape.clusterSectors) / TRACK_SECTORS);
  const sectors = tracks * TRACK_SECTORS === FLOPPY_SECTORS ? FLOPPY_SECTORS + TRACK_SECTORS : tracks * TRACK_SECTORS;
  return sectors * SECTOR > MAX_SIZE ? undefined : fatGeometry({ ...shape, sectors });
}

/** Entries to reserve for the root directory, undefined when there cannot be so many. */
function rootEntriesOf(bits: FatBits, bytes: number, size: number | undefined): number | undefined {
  if (bits === 32) return 0;
  const floppy = size === FLOPPY_SECTORS * SECTOR;
  if (floppy) return bytes > FLOPPY_ROOT_ENTRIES * ENTRY_SIZE ? undefined : FLOPPY_ROOT_ENTRIES;
  const entries = Math.max(ROOT_ENTRIES, Math.ceil(bytes / SECTOR) * (SECTOR / ENTRY_SIZE));
  return entries > MAX_ROOT_ENTRIES ? undefined : entries;
}

/** Clusters of all files and directories. */
export function neededClusters(root: FatNode, bits: FatBits, clusterSize: number): number {
  let clusters = 0;
  for (const node of walkFat(root)) {
    if (node === root && bits !== 32) continue;
    clusters += Math.ceil((node.kind === 'file' ? node.content.length : directorySize(node)) / clusterSize);
  }
  return clusters;
}

function cannot(root: FatNode, { size, bits }: FatSize): FormatError {
  const files = [...walkFat(root)].filter((node) => node.kind === 'file');
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  const what = bits === undefined ? 'a FAT' : `a FAT${bits}`;
  if (size !== undefined && bytes < size / 2 && files.length < 100) {
    return new FormatError(
      'fat.size',
      `Cannot make ${what} of ${size} bytes: its clusters would be too few or too many`,
      {
        hint: 'Sizes are multiples of 512; leave the type or the size to compose.',
      },
    );
  }
  const room = size === undefined ? `${what} made in memory` : `${size} bytes`;
  return new FormatError(
    'fat.too-large',
    `Cannot put ${files.length} files of ${bytes} bytes on ${room}: they do not fit`,
    {
      hint: 'Directories and long names take room as well; a larger volume or an ISO has it.',
      evidence: { files: files.length, bytes, ...(size === undefined ? {} : { size }) },
    },
  );
}
