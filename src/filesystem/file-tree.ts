import type { BlockSource } from '../disk/block-source.ts';

export type EntryKind = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

/** One extended attribute: its full name with the namespace (`security.capability`), and its value, both as bytes. */
export interface Xattr {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** A run of a file that has data. What lies between the runs is a hole. */
export interface FileExtent {
  /** Byte position in the file. */
  readonly logical: number;
  /** Bytes; never past the end of the file. */
  readonly length: number;
  /** Byte position in `FileData.source`. */
  readonly position: number;
}

/** Content of a regular file: either runs of a source, or bytes kept in the inode or made by an edit. */
export interface FileData {
  /** Length of the file, bytes. */
  readonly size: number;
  /** Sorted by `logical`, not overlapping. Empty when `inline` is set. */
  readonly extents: readonly FileExtent[];
  readonly source?: BlockSource;
  readonly inline?: Uint8Array;
}

/** One name in a tree and the inode behind it. */
export interface Entry {
  /** Bytes from the root of the tree, no leading or trailing slash; empty for the root itself. */
  readonly path: Uint8Array;
  readonly kind: EntryKind;
  /** Permission bits with set-uid, set-gid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Modification time, nanoseconds since 1970; may be negative. */
  readonly mtime: bigint;
  /** Equal for two entries of one tree exactly when they are hard links of one inode. */
  readonly inode: number;
  /** Names the inode has in its file system. */
  readonly links: number;
  readonly xattrs: readonly Xattr[];
  /** What no archive holds of the inode: a sum of `FILE_FLAG`. Where it is not given there is none. */
  readonly flags?: number;
  /** Of `character` and `block`. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** Of `symlink`. */
  readonly target?: Uint8Array;
  /** Of `file`. */
  readonly data?: FileData;
}

/** A directory tree that can be walked once from top to bottom, and looked into. */
export interface FileTree {
  /** Every entry, root first, parents before children, the children of a directory in order of their name's bytes. */
  entries(): AsyncIterable<Entry>;
  /**
   * The entry at `path` (leading slash allowed), or undefined. Symlinks on the way are followed within the tree;
   * the last one only when `follow` is set. A loop of symlinks answers undefined.
   */
  lookup(path: string | Uint8Array, options?: { readonly follow?: boolean }): Promise<Entry | undefined>;
  /** Names and entries in one directory, sorted by bytes; empty when it is not a directory. */
  list(path: string | Uint8Array): Promise<Entry[]>;
}

/** What a seal changes in a tree. Paths are text with a leading slash; `*` stands for any run of bytes but a slash. */
export type Edit =
  /** The entry and all below it are gone; nothing happens where it does not exist. */
  | { readonly kind: 'remove'; readonly path: string; readonly reason: string }
  /** All below the directory is gone, the directory stays. */
  | { readonly kind: 'clear'; readonly path: string; readonly reason: string }
  /** A regular file stays with its owner and mode but has no bytes. */
  | { readonly kind: 'empty'; readonly path: string; readonly reason: string };

/**
 * The whole content of a file, for files a person would open: os-release, fstab, a package database.
 * @throws RangeError when it is longer than `limit` bytes (default 64 MiB)
 */
export async function readContent(data: FileData, limit = 64 * 1024 * 1024): Promise<Uint8Array> {
  if (data.size > limit) throw new RangeError(`a file of ${data.size} bytes is longer than the ${limit} allowed here`);
  if (data.inline !== undefined) return data.inline;
  const content = new Uint8Array(data.size);
  for (const extent of data.extents) {
    await data.source?.read(extent.position, content.subarray(extent.logical, extent.logical + extent.length));
  }
  return content;
}

/** Content of the file at `path`, symlinks followed, or undefined when there is no regular file. */
export async function readPath(tree: FileTree, path: string, limit?: number): Promise<Uint8Array | undefined> {
  const entry = await tree.lookup(path, { follow: true });
  return entry?.data === undefined ? undefined : readContent(entry.data, limit);
}
