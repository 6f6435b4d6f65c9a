import type { BlockSource } from '../../disk/block-source.ts';
import { u16 } from '../ext4/bytes.ts';
import { NameList } from '../name-list.ts';
import { ENTRY_SIZE } from './geometry.ts';
import { LongName, shortName } from './names.ts';
import { damaged } from './problems.ts';
import type { AllocationTable } from './table.ts';

/** Byte positions in a directory entry (Microsoft FAT specification, section 6). */
export const ENTRY = { attributes: 11, clusterHigh: 20, time: 22, date: 24, clusterLow: 26, size: 28 } as const;
export const ATTRIBUTE = { readOnly: 0x01, label: 0x08, directory: 0x10, longName: 0x0f } as const;

const DELETED = 0xe5;
/** Kernels make none longer than 2 MiB. */
const MAX_DIRECTORY = 16 * 1024 * 1024;
/** The root has no entry of its own; the first bytes of a file system are never one either. */
export const ROOT = 0;

/** A run of a directory: bytes of the file system. */
interface Piece {
  readonly position: number;
  readonly length: number;
}

/**
 * The names in the directory whose first cluster is `cluster`, sorted by their bytes. An inode's number is the place of
 * its entry, in entries from the start of the file system.
 * @throws FormatError `fat.damaged`
 */
export async function readDirectory(
  source: BlockSource,
  table: AllocationTable,
  directory: number,
  cluster: number,
): Promise<NameList> {
  const names = new NameList();
  const what = directory === ROOT ? 'the root directory' : `the directory of entry ${directory}`;
  const long = new LongName();
  const pieces = await piecesOf(table, directory, cluster, what);
  if (pieces.reduce((sum, piece) => sum + piece.length, 0) > MAX_DIRECTORY) {
    throw damaged(what, `it is longer than ${MAX_DIRECTORY} bytes`);
  }
  for (const { position, length } of pieces) {
    const bytes = new Uint8Array(length);
    await source.read(position, bytes);
    // Past an entry that begins with zero too: the kernel does not stop there, though the specification would.
    for (let at = 0; at < length; at += ENTRY_SIZE) {
      const name = nameAt(bytes, at, long);
      if (name === undefined) continue;
      names.add(nameBytes(name, what), (position + at) / ENTRY_SIZE);
    }
  }
  return names.sort((name) => damaged(what, `it holds the name ${Buffer.from(name).toString()} twice`));
}

/** Where its bytes are; the root of FAT12 and FAT16 has a place of its own, and a directory may have no cluster. */
async function piecesOf(
  table: AllocationTable,
  directory: number,
  cluster: number,
  what: string,
): Promise<readonly Piece[]> {
  const { bits, rootAt, rootSize } = table.geometry;
  if (directory === ROOT && bits !== 32) return [{ position: rootAt, length: rootSize }];
  if (directory !== ROOT && cluster === 0) return [];
  const runs = await table.chain(cluster, what);
  const clusters = runs.reduce((sum, run) => sum + run.count, 0);
  table.claim(directory, clusters);
  return runs.map(({ first, count }) => table.range(first, count));
}

/** The name of the entry at `at`, undefined for what is no file or directory. `long` knows the entries before it. */
function nameAt(bytes: Uint8Array, at: number, long: LongName): string | undefined {
  const first = bytes[at]!;
  const attributes = bytes[at + ENTRY.attributes]!;
  if (first !== DELETED && attributes === ATTRIBUTE.longName) {
    long.take(bytes, at);
    return undefined;
  }
  if (first === DELETED || first === 0 || (attributes & ATTRIBUTE.label) !== 0) {
    long.drop();
    return undefined;
  }
  const short = shortName(bytes, at);
  const name = long.nameFor(bytes, at) ?? short;
  if (short === '' || short === '.' || short === '..') return undefined;
  return name;
}

function nameBytes(name: string, what: string): Uint8Array {
  if (name === '' || name === '.' || name === '..' || name.includes('/')) {
    throw damaged(what, `it holds the name ${JSON.stringify(name)}, which no kernel allows`);
  }
  return new TextEncoder().encode(name);
}

/** The first cluster of the entry in `bytes`. */
export function clusterOf(bytes: Uint8Array, bits: number): number {
  const low = u16(bytes, ENTRY.clusterLow);
  // Before FAT32 these bytes meant something else.
  return bits === 32 ? low + u16(bytes, ENTRY.clusterHigh) * 0x10000 : low;
}
