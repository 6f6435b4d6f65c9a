import type { Awaitable } from '../../disk/block-source.ts';
import type { FileData } from '../file-tree.ts';
import { u16, u32 } from './bytes.ts';
import { EXTENT_MAGIC } from './extent-tree.ts';
import { BLOCK_AREA, FLAG, INODE, type Inode, readAnyInode } from './inode.ts';
import { fileExtents, readMapping } from './mapping.ts';
import { damaged } from './problems.ts';
import type { Runs } from './runs.ts';
import type { Volume } from './volume.ts';
import { inodeXattrs, isInlineData } from './xattrs.ts';

const MAX_SYMLINK = 65536;

/** Where the bytes of a regular file are. */
export function fileData(volume: Volume, inode: Inode): Awaitable<FileData> {
  if ((inode.flags & FLAG.inlineData) !== 0) return { size: inode.size, extents: [], inline: inlineContent(inode) };
  const mapping = readMapping(volume, inode);
  if (mapping instanceof Promise) return mapping.then((runs) => mappedData(volume, inode, runs));
  return mappedData(volume, inode, mapping);
}

function mappedData(volume: Volume, inode: Inode, mapping: Runs): FileData {
  return { size: inode.size, extents: fileExtents(volume, inode.size, mapping.runs), source: volume.source };
}

/** The bytes in the block area and, where they go on, in the attribute `system.data`; exactly the inode's size. */
export function inlineContent(inode: Inode): Uint8Array {
  const rest = inodeXattrs(inode).find(isInlineData)?.value;
  const room = BLOCK_AREA + (rest?.length ?? 0);
  if (inode.size > room) {
    throw damaged(
      `inode ${inode.number}`,
      `its ${inode.size} bytes of inline data are more than the ${room} it holds`,
      {
        inode: inode.number,
      },
    );
  }
  const content = new Uint8Array(room);
  content.set(inode.bytes.subarray(INODE.block, INODE.block + BLOCK_AREA));
  if (rest !== undefined) content.set(rest, BLOCK_AREA);
  return content.subarray(0, inode.size);
}

/** True for a symlink whose target is in the block area of its inode. */
export function isFastSymlink(inode: Inode): boolean {
  if (inode.kind !== 'symlink' || (inode.flags & FLAG.inlineData) !== 0 || inode.size >= BLOCK_AREA) return false;
  // Old kernels set the extents flag on short symlinks too; only a real tree begins with its magic.
  return (inode.flags & FLAG.extents) === 0 || u16(inode.bytes, INODE.block) !== EXTENT_MAGIC;
}

/** The target of a symlink. */
export function symlinkTarget(volume: Volume, inode: Inode): Awaitable<Uint8Array> {
  if (inode.size === 0 || inode.size > MAX_SYMLINK) {
    throw damaged(`symlink inode ${inode.number}`, `a target of ${inode.size} bytes cannot be`, {
      inode: inode.number,
    });
  }
  if (isFastSymlink(inode)) return inode.bytes.slice(INODE.block, INODE.block + inode.size);
  if ((inode.flags & FLAG.inlineData) !== 0) return inlineContent(inode);
  return readAll(volume, inode);
}

/** The value of an attribute kept in an inode of its own (feature ea_inode). */
export async function attributeValue(volume: Volume, number: number, size: number): Promise<Uint8Array> {
  const inode = await readAnyInode(volume, number);
  if (inode.kind !== 'file' || (inode.flags & FLAG.eaInode) === 0 || inode.size !== size || size > MAX_SYMLINK) {
    throw damaged(`inode ${number}`, 'it does not hold the value of the attribute that names it', { inode: number });
  }
  return readAll(volume, inode);
}

async function readAll(volume: Volume, inode: Inode): Promise<Uint8Array> {
  const content = new Uint8Array(inode.size);
  const { runs } = await readMapping(volume, inode);
  for (const { logical, length, position } of fileExtents(volume, inode.size, runs)) {
    await volume.source.read(position, content.subarray(logical, logical + length));
  }
  return content;
}

/** The device number of a `character` or `block` inode: 16 bits, or where those are zero 32 bits in the next word. */
export function deviceNumber(inode: Inode): { readonly major: number; readonly minor: number } {
  const old = u32(inode.bytes, INODE.block);
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff };
  const word = u32(inode.bytes, INODE.block + 4);
  return { major: (word >>> 8) & 0xfff, minor: (word & 0xff) | ((word >>> 12) & 0xfff00) };
}
