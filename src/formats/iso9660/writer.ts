/**
 * Writes an ISO 9660 image with Rock Ridge and Joliet: small media that carry answers to an installer or to cloud-init.
 * Bytes depend on the files, the volume name and the time given alone.
 */
import { FormatError } from '../../errors.ts';
import { directoryRecord, type Extent, Hierarchy } from './hierarchy.ts';
import {
  both16,
  both32,
  DESCRIPTOR,
  FIRST_DESCRIPTOR,
  JOLIET_ESCAPE,
  SECTOR,
  STANDARD_ID,
  sectors,
  volumeDate,
} from './layout.ts';
import { ucs2 } from './names.ts';
import { SystemUse } from './system-use.ts';
import { buildTree, type IsoFile, type IsoNode } from './tree.ts';

export type { IsoFile } from './tree.ts';

export interface IsoOptions {
  /** Volume name, as blkid shows it; at most 32 bytes (Joliet shows the first 16 characters). */
  readonly volumeId: string;
  /** Time of every file and of the volume, seconds since 1970, in the years 1900 to 2155. @default 0 */
  readonly time?: number;
}

const VOLUME_ID_MAX = 32;
/** What the one byte for a year of a directory record can say (ECMA-119 9.1.5). */
const YEAR_MAX = 1900 + 255;
/**
 * As much as genisoimage pads by: what finds volumes by their label reads where other file systems would have theirs, and
 * busybox's findfs gives up on a device that ends before (util-linux/volume_id).
 */
const LEAST_SECTORS = 150;
const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();

/**
 * The whole image.
 * @throws FormatError `iso9660.name`, `iso9660.too-large`, `iso9660.volume-id`, `iso9660.time`
 */
export function writeIso9660(files: readonly IsoFile[], options: IsoOptions): Uint8Array {
  const { volumeId, time = 0 } = options;
  checkOptions(volumeId, time);
  const root = buildTree(files);
  const primary = new Hierarchy(root, false);
  const joliet = new Hierarchy(root, true);
  const rockRidge = new SystemUse(primary, time);
  const contents = new Map<IsoNode, Extent>();
  const trees = [
    { tree: primary, use: rockRidge.record.bind(rockRidge), tables: [0, 0] as [number, number] },
    { tree: joliet, use: () => NOTHING, tables: [0, 0] as [number, number] },
  ];

  let next = FIRST_DESCRIPTOR + 3;
  const take = (bytes: number): number => {
    next += sectors(bytes);
    return next - sectors(bytes);
  };
  for (const { tree, tables } of trees) {
    const { length } = tree.pathTable(true);
    tables[0] = take(length);
    tables[1] = take(length);
  }
  // The length of a directory does not depend on where things lie: it is made here to be measured, below to be kept.
  for (const { tree, use } of trees) {
    for (const directory of tree.directories) {
      const size = tree.directoryBytes(directory, time, use, contents).length;
      tree.places.set(directory, { sector: take(size), size });
      // Right behind the directory they belong to: libarchive reads continuations nowhere else.
      if (tree === primary) take(rockRidge.place(directory, next));
    }
  }
  const leaves = primary.directories.flatMap((directory) =>
    primary.children(directory).filter((child) => child.kind !== 'directory'),
  );
  for (const leaf of leaves) contents.set(leaf, { sector: take(leaf.content.length), size: leaf.content.length });

  next = Math.max(next, LEAST_SECTORS);
  const image = new Uint8Array(next * SECTOR);
  trees.forEach(({ tree, use, tables }, at) => {
    image.set(descriptor(tree, root, next, volumeId, time, tables), (FIRST_DESCRIPTOR + at) * SECTOR);
    tables.forEach((sector, type) => {
      image.set(tree.pathTable(type === 0), sector * SECTOR);
    });
    for (const directory of tree.directories) {
      const bytes = tree.directoryBytes(directory, time, use, contents);
      image.set(bytes, (tree.places.get(directory)?.sector ?? 0) * SECTOR);
    }
  });
  image.set([DESCRIPTOR.terminator, ...encoder.encode(STANDARD_ID), 1], (FIRST_DESCRIPTOR + 2) * SECTOR);
  for (const directory of primary.directories) {
    for (const { at, bytes } of rockRidge.areas(directory)) image.set(bytes, at);
  }
  for (const [leaf, { sector }] of contents) image.set(leaf.content, sector * SECTOR);
  return image;
}

function checkOptions(volumeId: string, time: number): void {
  if (encoder.encode(volumeId).length > VOLUME_ID_MAX) {
    throw new FormatError(
      'iso9660.volume-id',
      `Cannot name an ISO ${JSON.stringify(volumeId)}: a volume name has at most ${VOLUME_ID_MAX} bytes`,
    );
  }
  const year = new Date(time * 1000).getUTCFullYear();
  if (!(year >= 1900 && year <= YEAR_MAX)) {
    throw new FormatError('iso9660.time', `Cannot date an ISO ${time} s: its years are 1900 to ${YEAR_MAX}`);
  }
}

/** Primary or Joliet volume descriptor (ECMA-119 8.4, 8.5). */
function descriptor(
  tree: Hierarchy,
  root: IsoNode,
  total: number,
  volumeId: string,
  time: number,
  tables: readonly [number, number],
): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  const view = new DataView(bytes.buffer);
  const text = (at: number, length: number, value: string): void => {
    const characters = tree.joliet ? Math.floor(length / 2) : length;
    const encoded = tree.joliet ? ucs2(value.slice(0, characters).padEnd(characters, ' ')) : encoder.encode(value);
    bytes.fill(0x20, at, at + (tree.joliet ? 0 : length));
    bytes.set(encoded, at);
  };
  view.setUint8(0, tree.joliet ? DESCRIPTOR.supplementary : DESCRIPTOR.primary);
  bytes.set([...encoder.encode(STANDARD_ID), 1], 1);
  text(8, 32, '');
  text(40, VOLUME_ID_MAX, volumeId);
  both32(view, 80, total);
  if (tree.joliet) bytes.set(JOLIET_ESCAPE, 88);
  both16(view, 120, 1);
  both16(view, 124, 1);
  both16(view, 128, SECTOR);
  both32(view, 132, tree.pathTable(true).length);
  view.setUint32(140, tables[0], true);
  view.setUint32(148, tables[1], false);
  bytes.set(directoryRecord(Uint8Array.of(0), tree.places.get(root), true, time, NOTHING), 156);
  for (const at of [190, 318, 446]) text(at, 128, '');
  text(574, 128, 'IMAGE-COMPOSE');
  for (const at of [702, 739, 776]) text(at, 37, '');
  bytes.set(volumeDate(time), 813);
  bytes.set(volumeDate(time), 830);
  for (const at of [847, 864]) bytes.set([...encoder.encode('0'.repeat(16)), 0], at);
  view.setUint8(881, 1);
  return bytes;
}
