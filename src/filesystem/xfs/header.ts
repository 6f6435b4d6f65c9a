import { be32, be64, sameBytes } from './bytes.ts';
import { verifyChecksum } from './checksum.ts';
import { damaged } from './problems.ts';
import type { Superblock } from './superblock.ts';

/**
 * What version 5 writes into every block of metadata: a checksum, its place, its file system and its owner (kernel:
 * Documentation/filesystems/xfs/xfs-self-describing-metadata.rst).
 */

/** Where the fields lie in one kind of block. */
export interface HeaderLayout {
  readonly checksum: number;
  /** Position of the block in 512-byte sectors. */
  readonly sector: number;
  readonly uuid: number;
  /** The inode, or with four bytes the allocation group, that the block belongs to. */
  readonly owner: number;
  readonly ownerBytes: 4 | 8;
}

/** Bytes in a sector as XFS counts them in metadata and in its log, whatever the device's are. */
export const BASIC_BLOCK = 512;

/**
 * Checks what a block of a version 5 file system says of itself; says nothing of one of version 4.
 * @throws FormatError `xfs.checksum`, or `xfs.damaged` when it is a block of something else
 */
export function verifyHeader(
  superblock: Superblock,
  bytes: Uint8Array,
  layout: HeaderLayout,
  expected: { readonly position: number; readonly owner: number; readonly what: string },
): void {
  if (!superblock.checked) return;
  const { position, owner, what } = expected;
  verifyChecksum(bytes, layout.checksum, what);
  const sector = be64(bytes, layout.sector);
  if (sector !== position / BASIC_BLOCK) {
    throw damaged(what, `the block at sector ${position / BASIC_BLOCK} says it belongs at ${sector}`);
  }
  const named = layout.ownerBytes === 8 ? be64(bytes, layout.owner) : be32(bytes, layout.owner);
  if (named !== owner) throw damaged(what, `its block says it belongs to ${named}, not to ${owner}`);
  if (!sameBytes(bytes, layout.uuid, superblock.metaUuid, 0, 16)) {
    throw damaged(what, 'its block is of another file system');
  }
}
