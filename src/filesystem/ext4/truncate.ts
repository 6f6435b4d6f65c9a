import { setU16, setU32, u16, u32, wide } from './bytes.ts';
import { EXTENT_HEADER, EXTENT_MAGIC } from './extent-tree.ts';
import { INCOMPAT } from './features.ts';
import { BLOCK_AREA, FLAG, INODE, type Inode } from './inode.ts';
import { damaged } from './problems.ts';
import { releaseBlocks } from './release.ts';
import type { Superblock } from './superblock.ts';
import type { Workspace } from './workspace.ts';
import { inodeXattrs, isInlineData, XATTR_ENTRY, XATTR_INODE_ENTRIES } from './xattrs.ts';

const EXTENTS_IN_INODE = 4;
const SECTOR = 512;

/** Takes all content from a regular file; owner, mode, times, names and attributes stay. */
export async function truncateInode(work: Workspace, inode: Inode): Promise<void> {
  const { superblock } = work.volume;
  const freed = await releaseBlocks(work, inode);
  await work.changeInode(inode.number, (bytes) => {
    let flags = u32(bytes, INODE.flags) & ~(FLAG.verity | FLAG.pastEnd);
    if ((flags & FLAG.inlineData) !== 0) {
      dropInlineData(inode, bytes);
      flags &= ~FLAG.inlineData;
      if ((superblock.incompat & INCOMPAT.extents) !== 0) flags |= FLAG.extents;
    }
    setU32(bytes, INODE.flags, flags);
    setU32(bytes, INODE.sizeLow, 0);
    setU32(bytes, INODE.sizeHigh, 0);
    lowerBlocks(superblock, inode, bytes, freed);
    bytes.fill(0, INODE.block, INODE.block + BLOCK_AREA);
    if ((flags & FLAG.extents) === 0) return;
    setU16(bytes, INODE.block + EXTENT_HEADER.magic, EXTENT_MAGIC);
    setU16(bytes, INODE.block + EXTENT_HEADER.max, EXTENTS_IN_INODE);
  });
}

/** The inode counts its blocks in sectors, or, with its huge-file flag, in blocks of the file system. */
function lowerBlocks(superblock: Superblock, inode: Inode, bytes: Uint8Array, freed: number): void {
  const unit = (inode.flags & FLAG.hugeFile) !== 0 ? 1 : superblock.blockSize / SECTOR;
  const count = wide(u32(bytes, INODE.blocksLow), u16(bytes, INODE.blocksHigh)) - freed * unit;
  if (count < 0) throw damaged(`inode ${inode.number}`, 'it has more blocks than it counts', { inode: inode.number });
  setU32(bytes, INODE.blocksLow, count % 0x1_0000_0000);
  setU16(bytes, INODE.blocksHigh, Math.floor(count / 0x1_0000_0000));
}

/** Writes the attributes kept in the inode anew, without the one that holds inline data. */
function dropInlineData(inode: Inode, bytes: Uint8Array): void {
  if (inode.xattrStart >= bytes.length) return;
  const kept = inodeXattrs(inode).filter((raw) => !isInlineData(raw));
  const first = inode.xattrStart + XATTR_INODE_ENTRIES;
  bytes.fill(0, kept.length > 0 ? first : inode.xattrStart);
  let at = first;
  let end = bytes.length;
  for (const raw of kept) {
    const length = XATTR_ENTRY.name + raw.name.length;
    bytes.set(inode.bytes.subarray(raw.at, raw.at + length), at);
    if (raw.value.length > 0) {
      end -= (raw.value.length + 3) & ~3;
      bytes.set(raw.value, end);
      setU16(bytes, at + XATTR_ENTRY.valueAt, end - first);
    }
    at += (length + 3) & ~3;
  }
}
