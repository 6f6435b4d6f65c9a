import type { Awaitable } from '../../disk/block-source.ts';
import type { Range } from '../../disk/patched.ts';
import type { FileSystem } from '../file-system.ts';
import type { Entry, Xattr } from '../file-tree.ts';
import { NameList } from '../name-list.ts';
import { type DirectoryReader, walkTree } from '../walk.ts';
import { deviceNumber, fileData, symlinkTarget } from './content.ts';
import { readDirectory } from './directory.ts';
import { freeExtents } from './free-space.ts';
import { type Inode, readInode } from './inode.ts';
import { damaged } from './problems.ts';
import type { Volume } from './volume.ts';
import { readXattrs } from './xattrs.ts';

/** An open XFS file system. */
export interface Xfs extends FileSystem {
  readonly kind: 'xfs';
  readonly volume: Volume;
  /**
   * The runs of blocks that nothing uses, in order; bytes from the start of the file system. Only true when `clean`.
   * @throws FormatError `xfs.damaged`, `xfs.checksum`
   */
  freeExtents(): AsyncGenerator<Range>;
}

/** The file system of `volume` as a tree. */
export function xfsTree(volume: Volume, facts: Pick<Xfs, 'uuid' | 'label' | 'unclean'>): Xfs {
  const reader = xfsReader(volume);
  return {
    ...walkTree(reader),
    ...facts,
    kind: 'xfs',
    clean: facts.unclean === undefined,
    source: volume.source,
    blockSize: volume.superblock.blockSize,
    volume,
    reader,
    freeExtents: () => freeExtents(volume),
  };
}

/** Reads directories and entries of `volume` for a walk. */
function xfsReader(volume: Volume): DirectoryReader {
  return {
    root: volume.superblock.rootInode,
    directory: (inode) => names(volume, inode),
    entry: (inode, path) => {
      const read = readInode(volume, inode);
      return read instanceof Promise ? read.then((found) => entry(volume, found, path)) : entry(volume, read, path);
    },
  };
}

async function names(volume: Volume, number: number): Promise<NameList> {
  const inode = await readInode(volume, number);
  const found = inode.kind === 'directory' ? await readDirectory(volume, inode) : new NameList();
  return found.sort((name) =>
    damaged(`directory inode ${number}`, `it holds the name ${Buffer.from(name).toString()} twice`, { inode: number }),
  );
}

function entry(volume: Volume, inode: Inode, path: Uint8Array): Awaitable<Entry> {
  const xattrs = readXattrs(volume, inode);
  if (xattrs instanceof Promise) return xattrs.then((read) => withContent(volume, inode, path, read));
  return withContent(volume, inode, path, xattrs);
}

function withContent(volume: Volume, inode: Inode, path: Uint8Array, xattrs: readonly Xattr[]): Awaitable<Entry> {
  const { kind, mode, uid, gid, mtime, number, links, lost } = inode;
  const base: Entry = { path, kind, mode, uid, gid, mtime, inode: number, links, xattrs, flags: lost };
  if (kind === 'file') {
    const data = fileData(volume, inode);
    return data instanceof Promise ? data.then((read) => ({ ...base, data: read })) : { ...base, data };
  }
  if (kind === 'symlink') {
    const target = symlinkTarget(volume, inode);
    return target instanceof Promise ? target.then((read) => ({ ...base, target: read })) : { ...base, target };
  }
  if (kind === 'character' || kind === 'block') return { ...base, device: deviceNumber(inode) };
  return base;
}
