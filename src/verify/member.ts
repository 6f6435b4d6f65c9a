/** The things in a tree one after another, whether they come out of an archive or from a file system. */
import type { Entry, FileData, FileTree, Xattr } from '../filesystem/file-tree.ts';
import { readTar, type TarEntry } from '../formats/tar/reader.ts';

/** A name in an archive, and what is behind it. */
export interface Member {
  /** As the archive has it: `./etc/passwd`. */
  readonly name: string;
  /** From the root of the tree, without slashes at its ends; empty for the root itself. */
  readonly path: string;
  readonly type: TarEntry['type'];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Bytes of a file. */
  readonly size: number;
  /** Target of a link: of a hard one the path, as `path`; of a symbolic one the text. */
  readonly link: string | undefined;
  readonly device: { readonly major: number; readonly minor: number } | undefined;
  readonly xattrs: readonly Xattr[];
  /** Attributes in records that GNU tar passes over with curtin's flags. */
  readonly otherXattrs: readonly string[];
  /** The first `length` bytes of a file, fewer where it is shorter. Good until the next member is asked for. */
  head(length: number): Promise<Uint8Array>;
}

/** The members of a tar stream. @throws the errors of readTar */
export async function* tarMembers(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Member> {
  for await (const entry of readTar(chunks)) {
    const name = textOf(entry.name);
    const { type, mode, uid, gid, mtime, size, xattrs, otherXattrs, device } = entry;
    const target = entry.linkName === undefined ? undefined : textOf(entry.linkName);
    const link = type === 'hardLink' && target !== undefined ? pathOf(target) : target;
    const special = type === 'character' || type === 'block';
    yield {
      ...{ name, path: pathOf(name), type, mode, uid, gid, mtime, size, link, xattrs, otherXattrs },
      device: special ? device : undefined,
      head: (length) => tarHead(entry, length),
    };
  }
}

/** The members `compose pack` would make of `tree`: the same names in the same order, hard links after their first name. */
export async function* treeMembers(tree: FileTree): AsyncGenerator<Member> {
  const firsts = new Map<number, string>();
  for await (const entry of tree.entries()) {
    if (entry.kind === 'socket') continue;
    const path = textOf(entry.path);
    const linked = entry.links > 1 && entry.kind !== 'directory';
    const first = linked ? firsts.get(entry.inode) : undefined;
    if (linked && first === undefined) firsts.set(entry.inode, path);
    const { mode, uid, gid, mtime, xattrs, device, data } = entry;
    const target = entry.target === undefined ? undefined : textOf(entry.target);
    yield {
      name: `./${path}${entry.kind === 'directory' && path !== '' ? '/' : ''}`,
      ...{ path, mode, uid, gid, mtime, xattrs, device, otherXattrs: [] },
      type: first === undefined ? entry.kind : 'hardLink',
      size: first === undefined ? (data?.size ?? 0) : 0,
      link: first ?? target,
      head: (length) => dataHead(first === undefined ? data : undefined, length),
    };
  }
}

/** Of a member, as an entry of a tree; `content` is what was read of a file. */
export function entryOf(member: Member, content: Uint8Array | undefined): Entry {
  const { path, type, mode, uid, gid, mtime, size, link, device, xattrs } = member;
  const kind = type === 'hardLink' ? 'file' : type;
  const common = { path: Buffer.from(path), kind, mode, uid, gid, mtime, inode: 0, links: 1, xattrs };
  if (kind === 'symlink') return { ...common, target: Buffer.from(link ?? '') };
  if (kind !== 'file') return device === undefined ? common : { ...common, device };
  const whole = content !== undefined && content.length === size;
  return { ...common, data: whole ? { size, extents: [], inline: content } : { size, extents: [] } };
}

async function tarHead(entry: TarEntry, length: number): Promise<Uint8Array> {
  if (entry.size <= length) return entry.content(length);
  const parts: Uint8Array[] = [];
  let left = length;
  for await (const chunk of entry.body()) {
    parts.push(Buffer.from(chunk.subarray(0, left)));
    left -= chunk.length;
    if (left <= 0) break;
  }
  return Buffer.concat(parts);
}

/** The first `length` bytes of a file of a file system. */
export async function dataHead(data: FileData | undefined, length: number): Promise<Uint8Array> {
  if (data === undefined) return new Uint8Array(0);
  if (data.inline !== undefined) return data.inline.subarray(0, length);
  const head = new Uint8Array(Math.min(data.size, length));
  for (const { logical, position, length: run } of data.extents) {
    if (logical >= head.length) break;
    await data.source?.read(position, head.subarray(logical, Math.min(head.length, logical + run)));
  }
  return head;
}

/** `./etc/passwd`, `/etc/passwd` and `etc/passwd/` are one place. */
export function pathOf(name: string): string {
  return name
    .replace(/^(?:\.?\/)+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
}

/** Paths are looked at as UTF-8; bytes that are none become marks that no rule asks for. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
