import { be32 } from './bytes.ts';
import { positionOf, type Run } from './extents.ts';
import { type HeaderLayout, verifyHeader } from './header.ts';
import type { Inode } from './inode.ts';
import { damaged } from './problems.ts';
import { readBlockAt, type Volume } from './volume.ts';

/** Attribute values in blocks of their own (kernel: fs/xfs/libxfs/xfs_attr_remote.c). */

/** Version 5 begins every block of a value, and every extent of a symlink, with one of these. */
export const REMOTE = { magic: 0, offset: 4, length: 8, size: 56 } as const;
export const REMOTE_LAYOUT: HeaderLayout = { checksum: 12, uuid: 16, owner: 32, ownerBytes: 8, sector: 40 };
const VALUE_MAGIC = 0x5841524d;

export interface RemoteFork {
  readonly inode: Inode;
  readonly what: string;
  readonly runs: readonly Run[];
  readonly blocks: number;
}

/** The `size` bytes that begin in block `first` of the attribute fork. @throws FormatError `xfs.damaged`, `xfs.checksum` */
export async function readRemote(volume: Volume, fork: RemoteFork, first: number, size: number): Promise<Uint8Array> {
  const { checked } = volume.superblock;
  const value = new Uint8Array(size);
  for (let at = 0, logical = first; at < size; logical++) {
    const position = positionOf(volume, fork.runs, logical);
    if (position === undefined) {
      throw damaged(fork.what, `block ${logical} with a value is missing`, { inode: fork.inode.number });
    }
    const bytes = await readBlockAt(volume, position);
    const owner = fork.inode.number;
    const part = checked ? remotePart(volume, bytes, VALUE_MAGIC, { position, owner, what: fork.what, at }) : bytes;
    const length = Math.min(part.length, size - at);
    value.set(part.subarray(0, length), at);
    at += length;
  }
  return value;
}

/**
 * The content of a block of version 5, its header checked; `at` is its place in the whole.
 * @throws FormatError `xfs.damaged`, `xfs.checksum`
 */
export function remotePart(
  volume: Volume,
  bytes: Uint8Array,
  magic: number,
  expected: { readonly position: number; readonly owner: number; readonly what: string; readonly at: number },
): Uint8Array {
  const { what, at } = expected;
  if (be32(bytes, REMOTE.magic) !== magic) throw damaged(what, 'a block does not begin like a part of it');
  verifyHeader(volume.superblock, bytes, REMOTE_LAYOUT, expected);
  const length = be32(bytes, REMOTE.length);
  if (be32(bytes, REMOTE.offset) !== at || length === 0 || REMOTE.size + length > bytes.length) {
    throw damaged(what, `a block has ${length} bytes for place ${be32(bytes, REMOTE.offset)}, not ${at}`);
  }
  return bytes.subarray(REMOTE.size, REMOTE.size + length);
}
