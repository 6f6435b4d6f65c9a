import { pathKey } from '../paths.ts';
import { setU32, u32 } from './bytes.ts';
import { inlineAreas, readDirectory } from './directory.ts';
import { DIRENT, isIndexBlock, isLeafTail, recordLength, sealDirectoryBlock, setRecordLength } from './dirents.ts';
import { FLAG, type Inode } from './inode.ts';
import type { Volume } from './volume.ts';
import type { Workspace } from './workspace.ts';
import { inodeXattrs, isInlineData, XATTR_ENTRY } from './xattrs.ts';

/** Takes `names` out of a directory that stays. Its size stays, as the kernel leaves it. */
export async function unlinkNames(work: Workspace, directory: Inode, names: ReadonlySet<string>): Promise<void> {
  const { superblock } = work.volume;
  if ((directory.flags & FLAG.inlineData) !== 0) {
    await work.changeInode(directory.number, (bytes) => unlinkInline(work.volume, directory, bytes, names));
    return;
  }
  for await (const { block } of readDirectory(work.volume, directory)) {
    if (block === undefined) continue;
    const bytes = await work.block(block.number);
    if (isIndexBlock(superblock, directory, block.logical, bytes)) continue;
    wipeEntries(work.volume, bytes, 0, bytes.length, names);
    wipeUnused(work.volume, bytes, 0, bytes.length);
    sealDirectoryBlock(superblock, directory, block.logical, bytes);
  }
}

function unlinkInline(volume: Volume, directory: Inode, bytes: Uint8Array, names: ReadonlySet<string>): void {
  for (const [start, end] of inlineAreas(directory)) {
    wipeEntries(volume, bytes, start, end, names);
    wipeUnused(volume, bytes, start, end);
  }
  // The kernel changes the entries without renewing this hash, and so leaves it zero: "not kept".
  const rest = inodeXattrs(directory).find(isInlineData);
  if (rest !== undefined) setU32(bytes, rest.at + XATTR_ENTRY.hash, 0);
}

/**
 * Zeroes what lies behind the names: a kernel that splits a block packs its entries (dx_pack_dirents of fs/ext4/namei.c) and
 * leaves the names there that it moved, and in any block of the directory there may be one of a name that is removed.
 */
function wipeUnused({ superblock: { blockSize } }: Volume, bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; ) {
    const length = recordLength(bytes, at, blockSize);
    if (!isLeafTail(bytes, at, end)) {
      const used = u32(bytes, at + DIRENT.inode) === 0 ? 0 : bytes[at + DIRENT.nameLength]!;
      bytes.fill(0, at + DIRENT.name + used, at + length);
    }
    at += length;
  }
}

/** The room of a removed entry goes to the one before it; the first of a block becomes an unused one. */
function wipeEntries(volume: Volume, bytes: Uint8Array, start: number, end: number, names: ReadonlySet<string>): void {
  const { blockSize } = volume.superblock;
  let before: number | undefined;
  for (let at = start; at < end; ) {
    const length = recordLength(bytes, at, blockSize);
    const nameLength = bytes[at + DIRENT.nameLength]!;
    const name = bytes.subarray(at + DIRENT.name, at + DIRENT.name + nameLength);
    if (u32(bytes, at + DIRENT.inode) === 0 || !names.has(pathKey(name))) {
      before = at;
    } else if (before === undefined) {
      bytes.fill(0, at, at + length);
      setRecordLength(bytes, at, length, blockSize);
      before = at;
    } else {
      bytes.fill(0, at, at + length);
      setRecordLength(bytes, before, recordLength(bytes, before, blockSize) + length, blockSize);
    }
    at += length;
  }
}
