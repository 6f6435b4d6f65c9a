import type { Awaitable } from '../../disk/block-source.ts';
import type { FileSystem } from '../file-system.ts';
import type { Entry, FileData, Xattr } from '../file-tree.ts';
import { NameList } from '../name-list.ts';
import { type DirectoryReader, walkTree } from '../walk.ts';
import { attributeValue, deviceNumber, fileData, symlinkTarget } from './content.ts';
import { readDirectory } from './directory.ts';
import { type Inode, readInode } from './inode.ts';
import { damaged } from './problems.ts';
import { ROOT_INODE } from './superblock.ts';
import type { Volume } from './volume.ts';
import { readXattrs } from './xattrs.ts';

/** An open ext2, ext3 or ext4 file system. */
export interface Ext4 extends FileSystem {
  readonly kind: 'ext4';
  readonly inodesCount: number;
  readonly volume: Volume;
}

/** Reads directories and entries of `volume` for a walk. */
export function ext4Reader(volume: Volume): DirectoryReader {
  return {
    root: ROOT_INODE,
    directory: (inode) => names(volume, inode),
    entry: (inode, path) => {
      const read = readInode(volume, inode);
      return read instanceof Promise ? read.then((found) => entry(volume, found, path)) : entry(volume, read, path);
    },
  };
}

/** The file system of `volume` as a tree. */
export function ext4Tree(volume: Volume, facts: Pick<Ext4, 'uuid' | 'label' | 'unclean'>): Ext4 {
  const reader = ext4Reader(volume);
  return {
    ...walkTree(reader),
    ...facts,
    kind: 'ext4',
    clean: facts.unclean === undefined,
    source: volume.source,
    blockSize: volume.superblock.blockSize,
    inodesCount: volume.superblock.inodesCount,
    volume,
    reader,
  };
}

async function names(volume: Volume, number: number): Promise<NameList> {
  const inode = await readInode(volume, number);
  const found = new NameList();
  if (inode.kind === 'directory') {
    for await (const { entries } of readDirectory(volume, inode)) {
      for (const { name, inode } of entries) found.add(name, inode);
    }
  }
  return found.sort((name) =>
    damaged(`directory inode ${number}`, `it holds the name ${Buffer.from(name).toString()} twice`, { inode: number }),
  );
}

function entry(volume: Volume, inode: Inode, path: Uint8Array): Awaitable<Entry> {
  const xattrs = readXattrs(volume, inode, (number, size) => attributeValue(volume, number, size));
  if (xattrs instanceof Promise) return xattrs.then((read) => withContent(volume, inode, path, read));
  return withContent(volume, inode, path, xattrs);
}

function withContent(volume: Volume, inode: Inode, path: Uint8Array, xattrs: readonly Xattr[]): Awaitable<Entry> {
  if (inode.kind === 'file') {
    const data = fileData(volume, inode);
    if (data instanceof Promise) return data.then((read) => fileEntry(inode, path, xattrs, read));
    return fileEntry(inode, path, xattrs, data);
  }
  if (inode.kind === 'symlink') {
    const target = symlinkTarget(volume, inode);
    if (target instanceof Promise) return target.then((read) => ({ ...base(inode, path, xattrs), target: read }));
    return { ...base(inode, path, xattrs), target };
  }
  if (inode.kind === 'character' || inode.kind === 'block') {
    return { ...base(inode, path, xattrs), device: deviceNumber(inode) };
  }
  return base(inode, path, xattrs);
}

function base(inode: Inode, path: Uint8Array, xattrs: readonly Xattr[]): Entry {
  return {
    path,
    kind: inode.kind,
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    mtime: inode.mtime,
    inode: inode.number,
    links: inode.links,
    xattrs,
    flags: inode.lost,
  };
}

/** Written out, for a tree has more of these than of anything else, and a spread took an eighth of the walk's time. */
function fileEntry(inode: Inode, path: Uint8Array, xattrs: readonly Xattr[], data: FileData): Entry {
  return {
    path,
    kind: inode.kind,
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    mtime: inode.mtime,
    inode: inode.number,
    links: inode.links,
    xattrs,
    flags: inode.lost,
    data,
  };
}
