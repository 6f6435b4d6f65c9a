/**
 * Writes an ISO 9660 image with Rock Ridge and Joliet: small media that carry answers to an installer or to cloud-init.
 * Bytes depend on the files, the volume name and the time given alone.
 */
import {
  both16,
  both32,
  DESCRIPTOR,
  FIRST_DESCRIPTOR,
  FLAG_DIRECTORY,
  JOLIET_ESCAPE,
  RECORD_HEAD,
  RECORD_MAX,
  recordDate,
  SECTOR,
  STANDARD_ID,
  sectors,
  volumeDate,
} from './layout.ts';
import { ucs2 } from './names.ts';
import { CE_LENGTH, ce, er, nm, px, sl, sp, tf } from './rock-ridge.ts';
import { breadthFirst, buildTree, type IsoFile, type IsoNode as Node } from './tree.ts';

export type { IsoFile } from './tree.ts';

export interface IsoOptions {
  /** Volume name, as blkid shows it; at most 32 characters (16 in Joliet). */
  readonly volumeId: string;
  /** Time of every file and of the volume, seconds since 1970. @default 0 */
  readonly time?: number;
}

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const encoder = new TextEncoder();

/**
 * The whole image.
 * @throws FormatError `iso9660.name`, `iso9660.too-large`
 */
export function writeIso9660(files: readonly IsoFile[], options: IsoOptions): Uint8Array {
  const time = options.time ?? 0;
  const root = buildTree(files);
  const directories = breadthFirst(root);
  const nodes = directories.flatMap((directory) => [
    directory,
    ...directory.children.filter((child) => !child.directory),
  ]);
  nodes.forEach((node, at) => {
    node.serial = at + 1;
  });

  let next = FIRST_DESCRIPTOR + 3;
  const take = (bytes: number): number => {
    const at = next;
    next += sectors(bytes);
    return at;
  };
  const pathTableSize = tableSize(directories, (node) => encoder.encode(node.iso));
  const jolietTableSize = tableSize(directories, (node) => ucs2(node.joliet));
  const tables = [take(pathTableSize), take(pathTableSize), take(jolietTableSize), take(jolietTableSize)] as const;
  for (const directory of directories) {
    directory.size = directorySize(directory, (node) => recordLength(node, root, time));
    directory.sector = take(directory.size);
  }
  for (const directory of directories) {
    directory.jolietSize = directorySize(directory, jolietRecordLength);
    directory.jolietSector = take(directory.jolietSize);
  }
  // After the directories and before the files: libarchive refuses continuations anywhere else.
  next += sectors(planContinuations(nodes, root, time, next));
  for (const node of nodes) if (!node.directory && node.symlink === undefined) node.sector = take(node.content.length);

  const image = new Uint8Array(next * SECTOR);
  const primary = { joliet: false, tableSize: pathTableSize, tables: [tables[0], tables[1]] as const };
  const joliet = { joliet: true, tableSize: jolietTableSize, tables: [tables[2], tables[3]] as const };
  writeDescriptor(image, FIRST_DESCRIPTOR, root, next, options.volumeId, time, primary);
  writeDescriptor(image, FIRST_DESCRIPTOR + 1, root, next, options.volumeId, time, joliet);
  image.set([DESCRIPTOR.terminator, ...encoder.encode(STANDARD_ID), 1], (FIRST_DESCRIPTOR + 2) * SECTOR);
  for (const tree of [primary, joliet]) {
    writePathTable(image, tree.tables[0], directories, tree.joliet, true);
    writePathTable(image, tree.tables[1], directories, tree.joliet, false);
  }
  for (const directory of directories) {
    writeDirectory(image, directory, root, time, false);
    writeDirectory(image, directory, root, time, true);
  }
  for (const node of nodes) {
    if (node.continuation !== undefined) {
      const { rest } = systemUse(node, root, time, node === root);
      image.set(rest, node.continuation.sector * SECTOR + node.continuation.offset);
    }
    if (!node.directory) image.set(node.content, node.sector * SECTOR);
  }
  return image;
}

function tableSize(directories: readonly Node[], name: (node: Node) => Uint8Array): number {
  return directories.reduce((sum, node) => {
    const length = node.parent === undefined ? 1 : name(node).length;
    return sum + 8 + length + (length % 2);
  }, 0);
}

