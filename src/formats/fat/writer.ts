/**
 * Writes FAT12, FAT16 and FAT32 volumes with long names, without a partition table: small media that carry answers to an
 * installer. Bytes depend on the files, the label, the time and the serial number given alone.
 */
import { FormatError } from '../../errors.ts';
import { crc32 } from '../crc32.ts';
import { bootSector, fsInfo } from './boot-sector.ts';
import { ENTRY_SIZE, type FatGeometry, FIRST_CLUSTER, FLOPPY_SECTORS, SECTOR, TABLES } from './layout.ts';
import { type FatNames, longNameEntries, SHORT_LENGTH, whyNoFatLabel } from './names.ts';
import { chooseGeometry, type FatSize } from './size.ts';
import { buildFatTree, directorySize, type FatFile, type FatNode, walkFat } from './tree.ts';

export type { FatFile } from './tree.ts';

export interface FatOptions extends FatSize {
  /** At most eleven characters of ASCII, as blkid shows it. */
  readonly label: string;
  /** Volume serial number, 32 bits. @default of the content */
  readonly serial?: number;
  /** Time of every file, seconds since 1970, in the years 1980 to 2107; earlier ones become 1980. @default 0 */
  readonly time?: number;
}

/** Bytes of a 1.44 MB floppy, for `size`. */
export const FLOPPY_SIZE = FLOPPY_SECTORS * SECTOR;

const ATTRIBUTE = { label: 0x08, directory: 0x10, archive: 0x20 } as const;
const FIRST_DAY = Date.UTC(1980, 0, 1) / 1000;
const LAST_YEAR = 2107;
const END = { 12: 0xfff, 16: 0xffff, 32: 0x0fffffff } as const;
const encoder = new TextEncoder();

/**
 * The whole volume.
 * @throws FormatError `fat.name`, `fat.label`, `fat.time`, `fat.size`, `fat.too-large`
 */
export function writeFat(files: readonly FatFile[], options: FatOptions): Uint8Array {
  const problem = whyNoFatLabel(options.label);
  if (problem !== undefined) {
    throw new FormatError('fat.label', `Cannot label a FAT ${JSON.stringify(options.label)}: ${problem}`);
  }
  const stamp = stampOf(options.time ?? 0);
  const root = buildFatTree(files);
  const geometry = chooseGeometry(root, options);
  const image = new Uint8Array(geometry.sectors * SECTOR);
  const places = allocate(root, geometry);
  const clusterBytes = geometry.clusterSectors * SECTOR;
  const dataAt = geometry.dataAt * SECTOR;
  const position = (node: FatNode): number => {
    if (node === root && geometry.bits !== 32) return dataAt - geometry.rootEntries * ENTRY_SIZE;
    return dataAt + ((places.get(node)?.first ?? 0) - FIRST_CLUSTER) * clusterBytes;
  };
  for (const node of walkFat(root)) {
    if (node.kind === 'directory') image.set(directoryBytes(node, root, places, options.label, stamp), position(node));
    else if (node.content.length > 0) image.set(node.content, position(node));
  }
  const table = allocationTable(geometry, [...places.values()]);
  for (let copy = 0; copy < TABLES; copy++) {
    image.set(table, (geometry.reserved + copy * geometry.tableSectors) * SECTOR);
  }
  const serial = (options.serial ?? serialOf(root, options.label)) >>> 0;
  const boot = bootSector(geometry, { label: options.label, serial });
  image.set(boot, 0);
  if (geometry.bits === 32) {
    const used = [...places.values()].reduce((sum, { count }) => sum + count, 0);
    const info = fsInfo(geometry.clusters - used, used + FIRST_CLUSTER);
    image.set(info, SECTOR);
    // The copies a repair looks for.
    image.set(boot, 6 * SECTOR);
    image.set(info, 7 * SECTOR);
  }
  return image;
}

/** Clusters in a row. */
interface Place {
  readonly first: number;
  readonly count: number;
}

/** Gives each file and directory its clusters, one after the other in the order of the tree. */
function allocate(root: FatNode, { bits, clusterSectors }: FatGeometry): Map<FatNode, Place> {
  const places = new Map<FatNode, Place>();
  let next = FIRST_CLUSTER;
  for (const node of walkFat(root)) {
    if (node === root && bits !== 32) continue;
    const bytes = node.kind === 'file' ? node.content.length : directorySize(node);
    const count = Math.ceil(bytes / (clusterSectors * SECTOR));
    if (count > 0) places.set(node, { first: next, count });
    next += count;
  }
  return places;
}

