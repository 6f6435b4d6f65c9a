import { FlagCounts } from '../filesystem/file-flags.ts';
import type { Entry, FileTree } from '../filesystem/file-tree.ts';
import { Slab } from '../formats/slab.ts';
import { padding } from '../formats/tar/layout.ts';
import { archiveEnd, memberHeader, type TarMember } from '../formats/tar/writer.ts';
import type { Cutter } from './cutter.ts';
import { FirstNames } from './first-names.ts';
import type { Overlay } from './overlay.ts';

/** What went into an archive and what could not. */
export interface TreeCounts {
  entries: number;
  hardLinks: number;
  /** Bytes of file content, holes not counted. */
  contentBytes: number;
  /** Sockets, which tar cannot hold; programs make them when they start. */
  droppedSockets: number;
  /** Inodes with attributes of chattr(1) or a project number, which tar cannot hold either. */
  readonly lostFlags: FlagCounts;
  /** Names that GNU tar cannot unpack, because Linux opens no path as long. */
  longPaths: number;
}

/** Bytes of the longest path that Linux opens (PATH_MAX without the NUL). */
const LONGEST_PATH = 4095;

export interface TreeOptions {
  readonly overlay: Overlay;
  /** Times after it are set back to it; nanoseconds since 1970. */
  readonly latestTime?: bigint | undefined;
  readonly listener?: TreeListener | undefined;
}

/** Is told what goes into an archive, in order. */
export interface TreeListener {
  /** An entry that stays; one that is emptied has no bytes. `first` is the path of the same inode that was told before. */
  entry(entry: Entry, first: Uint8Array | undefined): void;
  /** The stored bytes of the entry told last, its extents one after another, begin at byte `start` of the stream. */
  content(start: number): void;
}

const HERE = Uint8Array.of(0x2e, 0x2f);
const SLASH = 0x2f;
const names = new Slab();

/**
 * Writes `tree` as a tar stream, edits applied. Names begin with "./". Of a set of hard links the first name that stays
 * carries the data, because GNU tar ends with an error on a link that comes before its target.
 */
export async function writeTree(tree: FileTree, cutter: Cutter, options: TreeOptions): Promise<TreeCounts> {
  const counts: TreeCounts = {
    entries: 0,
    hardLinks: 0,
    contentBytes: 0,
    droppedSockets: 0,
    lostFlags: new FlagCounts(),
    longPaths: 0,
  };
  const firstNames = new FirstNames();
  for await (const entry of tree.entries()) {
    const verdict = options.overlay.judge(entry);
    if (verdict === 'drop') continue;
    if (entry.kind === 'socket') {
      counts.droppedSockets++;
      continue;
    }
    counts.entries++;
    const first = firstNames.of(entry);
    options.listener?.entry(verdict === 'empty' ? { ...entry, data: { size: 0, extents: [] } } : entry, first);
    const name = archiveName(entry);
    if (name.length > LONGEST_PATH) counts.longPaths++;
    if (first !== undefined) {
      counts.hardLinks++;
      const linkName = archiveName({ kind: entry.kind, path: first });
      await cutter.literal(memberHeader(member(entry, name, options, { type: 'hardLink', linkName, size: 0 })));
      continue;
    }
    if (entry.flags) counts.lostFlags.add(entry.flags);
    await writeMember(entry, name, verdict === 'empty', cutter, options, counts);
  }
  await cutter.zeros(archiveEnd(cutter.written));
  return counts;
}

async function writeMember(
  entry: Entry,
  name: Uint8Array,
  emptied: boolean,
  cutter: Cutter,
  options: TreeOptions,
  counts: TreeCounts,
): Promise<void> {
  const data = emptied ? undefined : entry.data;
  if (data === undefined || data.size === 0) {
    return cutter.literal(memberHeader(member(entry, name, options, { size: 0 })));
  }
  if (data.inline !== undefined) {
    await cutter.literal(memberHeader(member(entry, name, options, { size: data.size })));
    options.listener?.content(cutter.written);
    await cutter.literal(data.inline);
    await cutter.zeros(padding(data.size));
    counts.contentBytes += data.size;
    return;
  }
  const stored = data.extents.reduce((sum, extent) => sum + extent.length, 0);
  const runs = data.extents.map((extent) => ({ offset: extent.logical, length: extent.length }));
  const sparse = stored < data.size ? joinRuns(runs) : undefined;
  await cutter.literal(memberHeader(member(entry, name, options, { size: data.size, sparse })));
  options.listener?.content(cutter.written);
  if (data.source !== undefined) {
    for (const extent of data.extents) await cutter.data(data.source, extent.position, extent.length);
  }
  await cutter.zeros(padding(stored));
  counts.contentBytes += stored;
}

function member(entry: Entry, name: Uint8Array, options: TreeOptions, over: Partial<TarMember>): TarMember {
  const { kind, mode, uid, gid, xattrs } = entry;
  const { latestTime } = options;
  const mtime = latestTime !== undefined && entry.mtime > latestTime ? latestTime : entry.mtime;
  const type = kind === 'socket' ? 'file' : kind;
  return { name, type, mode, uid, gid, mtime, size: 0, linkName: entry.target, device: entry.device, xattrs, ...over };
}

/** Runs that touch become one: where an extent ends says nothing about the file. */
function joinRuns(runs: readonly { offset: number; length: number }[]): { offset: number; length: number }[] {
  const joined: { offset: number; length: number }[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last !== undefined && last.offset + last.length === run.offset) last.length += run.length;
    else joined.push({ ...run });
  }
  return joined;
}

function archiveName({ kind, path }: Pick<Entry, 'kind' | 'path'>): Uint8Array {
  const slash = kind === 'directory' && path.length > 0;
  const name = names.take(HERE.length + path.length + (slash ? 1 : 0));
  name.set(HERE);
  name.set(path, HERE.length);
  if (slash) name[name.length - 1] = SLASH;
  return name;
}