/** The Rock Ridge entries of a record: those inside it, and those that go on elsewhere. `dot` is the record ".". */
function systemUse(node: Node, root: Node, time: number, dot: boolean): { inside: Uint8Array; rest: Uint8Array } {
  const type = node.directory ? S_IFDIR : node.symlink === undefined ? S_IFREG : S_IFLNK;
  const links = node.directory ? 2 + node.children.filter((child) => child.directory).length : 1;
  const attributes = [px(type | node.mode, links, node.serial), tf(time)];
  if (dot && node === root) return { inside: join([sp(), ...attributes]), rest: er() };
  if (dot) return { inside: join(attributes), rest: new Uint8Array(0) };
  const names = nm(encoder.encode(node.name));
  const all = [...attributes, ...names, ...(node.symlink === undefined ? [] : sl(node.symlink))];
  const room = RECORD_MAX - 1 - even(RECORD_HEAD + node.iso.length);
  if (join(all).length <= room) return { inside: join(all), rest: new Uint8Array(0) };
  const inside: Uint8Array[] = [];
  let used = CE_LENGTH;
  while (all.length > 0 && used + (all[0]?.length ?? 0) <= room) {
    const first = all.shift() as Uint8Array;
    inside.push(first);
    used += first.length;
  }
  return { inside: join(inside), rest: join(all) };
}

/** Gives every record that needs one its place in the continuation area; answers the area's length. */
function planContinuations(nodes: readonly Node[], root: Node, time: number, sector: number): number {
  let at = er().length;
  for (const node of nodes) {
    if (node === root) continue;
    const { rest } = systemUse(node, root, time, false);
    if (rest.length === 0) continue;
    // A continuation lies within one sector (SUSP 5.1).
    if ((at % SECTOR) + rest.length > SECTOR) at = Math.ceil(at / SECTOR) * SECTOR;
    node.continuation = { sector: sector + Math.floor(at / SECTOR), offset: at % SECTOR };
    at += rest.length;
  }
  root.continuation = { sector, offset: 0 };
  return at;
}

function recordLength(node: Node, root: Node, time: number): number {
  const { inside, rest } = systemUse(node, root, time, false);
  return even(even(RECORD_HEAD + node.iso.length) + inside.length + (rest.length > 0 ? CE_LENGTH : 0));
}

function jolietRecordLength(node: Node): number {
  return even(RECORD_HEAD + ucs2(node.joliet).length);
}

function even(length: number): number {
  return length + (length % 2);
}

/** Length of a directory: no record crosses a sector (ECMA-119 6.8.1.1). "." and ".." have fixed room in the first. */
function directorySize(directory: Node, length: (node: Node) => number): number {
  let at = 2 * DOT_ROOM;
  for (const child of directory.children) {
    const size = length(child);
    if ((at % SECTOR) + size > SECTOR) at = Math.ceil(at / SECTOR) * SECTOR;
    at += size;
  }
  return Math.ceil(at / SECTOR) * SECTOR;
}

/** Enough for the record "." of the root with its SP, PX, TF and CE entries. */
const DOT_ROOM = 34 + 7 + 44 + 26 + CE_LENGTH + 1;

function writeDirectory(image: Uint8Array, directory: Node, root: Node, time: number, joliet: boolean): void {
  const start = (joliet ? directory.jolietSector : directory.sector) * SECTOR;
  const parent = directory.parent ?? directory;
  let at = start;
  at += writeRecord(image, at, directory, Uint8Array.of(0), dotUse(directory, root, time, joliet), time, joliet);
  at += writeRecord(
    image,
    at,
    parent,
    Uint8Array.of(1),
    joliet ? new Uint8Array(0) : join([px(S_IFDIR | parent.mode, 2, parent.serial), tf(time)]),
    time,
    joliet,
  );
  const children = joliet ? [...directory.children].sort((a, b) => (a.joliet < b.joliet ? -1 : 1)) : directory.children;
  for (const child of children) {
    const name = joliet ? ucs2(child.joliet) : encoder.encode(child.iso);
    const use = joliet ? new Uint8Array(0) : childUse(child, root, time);
    const length = even(even(RECORD_HEAD + name.length) + use.length);
    if (((at - start) % SECTOR) + length > SECTOR) at = start + Math.ceil((at - start) / SECTOR) * SECTOR;
    at += writeRecord(image, at, child, name, use, time, joliet);
  }
}

