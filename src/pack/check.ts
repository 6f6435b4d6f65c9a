/** Reads an artifact back, by another way than it was written, and compares it with the disk it was made from. */
import { createReadStream } from 'node:fs';
import type { BlockSource } from '../disk/block-source.ts';
import { PackError } from '../errors.ts';
import type { Entry, FileData, FileTree, Xattr } from '../filesystem/file-tree.ts';
import { readTar, type TarEntry } from '../formats/tar/reader.ts';
import { type CompressedKind, decompress } from '../host/decompress.ts';
import { FirstNames } from './first-names.ts';

/** What was compared and found equal. */
export interface Checked {
  /** Members of a tree. */
  readonly entries: number;
  /** Bytes of content. */
  readonly bytes: number;
}

export interface CheckOptions {
  /** The file to read, under whatever name. */
  readonly path: string;
  readonly compression: CompressedKind | 'none';
  /** What it is called in errors. */
  readonly file: string;
  readonly signal: AbortSignal;
}

const STEP = 1024 * 1024;

/**
 * Compares an archive with `tree`, entry by entry and byte by byte; the tree is the sealed one.
 * @param latestTime times after it were set back to it; nanoseconds since 1970
 * @throws PackError `check.differs` naming what and where; FormatError when the archive is damaged
 */
export async function checkTree(
  options: CheckOptions,
  tree: FileTree,
  latestTime: bigint | undefined,
): Promise<Checked> {
  const expected = tree.entries()[Symbol.asyncIterator]();
  const firstNames = new FirstNames();
  let entries = 0;
  let bytes = 0;
  for await (const member of readTar(content(options))) {
    options.signal.throwIfAborted();
    const entry = await nextStored(expected);
    const differs = (what: string, want: unknown, have: unknown): PackError =>
      difference(options.file, text(entry?.path ?? member.name), what, want, have);
    if (entry === undefined) throw differs('entry', 'nothing', text(member.name));
    const name = archiveName(entry);
    if (text(member.name) !== name) throw differs('name', name, text(member.name));
    const first = firstNames.of(entry);
    if (first !== undefined) {
      const target = archiveName({ kind: entry.kind, path: first });
      if (member.type !== 'hardLink') throw differs('type', `a hard link to ${target}`, member.type);
      if (text(member.linkName ?? new Uint8Array(0)) !== target)
        throw differs('link', target, text(member.linkName ?? new Uint8Array(0)));
    } else {
      compareFacts(entry, member, latestTime, differs);
      if (entry.data !== undefined) bytes += await compareContent(entry.data, member, differs);
    }
    entries++;
  }
  const missing = await nextStored(expected);
  if (missing !== undefined) throw difference(options.file, text(missing.path), 'entry', 'to be there', 'nothing');
  return { entries, bytes };
}

/** Compares a disk's artifact with `source`, byte by byte. @throws as `checkTree` */
export async function checkDisk(options: CheckOptions, source: BlockSource, inTar: boolean): Promise<Checked> {
  if (!inTar) return { entries: 1, bytes: await compareDisk(options, source, content(options)) };
  let entries = 0;
  let bytes = 0;
  for await (const member of readTar(content(options))) {
    if (++entries > 1) break;
    bytes = await compareDisk(options, source, member.body());
  }
  if (entries !== 1) throw difference(options.file, 'the archive', 'members', 1, entries);
  return { entries, bytes };
}

function content({ path, compression }: CheckOptions): AsyncIterable<Uint8Array> {
  return compression === 'none' ? createReadStream(path, { highWaterMark: STEP }) : decompress(path, compression);
}

/** The next entry that tar can hold. */
async function nextStored(entries: AsyncIterator<Entry>): Promise<Entry | undefined> {
  for (;;) {
    const { value, done } = await entries.next();
    if (done) return undefined;
    if ((value as Entry).kind !== 'socket') return value as Entry;
  }
}

type Differs = (what: string, want: unknown, have: unknown) => PackError;

function compareFacts(entry: Entry, member: TarEntry, latestTime: bigint | undefined, differs: Differs): void {
  const mtime = latestTime !== undefined && entry.mtime > latestTime ? latestTime : entry.mtime;
  const device = (one: Entry['device']): string => (one === undefined ? '' : `${one.major}:${one.minor}`);
  const special = entry.kind === 'character' || entry.kind === 'block';
  const facts: readonly (readonly [what: string, want: unknown, have: unknown])[] = [
    ['type', entry.kind, member.type],
    ['mode', entry.mode.toString(8), member.mode.toString(8)],
    ['owner', `${entry.uid}:${entry.gid}`, `${member.uid}:${member.gid}`],
    ['time', mtime, member.mtime],
    ['size', entry.data?.size ?? 0, member.size],
    ['target', text(entry.target ?? new Uint8Array(0)), text(member.linkName ?? new Uint8Array(0))],
    ['device', device(entry.device), special ? device(member.device) : ''],
    ['xattrs', attributes(entry.xattrs), attributes(member.xattrs)],
  ];
  for (const [what, want, have] of facts) if (want !== have) throw differs(what, want, have);
}

