import type { Context } from '../events.ts';
import type { Entry, EntryKind } from '../filesystem/file-tree.ts';
import { readTar, type TarEntry } from '../formats/tar/reader.ts';
import { ArchiveTree } from './archive-tree.ts';
import { describeSystem, type Inspection } from './inspect.ts';
import { DATABASE_LIMIT, isPackageDatabase } from './packages.ts';

/** Files whose content an inspection reads; nothing else of the archive is kept. */
const isRead = (key: string): boolean => key === 'etc/machine-id' || isPackageDatabase(key);
const KINDS: Readonly<Record<TarEntry['type'], EntryKind>> = {
  file: 'file',
  hardLink: 'file',
  symlink: 'symlink',
  character: 'character',
  block: 'block',
  directory: 'directory',
  fifo: 'fifo',
};

/** Describes the tree in a tar stream, in one pass and without unpacking it. */
export async function inspectTar(chunks: AsyncIterable<Uint8Array>, context: Context): Promise<Inspection> {
  const entries = new Map<string, Entry>();
  let room = DATABASE_LIMIT;
  for await (const member of readTar(chunks)) {
    context.signal.throwIfAborted();
    const key = keyOf(member.name);
    const bytes = isRead(key) && member.type === 'file' ? await member.content(room) : new Uint8Array(0);
    room -= bytes.length;
    entries.set(key, toEntry(member, key, bytes));
  }
  const base = {
    kind: 'tar',
    format: 'tar, compressed by gzip',
    size: 0,
    chain: [],
    partitions: [],
    logicalVolumes: [],
  } as const;
  if (!entries.has('etc')) return { ...base, system: undefined, problem: 'the archive holds no /etc' };
  return { ...base, system: await describeSystem(new ArchiveTree(entries)), problem: undefined };
}

function keyOf(name: Uint8Array): string {
  return Buffer.from(name)
    .toString('utf8')
    .replace(/^(\.?\/)+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
}

function toEntry(member: TarEntry, key: string, content: Uint8Array): Entry {
  const { mode, uid, gid, mtime, xattrs, linkName, size } = member;
  const kind = KINDS[member.type];
  return {
    path: Buffer.from(key),
    kind,
    mode,
    uid,
    gid,
    mtime,
    inode: 0,
    links: 1,
    xattrs,
    ...(kind === 'symlink' && linkName !== undefined ? { target: linkName } : {}),
    ...(kind === 'file'
      ? { data: { size: content.length || (isRead(key) ? 0 : size), extents: [], inline: content } }
      : {}),
  };
}
