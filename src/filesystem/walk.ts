import type { Awaitable } from '../disk/block-source.ts';
import { FormatError } from '../errors.ts';
import type { Entry, FileTree } from './file-tree.ts';
import { InodeSet } from './inode-set.ts';
import type { NamedInode, NameList } from './name-list.ts';
import { joinPath, pathKey, splitPath } from './paths.ts';

/** What a file system offers to become a tree: one directory, or one entry, at a time. */
export interface DirectoryReader {
  /** Inode of the root directory. */
  readonly root: number;
  /** The names in a directory without "." and "..", sorted; empty when it is no directory. */
  directory(inode: number): Awaitable<NameList>;
  /** The inode as an entry of the given path. */
  entry(inode: number, path: Uint8Array): Awaitable<Entry>;
}

/** Readers by the path they are mounted at: `pathKey` of the path without leading slash. */
export type Mounts = ReadonlyMap<string, DirectoryReader>;

/**
 * Inode numbers of the n-th mounted file system begin at n times this, so that they stay distinct. XFS numbers inodes by
 * their place: 2^44 of them are a disk of 4 PiB.
 */
const INODES_PER_VOLUME = 2 ** 44;
/** Longer than any path a kernel accepts (4096); keeps a damaged tree from growing its paths without end. */
const MAX_PATH = 65536;
const MAX_SYMLINKS = 40;
/** Directories that look-ups keep, and the longest one they keep. */
const KEPT_DIRECTORIES = 64;
const KEPT_NAMES = 4096;

/** Where a directory or file is: which reader, and its inode there. */
interface Place {
  readonly volume: number;
  readonly inode: number;
  readonly path: Uint8Array;
}

/** The tree of `root`, with other file systems in place of the directories they are mounted at. */
export function walkTree(root: DirectoryReader, mounts: Mounts = new Map()): FileTree {
  const walker = new Walker(root, mounts);
  return {
    entries: () => walker.entries(),
    lookup: (path, options) => walker.lookup(path, options?.follow ?? false),
    list: (path) => walker.list(path),
  };
}

class Walker {
  readonly #readers: readonly DirectoryReader[];
  /** Number of the reader mounted at a path. */
  readonly #mounted = new Map<string, number>();
  readonly #kept = new Map<string, NameList>();

  constructor(root: DirectoryReader, mounts: Mounts) {
    this.#readers = [root, ...mounts.values()];
    for (const [i, path] of [...mounts.keys()].entries()) this.#mounted.set(path, i + 1);
  }

  async *entries(): AsyncGenerator<Entry> {
    const seen = this.#readers.map(() => new InodeSet());
    const root = this.#root();
    yield await this.#entry(root);
    seen[0]!.add(root.inode);
    const stack = [{ place: root, names: await this.#names(root), next: 0 }];
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      if (frame.next === frame.names.length) {
        stack.pop();
        continue;
      }
      const place = this.#child(frame.place, frame.names.at(frame.next++));
      const read = this.#entry(place);
      const entry = read instanceof Promise ? await read : read;
      yield entry;
      if (entry.kind !== 'directory') continue;
      if (!seen[place.volume]!.add(place.inode)) throw reachedTwice(place);
      stack.push({ place, names: await this.#names(place), next: 0 });
    }
  }

  async lookup(path: string | Uint8Array, follow: boolean): Promise<Entry | undefined> {
    const place = await this.#resolve(path, follow);
    return place === undefined ? undefined : this.#entry(place);
  }

  async list(path: string | Uint8Array): Promise<Entry[]> {
    const place = await this.#resolve(path, true);
    if (place === undefined || (await this.#entry(place)).kind !== 'directory') return [];
    const entries: Entry[] = [];
    for (const named of await this.#names(place)) entries.push(await this.#entry(this.#child(place, named)));
    return entries;
  }

  async #resolve(path: string | Uint8Array, follow: boolean): Promise<Place | undefined> {
    const trail = [this.#root()];
    const left = splitPath(path).reverse();
    let symlinks = 0;
    while (left.length > 0) {
      const name = left.pop()!;
      const key = pathKey(name);
      if (key === '.') continue;
      if (key === '..') {
        if (trail.length > 1) trail.pop();
        continue;
      }
      const directory = trail.at(-1)!;
      const named = (await this.#keptNames(directory)).find(name);
      if (named === undefined) return undefined;
      const place = this.#child(directory, named);
      const last = left.length === 0;
      if (last && !follow) return place;
      const entry = await this.#entry(place);
      if (entry.kind === 'symlink') {
        if (++symlinks > MAX_SYMLINKS) return undefined;
        const target = entry.target ?? new Uint8Array(0);
        if (target[0] === 0x2f) trail.length = 1;
        left.push(...splitPath(target).reverse());
      } else if (entry.kind === 'directory') {
        trail.push(place);
      } else {
        return last ? place : undefined;
      }
    }
    return trail.at(-1);
  }

  #root(): Place {
    return { volume: 0, inode: this.#readers[0]!.root, path: new Uint8Array(0) };
  }

  #child(parent: Place, named: NamedInode): Place {
    const path = joinPath(parent.path, named.name);
    if (path.length > MAX_PATH) throw tooDeep(path);
    const volume = this.#mounted.size === 0 ? undefined : this.#mounted.get(pathKey(path));
    if (volume === undefined) return { volume: parent.volume, inode: named.inode, path };
    return { volume, inode: this.#readers[volume]!.root, path };
  }

  #entry(place: Place): Awaitable<Entry> {
    const read = this.#readers[place.volume]!.entry(place.inode, place.path);
    if (place.volume === 0) return read;
    const apart = (entry: Entry): Entry => ({ ...entry, inode: entry.inode + place.volume * INODES_PER_VOLUME });
    return read instanceof Promise ? read.then(apart) : apart(read);
  }

  #names(place: Place): Awaitable<NameList> {
    return this.#readers[place.volume]!.directory(place.inode);
  }

  async #keptNames(place: Place): Promise<NameList> {
    const key = `${place.volume} ${place.inode}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const names = await this.#names(place);
    if (names.length <= KEPT_NAMES) {
      this.#kept.set(key, names);
      if (this.#kept.size > KEPT_DIRECTORIES) this.#kept.delete(this.#kept.keys().next().value!);
    }
    return names;
  }
}

function reachedTwice(place: Place): FormatError {
  return new FormatError(
    'tree.loop',
    `Cannot walk the tree: directory /${Buffer.from(place.path)} was reached by another path before`,
    {
      hint: 'Run fsck on a copy of the disk; two names lead to one directory, which no kernel allows.',
      evidence: { inode: place.inode },
    },
  );
}

function tooDeep(path: Uint8Array): FormatError {
  return new FormatError('tree.too-deep', `Cannot walk the tree: a path is longer than ${MAX_PATH} bytes`, {
    hint: 'Run fsck on a copy of the disk; no kernel can open a path this long.',
    evidence: { begins: Buffer.from(path.subarray(0, 200)).toString() },
  });
}
