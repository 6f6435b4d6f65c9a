/** A list of everything in a tree, a JSON object a line, that two trees share exactly when they are the same. */
import { join, resolve } from 'node:path';
import type { Entry, FileData, FileTree, Xattr } from '../filesystem/file-tree.ts';
import { decimalTime } from '../formats/tar/writer.ts';
import { type ContentDigest, contentDigest } from './content-digest.ts';
import { FirstNames } from './first-names.ts';
import type { Outcome } from './outcome.ts';
import type { FileSink } from './sink.ts';

/** A finished manifest. */
export interface TreeManifest {
  readonly file: string;
  readonly path: string;
  readonly entries: number;
  /** SHA-256 of the file, and so of the tree. */
  readonly treeDigest: string;
}

export interface TreeManifestOptions {
  /** What gives it its name. */
  readonly outcome: Outcome;
  readonly out: string;
  /** Base name: the file is `<name>.files.jsonl`. */
  readonly name: string;
  /** Times after it are set back to it; nanoseconds since 1970. */
  readonly latestTime?: bigint | undefined;
  readonly signal: AbortSignal;
}

const FLUSH = 256 * 1024;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Writes `<name>.files.jsonl` for `tree`, which is the tree as it is packed.
 * @throws PackError `pack.output`, `pack.write`, `pack.disk-full`; the errors of reading the tree
 */
export async function writeTreeManifest(tree: FileTree, options: TreeManifestOptions): Promise<TreeManifest> {
  const manifest = await ManifestFile.create(options);
  for await (const line of manifestLines(tree, options.latestTime)) {
    options.signal.throwIfAborted();
    await manifest.add(line);
  }
  return await manifest.finish();
}

/** A manifest on its way to the disk. */
export class ManifestFile {
  readonly #file: string;
  readonly #sink: FileSink;
  #entries = 0;
  #text = '';

  private constructor(file: string, sink: FileSink) {
    this.#file = file;
    this.#sink = sink;
  }

  /** @throws PackError `pack.output` */
  static async create(options: Pick<TreeManifestOptions, 'outcome' | 'out' | 'name'>): Promise<ManifestFile> {
    const file = `${options.name}.files.jsonl`;
    return new ManifestFile(file, await options.outcome.create(join(resolve(options.out), file)));
  }

  async add(line: string): Promise<void> {
    this.#entries++;
    this.#text += line;
    if (this.#text.length >= FLUSH) await this.#flush();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    await this.#sink.write(bytes);
  }

  async finish(): Promise<TreeManifest> {
    await this.#flush();
    const { path, sha256 } = await this.#sink.complete();
    return { file: this.#file, path, entries: this.#entries, treeDigest: sha256 };
  }
}

/** The lines of a manifest, with content read here. */
export async function* manifestLines(tree: FileTree, latestTime?: bigint): AsyncGenerator<string> {
  const firstNames = new FirstNames();
  for await (const entry of tree.entries()) {
    if (entry.kind === 'socket') continue;
    const line = manifestLine(entry, firstNames.of(entry), latestTime);
    yield line.text(line.data === undefined ? undefined : await contentDigest(line.data));
  }
}

/** One line; `text` makes it, once the digest of `data` is known. */
export interface ManifestLine {
  readonly data: FileData | undefined;
  text(content: ContentDigest | undefined): string;
}

/**
 * The line of `entry`; `first` is the path of the same inode that was told before. Entries come as in an archive: a directory
 * before what is in it, names in the order of their bytes, without sockets. What depends on the file system and not on the
 * tree is not told: inode numbers, sizes of directories, where holes are, and the form in which XFS keeps an ACL beside the
 * ACL itself.
 */
export function manifestLine(entry: Entry, first: Uint8Array | undefined, latestTime?: bigint): ManifestLine {
  const path = bytesField('path', absolute(entry.path));
  if (first !== undefined) return whole({ ...path, type: 'hardLink', ...bytesField('target', absolute(first)) });
  const { data } = entry;
  if (data === undefined) return whole({ ...path, ...factsOf(entry, latestTime, undefined) });
  const text: ManifestLine['text'] = (content) =>
    `${JSON.stringify({ ...path, ...factsOf(entry, latestTime, content) })}\n`;
  return { data, text };
}

/** A line that waits for no digest: its text is made at once, and the entry is not kept for it. */
function whole(facts: Record<string, unknown>): ManifestLine {
  const text = `${JSON.stringify(facts)}\n`;
  return { data: undefined, text: () => text };
}

function factsOf(
  entry: Entry,
  latestTime: bigint | undefined,
  content: ContentDigest | undefined,
): Record<string, unknown> {
  const { kind, mode, uid, gid, device, target, data } = entry;
  const xattrs = entry.xattrs.filter((one) => !isStoredAcl(one, entry.xattrs));
  const mtime = latestTime !== undefined && entry.mtime > latestTime ? latestTime : entry.mtime;
  return {
    type: kind,
    mode: mode.toString(8).padStart(4, '0'),
    uid,
    gid,
    mtime: decimalTime(mtime),
    ...(device === undefined ? {} : { device: [device.major, device.minor] }),
    ...(target === undefined ? {} : bytesField('target', target)),
    ...(data === undefined ? {} : { size: data.size, ...content }),
    ...(xattrs.length === 0 ? {} : { xattrs: sorted(xattrs).map(attribute) }),
  };
}

/** What XFS keeps an ACL in (kernel: fs/xfs/libxfs/xfs_da_format.h, SGI_ACL_FILE), and the ACL. */
const STORED_ACLS: ReadonlyMap<string, string> = new Map([
  ['trusted.SGI_ACL_FILE', 'system.posix_acl_access'],
  ['trusted.SGI_ACL_DEFAULT', 'system.posix_acl_default'],
]);

function isStoredAcl({ name }: Xattr, all: readonly Xattr[]): boolean {
  const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const acl = STORED_ACLS.get(latin1(name));
  return acl !== undefined && all.some((one) => latin1(one.name) === acl);
}

function sorted(xattrs: readonly Xattr[]): Xattr[] {
  return xattrs.toSorted((a, b) => Buffer.compare(a.name, b.name));
}

function attribute({ name, value }: Xattr): Record<string, string> {
  return { ...bytesField('name', name), value: Buffer.from(value).toString('base64') };
}

/** Bytes as text where they are UTF-8, else under another key in base64: no two names of a tree look the same. */
function bytesField(key: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [key]: strictUtf8.decode(bytes) };
  } catch {
    return { [`${key}Base64`]: Buffer.from(bytes).toString('base64') };
  }
}

function absolute(path: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(path.length + 1);
  bytes[0] = 0x2f;
  bytes.set(path, 1);
  return bytes;
}
