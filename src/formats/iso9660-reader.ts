/**
 * Reads ISO 9660 images: by Rock Ridge where it is there, else by Joliet, else by the plain names. With a disk as its
 * source an open image has the shape of a file tree: its entries carry their extents.
 */
import { FormatError } from '../errors.ts';
import { FLAG_DIRECTORY, FLAG_MULTI_EXTENT, SECTOR } from './iso9660/layout.ts';
import { type BootImage, readBootCatalogue } from './iso9660-el-torito.ts';
import { compareBytes, foldCase, isDots, joinPath, SLASH, splitPath } from './iso9660-paths.ts';
import {
  directoryRecords,
  type IsoDescriptor,
  type IsoDescriptors,
  type IsoRecord,
  type IsoSource,
  isoDamaged,
  readIso,
} from './iso9660-records.ts';
import { readSystemUse, type SystemUse } from './iso9660-susp.ts';
import { readDescriptors, rockRidgeSkip } from './iso9660-volume.ts';

export type { BootImage } from './iso9660-el-torito.ts';
export type { IsoSource } from './iso9660-records.ts';

export type IsoNames = 'rock-ridge' | 'joliet' | 'plain';

type Kind = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

/** One name of an image. Joliet and plain names have no owners and modes: root's, and read-only, stand in for them. */
export interface IsoEntry<S extends IsoSource = IsoSource> {
  /** UTF-8 bytes from the root (Rock Ridge: whatever bytes were there), without a leading slash; empty for the root. */
  readonly path: Uint8Array;
  readonly kind: Kind;
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Byte position of the name's record: ISO 9660 has no inodes, and every name is a file of its own. */
  readonly inode: number;
  readonly links: 1;
  readonly xattrs: readonly [];
  readonly device?: { readonly major: number; readonly minor: number };
  readonly target?: Uint8Array;
  readonly data?: IsoData<S>;
  /** Why a file has no `data`: it is stored in a way that is not read here. */
  readonly unreadable?: string;
}

export interface IsoData<S extends IsoSource = IsoSource> {
  /** Bytes; a file of many extents may be longer than 4 GiB. */
  readonly size: number;
  readonly extents: readonly { readonly logical: number; readonly length: number; readonly position: number }[];
  readonly source: S;
}

export interface Iso9660<S extends IsoSource = IsoSource> {
  readonly volumeId: string;
  /** Where the names come from. */
  readonly names: IsoNames;
  /** Bytes the volume says it has; more than the source has when the image was cut short. */
  readonly volumeSize: number;
  /** Whether there is a UDF file system too; media of Windows keep their files there alone. */
  readonly udf: boolean;
  /** Every entry, root first, parents before children, the children of a directory sorted by bytes. */
  entries(): AsyncGenerator<IsoEntry<S>>;
  /**
   * The entry at `path`, or undefined. Joliet and plain names match in any case. Symlinks on the way are followed,
   * the last one only when `follow` is set.
   */
  lookup(path: string | Uint8Array, options?: { readonly follow?: boolean }): Promise<IsoEntry<S> | undefined>;
  /** What is in a directory, sorted by bytes; empty when it is none. */
  list(path: string | Uint8Array): Promise<IsoEntry<S>[]>;
  /** The images a firmware would start; empty when there is no El Torito catalogue. */
  bootImages(): Promise<BootImage[]>;
}

const MAX_DIRECTORY = 64 * 1024 * 1024;
/** Continuation areas may be shared; this bounds what one directory makes us read again and again. */
const MAX_CONTINUED = 64 * 1024 * 1024;
const MAX_DEPTH = 256;
const MAX_LINKS = 40;
const FLAG_ASSOCIATED = 0x04;
const TYPES: ReadonlyMap<number, Kind> = new Map([
  [0o010000, 'fifo'],
  [0o020000, 'character'],
  [0o040000, 'directory'],
  [0o060000, 'block'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o140000, 'socket'],
]);
const TYPE_MASK = 0o170000;
const encoder = new TextEncoder();
const latin1 = new TextDecoder('latin1');
const utf16 = new TextDecoder('utf-16be');

/**
 * Opens the image in `source`.
 * @param options.prefer names to read instead of the best ones the image has
 * @throws FormatError `iso9660.not-iso9660`, `iso9660.udf`, `iso9660.damaged`, `iso9660.truncated`; `iso9660.names` when the image has
 *   not the names that are preferred
 */
export async function openIso9660<S extends IsoSource>(
  source: S,
  options: { readonly prefer?: IsoNames } = {},
): Promise<Iso9660<S>> {
  const descriptors = await readDescriptors(source);
  const rockRidge = await rockRidgeSkip(source, descriptors.primary);
  const best: IsoNames = rockRidge !== undefined ? 'rock-ridge' : descriptors.joliet !== undefined ? 'joliet' : 'plain';
  const names = options.prefer ?? best;
  const volume = names === 'joliet' ? descriptors.joliet : descriptors.primary;
  if (volume === undefined || (names === 'rock-ridge' && rockRidge === undefined)) {
    throw new FormatError('iso9660.names', `Cannot read the ISO image by its ${names} names: it has none`);
  }
  return new Reader(source, volume, names, rockRidge ?? 0, descriptors);
}

