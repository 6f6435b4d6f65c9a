/** A list of everything in a tree, a JSON object a line, that two trees share exactly when they are the same. */
import { join, resolve } from 'node:path';
import type { Entry, FileTree, Xattr } from '../filesystem/file-tree.ts';
import { decimalTime } from '../formats/tar/writer.ts';
import { contentDigest } from './content-digest.ts';
import { FileSink } from './sink.ts';

/** A finished manifest. */
export interface TreeManifest {
  readonly file: string;
  readonly path: string;
  readonly entries: number;
  /** SHA-256 of the file, and so of the tree. */
  readonly treeDigest: string;
}

export interface TreeManifestOptions {
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
  const file = `${options.name}.files.jsonl`;
  await using sink = await FileSink.create(join(resolve(options.out), file));
  let entries = 0;
  let text = '';
  for await (const line of manifestLines(tree, options.latestTime)) {
    options.signal.throwIfAborted();
    entries++;
    text += line;
    if (text.length < FLUSH) continue;
    await sink.write(Buffer.from(text));
    text = '';
  }
  await sink.write(Buffer.from(text));
  const { path, sha256 } = await sink.finish();
  return { file, path, entries, treeDigest: sha256 };
}

/**
 * The lines of a manifest. Entries come as in an archive: a directory before what is in it, names in the order of their
 * bytes. Sockets are left out, as they are there. What depends on the file system and not on the tree is not told:
 * inode numbers, sizes of directories, where holes are, and the form in which XFS keeps an ACL beside the ACL itself.
 */
export async function* manifestLines(tree: FileTree, latestTime?: bigint): AsyncGenerator<string> {
  const firstNames = new Map<number, Uint8Array>();
  for await (const entry of tree.entries()) {
    if (entry.kind === 'socket') continue;
    const linked = entry.links > 1 && entry.kind !== 'directory';
    const first = linked ? firstNames.get(entry.inode) : undefined;
    if (linked && first === undefined) firstNames.set(entry.inode, entry.path);
    const facts =
      first === undefined
        ? { ...bytesField('path', absolute(entry.path)), ...(await factsOf(entry, latestTime)) }
        : { ...bytesField('path', absolute(entry.path)), type: 'hardLink', ...bytesField('target', absolute(first)) };
    yield `${JSON.stringify(facts)}\n`;
  }
}

async function factsOf(entry: Entry, latestTime: bigint | undefined): Promise<Record<string, unknown>> {
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
    ...(data === undefined ? {} : { size: data.size, ...(await contentDigest(data)) }),
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