function dotUse(directory: Node, root: Node, time: number, joliet: boolean): Uint8Array {
  if (joliet) return new Uint8Array(0);
  const { inside, rest } = systemUse(directory, root, time, true);
  return rest.length === 0 ? inside : join([inside, ce(root.continuation?.sector ?? 0, 0, rest.length)]);
}

function childUse(child: Node, root: Node, time: number): Uint8Array {
  const { inside, rest } = systemUse(child, root, time, false);
  if (child.continuation === undefined) return inside;
  return join([inside, ce(child.continuation.sector, child.continuation.offset, rest.length)]);
}

function writeRecord(
  image: Uint8Array,
  at: number,
  node: Node,
  name: Uint8Array,
  use: Uint8Array,
  time: number,
  joliet: boolean,
): number {
  const nameEnd = even(RECORD_HEAD + name.length);
  const length = even(nameEnd + use.length);
  const view = new DataView(image.buffer, image.byteOffset + at, length);
  view.setUint8(0, length);
  both32(view, 2, joliet && node.directory ? node.jolietSector : node.sector);
  both32(view, 10, joliet && node.directory ? node.jolietSize : node.size);
  image.set(recordDate(time), at + 18);
  view.setUint8(25, node.directory ? FLAG_DIRECTORY : 0);
  both16(view, 28, 1);
  view.setUint8(32, name.length);
  image.set(name, at + RECORD_HEAD);
  image.set(use, at + nameEnd);
  return length;
}

function writePathTable(
  image: Uint8Array,
  sector: number,
  directories: readonly Node[],
  joliet: boolean,
  little: boolean,
): void {
  const view = new DataView(image.buffer, image.byteOffset);
  let at = sector * SECTOR;
  for (const node of directories) {
    const name = node.parent === undefined ? Uint8Array.of(0) : joliet ? ucs2(node.joliet) : encoder.encode(node.iso);
    view.setUint8(at, name.length);
    view.setUint32(at + 2, joliet ? node.jolietSector : node.sector, little);
    view.setUint16(at + 6, directories.indexOf(node.parent ?? node) + 1, little);
    image.set(name, at + 8);
    at += 8 + name.length + (name.length % 2);
  }
}

function writeDescriptor(
  image: Uint8Array,
  sector: number,
  root: Node,
  total: number,
  volumeId: string,
  time: number,
  tree: { readonly joliet: boolean; readonly tableSize: number; readonly tables: readonly [number, number] },
): void {
  const start = sector * SECTOR;
  const view = new DataView(image.buffer, image.byteOffset + start, SECTOR);
  const text = (at: number, length: number, value: string): void => {
    const pad = tree.joliet
      ? ucs2(value.padEnd(Math.floor(length / 2), ' ').slice(0, Math.floor(length / 2)))
      : encoder.encode(value.padEnd(length, ' ').slice(0, length));
    image.set(pad, start + at);
  };
  view.setUint8(0, tree.joliet ? DESCRIPTOR.supplementary : DESCRIPTOR.primary);
  image.set([...encoder.encode(STANDARD_ID), 1], start + 1);
  text(8, 32, '');
  text(40, 32, volumeId);
  both32(view, 80, total);
  if (tree.joliet) image.set(JOLIET_ESCAPE, start + 88);
  both16(view, 120, 1);
  both16(view, 124, 1);
  both16(view, 128, SECTOR);
  both32(view, 132, tree.tableSize);
  view.setUint32(140, tree.tables[0], true);
  view.setUint32(148, tree.tables[1], false);
  writeRecord(image, start + 156, root, Uint8Array.of(0), new Uint8Array(0), time, tree.joliet);
  for (const at of [190, 318, 446]) text(at, 128, '');
  text(574, 128, 'IMAGE-COMPOSE');
  for (const at of [702, 739, 776]) text(at, 37, '');
  image.set(volumeDate(time), start + 813);
  image.set(volumeDate(time), start + 830);
  image.set(Uint8Array.of(...encoder.encode('0'.repeat(16)), 0), start + 847);
  image.set(Uint8Array.of(...encoder.encode('0'.repeat(16)), 0), start + 864);
  view.setUint8(881, 1);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