function allocationTable({ bits, tableSectors, media }: FatGeometry, places: readonly Place[]): Uint8Array {
  const table = new Uint8Array(tableSectors * SECTOR);
  const view = new DataView(table.buffer);
  const set = (cluster: number, value: number): void => {
    if (bits === 32) view.setUint32(cluster * 4, value, true);
    else if (bits === 16) view.setUint16(cluster * 2, value, true);
    else {
      const at = cluster + (cluster >>> 1);
      const old = view.getUint16(at, true);
      const pair = cluster % 2 === 0 ? (old & 0xf000) | value : (old & 0x000f) | (value << 4);
      view.setUint16(at, pair, true);
    }
  };
  set(0, (END[bits] & ~0xff) | media);
  set(1, END[bits]);
  for (const { first, count } of places) {
    for (let i = 0; i < count; i++) set(first + i, i === count - 1 ? END[bits] : first + i + 1);
  }
  return table;
}

interface Stamp {
  readonly date: number;
  readonly time: number;
  /** Hundredths of a second past `time`, which counts in steps of two. */
  readonly hundredths: number;
}

function directoryBytes(
  node: FatNode,
  root: FatNode,
  places: ReadonlyMap<FatNode, Place>,
  label: string,
  stamp: Stamp,
): Uint8Array {
  const entries: Uint8Array[] = [];
  const cluster = (of: FatNode): number => places.get(of)?.first ?? 0;
  if (node === root) entries.push(entry(label.padEnd(SHORT_LENGTH), ATTRIBUTE.label, 0, 0, stamp));
  else {
    const { parent } = node;
    entries.push(entry('.'.padEnd(SHORT_LENGTH), ATTRIBUTE.directory, cluster(node), 0, stamp));
    // The root is cluster 0 here, in FAT32 too.
    const up = parent === undefined || parent === root ? 0 : cluster(parent);
    entries.push(entry('..'.padEnd(SHORT_LENGTH), ATTRIBUTE.directory, up, 0, stamp));
  }
  for (const child of node.children) {
    const names = child.names as FatNames;
    const attribute = child.kind === 'directory' ? ATTRIBUTE.directory : ATTRIBUTE.archive;
    entries.push(...longNameEntries(names));
    entries.push(entry(names.short, attribute, cluster(child), child.content.length, stamp));
  }
  const bytes = new Uint8Array(entries.length * ENTRY_SIZE);
  entries.forEach((one, at) => {
    bytes.set(one, at * ENTRY_SIZE);
  });
  return bytes;
}

/** A directory entry (FAT specification 1.03, section 6). */
function entry(short: string, attributes: number, cluster: number, size: number, stamp: Stamp): Uint8Array {
  const bytes = new Uint8Array(ENTRY_SIZE);
  const view = new DataView(bytes.buffer);
  bytes.set(encoder.encode(short));
  bytes[11] = attributes;
  if (attributes !== ATTRIBUTE.label) {
    bytes[13] = stamp.hundredths;
    view.setUint16(14, stamp.time, true);
    view.setUint16(16, stamp.date, true);
    view.setUint16(18, stamp.date, true);
  }
  view.setUint16(20, cluster >>> 16, true);
  view.setUint16(22, stamp.time, true);
  view.setUint16(24, stamp.date, true);
  view.setUint16(26, cluster & 0xffff, true);
  view.setUint32(28, size, true);
  return bytes;
}

function stampOf(seconds: number): Stamp {
  const at = new Date(Math.max(FIRST_DAY, Math.floor(seconds)) * 1000);
  const year = at.getUTCFullYear();
  if (!(year <= LAST_YEAR)) {
    throw new FormatError('fat.time', `Cannot date a FAT ${seconds} s: its years are 1980 to ${LAST_YEAR}`);
  }
  return {
    date: ((year - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >>> 1),
    hundredths: (at.getUTCSeconds() % 2) * 100,
  };
}

/** A number that differs where names or contents do. */
function serialOf(root: FatNode, label: string): number {
  let sum = crc32(encoder.encode(label));
  for (const node of walkFat(root)) {
    sum = crc32(encoder.encode(`${node.kind} ${node.name} ${node.content.length} `), sum);
    sum = crc32(node.content, sum);
  }
  return sum;
}
