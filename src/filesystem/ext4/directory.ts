import { type Dirent, parseDirents, verifyDirectoryBlock } from './dirents.ts';
import { BLOCK_AREA, FLAG, INODE, type Inode } from './inode.ts';
import { directoryBlocks, readMapping } from './mapping.ts';
import { damaged } from './problems.ts';
import { readBlock, type Volume } from './volume.ts';
import { inodeXattrs, isInlineData } from './xattrs.ts';

/** The parent's inode number comes before the entries in the block area of an inline directory. */
const INLINE_PARENT = 4;

/** Names of a directory that were read from one place. They are views: whoever keeps some keeps all that was read with them. */
export interface DirectoryPart {
  readonly entries: readonly Dirent[];
  /** The block they are in, and its place in the directory; undefined when they are in the inode itself. */
  readonly block: { readonly number: number; readonly logical: number } | undefined;
}

/**
 * The names in a directory, block by block. Hash-tree blocks look like blocks without names, so that reading all of
 * them in order finds every name.
 * @throws FormatError `ext4.damaged`, `ext4.checksum`
 */
export async function* readDirectory(volume: Volume, inode: Inode): AsyncGenerator<DirectoryPart> {
  const { superblock } = volume;
  if ((inode.flags & FLAG.inlineData) !== 0) {
    for (const [start, end] of inlineAreas(inode)) {
      const entries = parseDirents(superblock, inode.number, inode.bytes, start, end);
      yield { entries, block: undefined };
    }
    return;
  }
  if (inode.size === 0 || inode.size % superblock.blockSize !== 0) {
    throw damaged(`directory inode ${inode.number}`, `its size ${inode.size} is no number of whole blocks`, {
      inode: inode.number,
    });
  }
  const { runs } = await readMapping(volume, inode);
  for (const { logical, block } of directoryBlocks(volume, inode, runs)) {
    const read = readBlock(volume, block, `directory inode ${inode.number}`);
    const bytes = read instanceof Promise ? await read : read;
    verifyDirectoryBlock(superblock, inode, logical, bytes);
    const entries = parseDirents(superblock, inode.number, bytes, 0, bytes.length);
    yield { entries, block: { number: block, logical } };
  }
}

/** The parts of an inline directory's inode that hold entries. */
export function inlineAreas(inode: Inode): [start: number, end: number][] {
  const areas: [number, number][] = [[INODE.block + INLINE_PARENT, INODE.block + BLOCK_AREA]];
  const rest = inodeXattrs(inode).find(isInlineData)?.value;
  if (rest !== undefined && rest.length > 0) {
    const start = rest.byteOffset - inode.bytes.byteOffset;
    areas.push([start, start + rest.length]);
  }
  return areas;
}