function attributes(xattrs: readonly Xattr[]): string {
  return xattrs
    .map(({ name, value }) => `${text(name)}=${Buffer.from(value).toString('hex')}`)
    .sort()
    .join(' ');
}

/** Compares what is stored of a file, and that what is not stored is a hole on the disk too. */
async function compareContent(data: FileData, member: TarEntry, differs: Differs): Promise<number> {
  const runs = member.sparse ?? [{ offset: 0, length: member.size }];
  for (const { logical, length } of data.extents) {
    const held = runs.some((run) => run.offset <= logical && logical + length <= run.offset + run.length);
    if (!held) throw differs('data', `bytes ${logical} to ${logical + length}`, 'a hole');
  }
  let run = 0;
  let within = 0;
  let bytes = 0;
  for await (const piece of member.body()) {
    for (let at = 0; at < piece.length; ) {
      while (run < runs.length && within === runs[run]!.length) {
        run++;
        within = 0;
      }
      const place = runs[run];
      if (place === undefined) throw differs('data', 'its end', 'more bytes');
      const length = Math.min(piece.length - at, place.length - within, STEP);
      const want = await readRange(data, place.offset + within, length);
      const have = piece.subarray(at, at + length);
      const where = Buffer.compare(want, have) === 0 ? -1 : want.findIndex((byte, index) => byte !== have[index]);
      if (where >= 0) throw differs(`byte ${place.offset + within + where}`, want[where], have[where]);
      at += length;
      within += length;
      bytes += length;
    }
  }
  const stored = runs.reduce((sum, { length }) => sum + length, 0);
  if (bytes !== stored) throw differs('data', `${stored} bytes`, `${bytes} bytes`);
  return bytes;
}

/** Bytes of a file as a program reads them: holes are zeros. */
async function readRange(data: FileData, position: number, length: number): Promise<Uint8Array> {
  if (data.inline !== undefined) return data.inline.subarray(position, position + length);
  const into = new Uint8Array(length);
  let low = 0;
  for (let high = data.extents.length; low < high; ) {
    const middle = (low + high) >> 1;
    const { logical, length: size } = data.extents[middle]!;
    if (logical + size <= position) low = middle + 1;
    else high = middle;
  }
  for (; low < data.extents.length && data.extents[low]!.logical < position + length; low++) {
    const extent = data.extents[low]!;
    const from = Math.max(position, extent.logical);
    const to = Math.min(position + length, extent.logical + extent.length);
    const at = extent.position + from - extent.logical;
    await data.source?.read(at, into.subarray(from - position, to - position));
  }
  return into;
}

async function compareDisk(
  options: CheckOptions,
  source: BlockSource,
  pieces: AsyncIterable<Uint8Array>,
): Promise<number> {
  let position = 0;
  const buffer = new Uint8Array(STEP);
  for await (const piece of pieces) {
    options.signal.throwIfAborted();
    if (position + piece.length > source.size) {
      throw difference(options.file, 'the disk', 'length', source.size, `more than ${position}`);
    }
    for (let at = 0; at < piece.length; ) {
      const length = Math.min(STEP, piece.length - at);
      const want = buffer.subarray(0, length);
      const have = piece.subarray(at, at + length);
      await source.read(position + at, want);
      if (Buffer.compare(want, have) !== 0) {
        const where = want.findIndex((byte, index) => byte !== have[index]);
        throw difference(options.file, 'the disk', `byte ${position + at + where}`, want[where], have[where]);
      }
      at += length;
    }
    position += piece.length;
  }
  if (position !== source.size) throw difference(options.file, 'the disk', 'length', source.size, position);
  return position;
}

function archiveName({ kind, path }: Pick<Entry, 'kind' | 'path'>): string {
  const slash = kind === 'directory' && path.length > 0 ? '/' : '';
  return `./${text(path)}${slash}`;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function difference(file: string, path: string, what: string, want: unknown, have: unknown): PackError {
  return new PackError('check.differs', `Cannot trust ${file}: ${path} is not as on the disk (${what})`, {
    hint: 'Memory or storage of this host may be failing, or the disk changed while it was packed. Nothing was kept.',
    evidence: { what, onDisk: String(want).slice(0, 200), inArtifact: String(have).slice(0, 200) },
  });
}