/** A directory's place in the image, with the entry that names it. */
interface Node<S extends IsoSource> {
  readonly entry: IsoEntry<S>;
  readonly name: Uint8Array;
  readonly place: { readonly position: number; readonly length: number } | undefined;
}

class Reader<S extends IsoSource> implements Iso9660<S> {
  readonly volumeId: string;
  readonly names: IsoNames;
  readonly volumeSize: number;
  readonly udf: boolean;
  readonly #source: S;
  readonly #volume: IsoDescriptor;
  readonly #skip: number;
  readonly #bootCatalogue: number | undefined;

  constructor(source: S, volume: IsoDescriptor, names: IsoNames, skip: number, descriptors: IsoDescriptors) {
    this.#source = source;
    this.#volume = volume;
    this.#skip = skip;
    this.#bootCatalogue = descriptors.bootCatalogue;
    this.names = names;
    this.volumeId = descriptors.primary.volumeId;
    this.volumeSize = descriptors.primary.volumeSize;
    this.udf = descriptors.udf;
  }

  async *entries(): AsyncGenerator<IsoEntry<S>> {
    const seen = new Set<number>();
    const stack = [{ node: await this.#root(), depth: 0 }];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const { node, depth } = top;
      yield node.entry;
      if (node.place === undefined) continue;
      if (depth > MAX_DEPTH) throw isoDamaged('a directory', `it is nested ${MAX_DEPTH} levels deep`);
      if (seen.has(node.place.position)) throw isoDamaged('a directory', 'two names lead to it, or it holds itself');
      seen.add(node.place.position);
      const children = await this.#children(node);
      for (const child of children.reverse()) stack.push({ node: child, depth: depth + 1 });
    }
  }

  async lookup(
    path: string | Uint8Array,
    options: { readonly follow?: boolean } = {},
  ): Promise<IsoEntry<S> | undefined> {
    return (await this.#find(path, options.follow ?? false))?.entry;
  }

  async list(path: string | Uint8Array): Promise<IsoEntry<S>[]> {
    const node = await this.#find(path, true);
    return node?.place === undefined ? [] : (await this.#children(node)).map((child) => child.entry);
  }

  async bootImages(): Promise<BootImage[]> {
    return this.#bootCatalogue === undefined ? [] : readBootCatalogue(this.#source, this.#bootCatalogue);
  }

  async #find(path: string | Uint8Array, follow: boolean): Promise<Node<S> | undefined> {
    const pending = splitPath(typeof path === 'string' ? encoder.encode(path) : path);
    const trail = [await this.#root()];
    for (let links = 0; pending.length > 0; ) {
      const part = pending.shift() as Uint8Array;
      if (isDots(part, 1)) continue;
      if (isDots(part, 2)) {
        if (trail.length > 1) trail.pop();
        continue;
      }
      const node = trail.at(-1) as Node<S>;
      if (node.place === undefined || trail.length > MAX_DEPTH) return undefined;
      const child = this.#match(await this.#children(node), part);
      if (child === undefined) return undefined;
      const { target } = child.entry;
      if (target === undefined || (pending.length === 0 && !follow)) {
        trail.push(child);
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      if (target[0] === SLASH) trail.length = 1;
      pending.unshift(...splitPath(target));
    }
    return trail.at(-1);
  }

  #match(children: readonly Node<S>[], name: Uint8Array): Node<S> | undefined {
    const exact = children.find((child) => compareBytes(child.name, name) === 0);
    if (exact !== undefined || this.names === 'rock-ridge') return exact;
    const folded = foldCase(name);
    return children.find((child) => foldCase(child.name) === folded);
  }

  async #root(): Promise<Node<S>> {
    const { root, blockSize } = this.#volume;
    const place = { position: root.location * blockSize, length: root.length };
    const { value: dot } = directoryRecords(await this.#directory(place, SECTOR), place.position).next();
    const use = dot === undefined ? undefined : await this.#systemUse(dot, { left: MAX_CONTINUED });
    return { ...this.#node(root, use, new Uint8Array(0), new Uint8Array(0), []), place };
  }

  async #directory(place: { position: number; length: number }, most = MAX_DIRECTORY): Promise<Uint8Array> {
    if (place.length > MAX_DIRECTORY) throw isoDamaged('a directory', `it is said to have ${place.length} bytes`);
    return readIso(this.#source, place.position, Math.min(place.length, most), 'a directory');
  }

  #systemUse(record: IsoRecord, budget: { left: number }): Promise<SystemUse> | undefined {
    if (this.names !== 'rock-ridge') return undefined;
    return readSystemUse(record.use, this.#skip, (block, offset, length) => {
      budget.left -= length;
      if (budget.left < 0) throw isoDamaged('a directory', 'its names go on without end');
      return readIso(this.#source, block * this.#volume.blockSize + offset, length, 'a continuation area');
    });
  }

  async #children(parent: Node<S>): Promise<Node<S>[]> {
    if (parent.place === undefined) return [];
    const bytes = await this.#directory(parent.place);
    const budget = { left: MAX_CONTINUED };
    const found = new Map<string, Node<S>>();
    let parts: IsoRecord[] = [];
    for (const record of directoryRecords(bytes, parent.place.position)) {
      if (isSelfOrParent(record) || (record.flags & FLAG_ASSOCIATED) !== 0) continue;
      if ((record.flags & FLAG_MULTI_EXTENT) !== 0) {
        parts.push(record);
        continue;
      }
      const use = await this.#systemUse(parts[0] ?? record, budget);
      if (use?.relocated !== true) {
        const child = await this.#child(parent, record, parts, use);
        const key = latin1.decode(child.name);
        // Of a file's versions the newest comes first (ECMA-119 9.3).
        if (!found.has(key)) found.set(key, child);
      }
      parts = [];
    }
    if (parts.length > 0) throw isoDamaged('a directory', 'the last part of a file is missing');
    return [...found.values()].sort((a, b) => compareBytes(a.name, b.name));
  }

  async #child(
    parent: Node<S>,
    record: IsoRecord,
    parts: readonly IsoRecord[],
    use: SystemUse | undefined,
  ): Promise<Node<S>> {
    const name = use?.name ?? this.#decodeName(record);
    if (name.length === 0 || name.includes(SLASH) || name.includes(0) || isDots(name, 1) || isDots(name, 2)) {
      throw isoDamaged('a directory', `the record at byte ${record.at} has a name no file can have`);
    }
    const path = joinPath(parent.entry.path, name);
    if (use?.childLink === undefined) return this.#node(record, use, path, name, parts);
    const position = use.childLink * this.#volume.blockSize;
    const { value: dot } = directoryRecords(
      await readIso(this.#source, position, SECTOR, 'a moved directory'),
      position,
    ).next();
    if (dot === undefined) throw isoDamaged('a moved directory', 'it is empty');
    const moved = await this.#systemUse(dot, { left: MAX_CONTINUED });
    const { entry } = this.#node({ ...dot, at: record.at, flags: FLAG_DIRECTORY }, moved, path, name, []);
    return { entry, name, place: { position, length: dot.length } };
  }

  #decodeName(record: IsoRecord): Uint8Array {
    const text = (this.names === 'joliet' ? utf16 : latin1).decode(record.identifier);
    const bare = text.replace(/;\d*$/, '');
    return encoder.encode(this.names === 'joliet' ? bare : bare.replace(/\.$/, ''));
  }

  #node(
    record: IsoRecord,
    use: SystemUse | undefined,
    path: Uint8Array,
    name: Uint8Array,
    parts: readonly IsoRecord[],
  ): Node<S> {
    const directory = (record.flags & FLAG_DIRECTORY) !== 0;
    const type = use?.mode === undefined ? undefined : TYPES.get(use.mode & TYPE_MASK);
    const kind = directory ? 'directory' : type === undefined || type === 'directory' ? 'file' : type;
    const entry: IsoEntry<S> = {
      path,
      kind,
      mode: use?.mode === undefined ? (directory ? 0o555 : 0o444) : use.mode & 0o7777,
      uid: use?.uid ?? 0,
      gid: use?.gid ?? 0,
      mtime: use?.mtime ?? record.mtime,
      inode: record.at,
      links: 1,
      xattrs: [],
      ...(kind === 'symlink' ? { target: use?.target ?? new Uint8Array(0) } : {}),
      ...(kind === 'character' || kind === 'block' ? { device: use?.device ?? { major: 0, minor: 0 } } : {}),
      ...(kind === 'file' ? this.#content([...parts, record], use) : {}),
    };
    const position = record.location * this.#volume.blockSize;
    return { entry, name, place: directory ? { position, length: record.length } : undefined };
  }

  #content(records: readonly IsoRecord[], use: SystemUse | undefined): Pick<IsoEntry<S>, 'data' | 'unreadable'> {
    if (use?.compressed === true) return { unreadable: 'it is compressed with zisofs' };
    if (records.some((record) => record.interleaved)) return { unreadable: 'it is interleaved with other files' };
    let size = 0;
    const extents = [];
    for (const { location, length } of records) {
      if (length > 0) extents.push({ logical: size, length, position: location * this.#volume.blockSize });
      size += length;
    }
    return { data: { size, extents, source: this.#source } };
  }
}

function isSelfOrParent({ identifier }: IsoRecord): boolean {
  return identifier.length === 1 && (identifier[0] === 0 || identifier[0] === 1);
}
