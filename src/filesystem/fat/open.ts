import { type BlockSource, readBytes } from '../../disk/block-source.ts';
import type { Range } from '../../disk/patched.ts';
import { FormatError } from '../../errors.ts';
import { u16, u32 } from '../ext4/bytes.ts';
import type { FileSystem } from '../file-system.ts';
import type { Entry, FileData } from '../file-tree.ts';
import { NameList } from '../name-list.ts';
import { probeVfat } from '../probe-vfat.ts';
import { Window } from '../probe-window.ts';
import { type DirectoryReader, walkTree } from '../walk.ts';
import { ATTRIBUTE, clusterOf, ENTRY, ROOT, readDirectory } from './directory.ts';
import { BOOT_SECTOR_SIZE, ENTRY_SIZE, type Geometry, parseGeometry } from './geometry.ts';
import { AllocationTable } from './table.ts';
import { fatTime } from './time.ts';

/** What a mount gives the files of a FAT, which keeps neither owners nor modes (mount(8), options of fat). */
export interface FatOwnership {
  /** @default 0 */
  readonly uid?: number;
  /** @default 0 */
  readonly gid?: number;
  /** Mode bits that files do not have. @default 0o022 */
  readonly fileMask?: number;
  /** Mode bits that directories do not have. @default 0o022 */
  readonly directoryMask?: number;
}

/** An open FAT12, FAT16 or FAT32 file system. Kernels read one that was not unmounted cleanly all the same. */
export interface Fat extends FileSystem {
  readonly kind: 'vfat';
  readonly bits: 12 | 16 | 32;
  readonly geometry: Geometry;
  /** What no file uses: runs of free clusters, bytes of `source`. @throws what reading throws */
  freeRanges(): AsyncGenerator<Range>;
}

/**
 * Opens the FAT file system that fills `source`. Owners and modes are those the kernel would show.
 * @throws FormatError `fat.not-fat`, `fat.damaged`, `fat.truncated`
 */
export async function openFat(source: BlockSource, ownership: FatOwnership = {}): Promise<Fat> {
  if (source.size < BOOT_SECTOR_SIZE) {
    throw new FormatError('fat.truncated', `Cannot read the FAT file system: there are only ${source.size} bytes`);
  }
  const geometry = parseGeometry(await readBytes(source, 0, BOOT_SECTOR_SIZE), source.size);
  const table = await AllocationTable.open(source, geometry);
  const probe = await probeVfat(new Window(source));
  const unclean = await table.whyUnclean();
  const reader = fatReader(source, table, ownership);
  return {
    ...walkTree(reader),
    kind: 'vfat',
    blockSize: geometry.clusterSize,
    bits: geometry.bits,
    uuid: probe?.uuid,
    label: probe?.label,
    clean: unclean === undefined,
    unclean,
    source,
    geometry,
    reader,
    freeRanges: () => table.freeRanges(),
  };
}

/** Reads directories and entries for a walk. */
function fatReader(source: BlockSource, table: AllocationTable, ownership: FatOwnership): DirectoryReader {
  const { bits, rootCluster, clusterSize } = table.geometry;
  const bytesOf = (inode: number): Uint8Array | Promise<Uint8Array> =>
    table.cache.peek(inode * ENTRY_SIZE, ENTRY_SIZE) ?? table.cache.load(inode * ENTRY_SIZE, ENTRY_SIZE);
  return {
    root: ROOT,
    directory: async (inode) => {
      if (inode === ROOT) return readDirectory(source, table, ROOT, rootCluster);
      const bytes = await bytesOf(inode);
      if (!isDirectory(bytes)) return new NameList();
      return readDirectory(source, table, inode, clusterOf(bytes, bits));
    },
    entry: async (inode, path) => {
      if (inode === ROOT) return { ...base(inode, path, ownership, true), mtime: 0n };
      const bytes = await bytesOf(inode);
      const mtime = fatTime(u16(bytes, ENTRY.time), u16(bytes, ENTRY.date));
      if (isDirectory(bytes)) return { ...base(inode, path, ownership, true), mtime };
      const readOnly = (bytes[ENTRY.attributes]! & ATTRIBUTE.readOnly) !== 0;
      const data = await fileData(source, table, inode, clusterOf(bytes, bits), u32(bytes, ENTRY.size), clusterSize);
      const entry = { ...base(inode, path, ownership, false), mtime, data };
      return readOnly ? { ...entry, mode: entry.mode & ~0o222 } : entry;
    },
  };
}

function isDirectory(bytes: Uint8Array): boolean {
  return (bytes[ENTRY.attributes]! & ATTRIBUTE.directory) !== 0;
}

function base(inode: number, path: Uint8Array, ownership: FatOwnership, directory: boolean): Omit<Entry, 'mtime'> {
  const { uid = 0, gid = 0, fileMask = 0o022, directoryMask = 0o022 } = ownership;
  const mode = 0o777 & ~(directory ? directoryMask : fileMask);
  return { path, kind: directory ? 'directory' : 'file', mode, uid, gid, inode, links: 1, xattrs: [] };
}

/** Where the bytes of a file are: its chain, as far as its size reaches. */
async function fileData(
  source: BlockSource,
  table: AllocationTable,
  inode: number,
  cluster: number,
  size: number,
  clusterSize: number,
): Promise<FileData> {
  if (size === 0) return { size, extents: [] };
  const clusters = Math.ceil(size / clusterSize);
  const runs = await table.chain(cluster, `the file of entry ${inode}`, clusters);
  table.claim(inode, clusters);
  let logical = 0;
  const extents = runs.map(({ first, count }) => {
    const { position, length } = table.range(first, count);
    const extent = { logical, length: Math.min(length, size - logical), position };
    logical += length;
    return extent;
  });
  return { size, extents, source };
}
