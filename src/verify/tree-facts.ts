import { isComposeError } from '../errors.ts';
import type { Context } from '../events.ts';
import type { Entry } from '../filesystem/file-tree.ts';
import type { PackageFacts } from '../formats/package-list.ts';
import { ArchiveTree } from './archive-tree.ts';
import { type Family, familyOf } from './family.ts';
import { type InitrdFacts, readInitrd } from './initrd.ts';
import { entryOf, type Member } from './member.ts';
import { readOsRelease, readPackages } from './packages.ts';
import { readingOf, TEXTS_LIMIT } from './reading.ts';
import { TarChecks, type TarFacts } from './tar-facts.ts';

/** What the rules know of a root tree. Paths have no leading slash; symbolic links are followed unless a name says otherwise. */
export class TreeFacts {
  readonly release: Readonly<Record<string, string>>;
  /** Installed packages of dpkg, rpm and apk by name. */
  readonly packages: ReadonlyMap<string, readonly PackageFacts[]>;
  /** Why a package database was not read, where one is damaged. */
  readonly packagesProblem: string | undefined;
  /** Initial file systems in /boot, by path. */
  readonly initrds: ReadonlyMap<string, InitrdFacts>;
  /** Bytes of all files, hard links once. */
  readonly unpackedSize: number;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #tree: ArchiveTree;
  readonly #contents: ReadonlyMap<string, Uint8Array>;
  readonly #texts: ReadonlySet<string>;

  constructor(collected: Collected, release: Readonly<Record<string, string>>, packages: PackagesRead) {
    this.#entries = collected.entries;
    this.#tree = collected.tree;
    this.#contents = collected.contents;
    this.#texts = collected.texts;
    this.initrds = collected.initrds;
    this.unpackedSize = collected.unpackedSize;
    this.release = release;
    this.packages = packages.byName;
    this.packagesProblem = packages.problem;
  }

  /** `ID` of os-release, lower case; empty where there is none. */
  get id(): string {
    return (this.release.ID ?? '').toLowerCase();
  }

  get family(): Family {
    return familyOf(this.release);
  }

  /** Every path with its entry, as they came. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  node(path: string): Entry | undefined {
    return this.#tree.find(path);
  }

  /** The entry itself, also where it is a symbolic link. */
  own(path: string): Entry | undefined {
    return this.#tree.find(path, false);
  }

  inside(folder: string): readonly Entry[] {
    return this.#tree.inside(folder);
  }

  /** What was read of the file at `path`: see `readingOf`. */
  bytes(path: string): Uint8Array | undefined {
    const entry = this.node(path);
    return entry === undefined ? undefined : this.#contents.get(pathText(entry));
  }

  text(path: string): string | undefined {
    const bytes = this.bytes(path);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
  }

  /** A file that may be executed; the path of the first that is there. */
  program(...paths: readonly string[]): string | undefined {
    return paths.find((path) => {
      const entry = this.node(path);
      return entry?.kind === 'file' && (entry.mode & 0o111) !== 0;
    });
  }

  /** A program of this name where systems keep them. */
  command(name: string): string | undefined {
    return this.program(
      ...['usr/sbin', 'usr/bin', 'sbin', 'bin', 'usr/local/bin', 'usr/local/sbin'].map((at) => `${at}/${name}`),
    );
  }

  /** Settings files and leftovers that were read, by path; what is binary is left out. */
  *texts(): Generator<readonly [path: string, bytes: Uint8Array]> {
    for (const path of this.#texts) {
      const bytes = this.#contents.get(path);
      if (bytes !== undefined && bytes.length > 0) yield [path, bytes];
    }
  }

  /** Whether `path` is a file with something in it, or a directory with something in it. */
  filled(path: string): boolean {
    const entry = this.node(path);
    if (entry?.kind === 'directory') return this.inside(path).length > 0;
    return (entry?.data?.size ?? 0) > 0;
  }
}

interface Collected {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly tree: ArchiveTree;
  readonly contents: ReadonlyMap<string, Uint8Array>;
  readonly texts: ReadonlySet<string>;
  readonly initrds: ReadonlyMap<string, InitrdFacts>;
  readonly unpackedSize: number;
}

interface PackagesRead {
  readonly byName: ReadonlyMap<string, readonly PackageFacts[]>;
  readonly problem: string | undefined;
}

/** What was read of files, for another tree of the same disk: by path, size and time. */
export class ReadBefore {
  readonly bytes = new Map<string, Uint8Array>();
  readonly initrds = new Map<string, InitrdFacts>();

  key({ path, size, mtime }: Member): string {
    return `${mtime} ${size} ${path}`;
  }
}

/**
 * Reads through `members` once, keeping what the rules look at. What is in `before` is not read again: only for trees of one
 * disk. @throws what `members` throws
 */
export async function collectTree(
  members: AsyncIterable<Member>,
  { signal }: Pick<Context, 'signal'>,
  before?: ReadBefore,
): Promise<{ readonly tree: TreeFacts; readonly tar: TarFacts }> {
  const entries = new Map<string, Entry>();
  const contents = new Map<string, Uint8Array>();
  const texts = new Set<string>();
  const initrds = new Map<string, InitrdFacts>();
  const checks = new TarChecks();
  let room = TEXTS_LIMIT;
  let unpackedSize = 0;
  for await (const member of members) {
    signal.throwIfAborted();
    checks.take(member);
    const { path, type, size } = member;
    if (type === 'hardLink') {
      const target = entries.get(member.link ?? '');
      const content = contents.get(member.link ?? '');
      entries.set(path, target === undefined ? entryOf(member, undefined) : { ...target, path: Buffer.from(path) });
      if (content !== undefined) contents.set(path, content);
      continue;
    }
    unpackedSize += size;
    const reading = type === 'file' ? readingOf(path) : undefined;
    let content: Uint8Array | undefined;
    // Without an earlier tree nothing is taken for known: an archive may have a name twice.
    const key = before?.key(member) ?? '';
    if (reading?.as === 'initrd') {
      const facts = before?.initrds.get(key) ?? (await initrdOf(member, reading.length));
      before?.initrds.set(key, facts);
      initrds.set(path, facts);
    } else if (reading !== undefined && (reading.as === 'bytes' || room > 0)) {
      content = before?.bytes.get(key) ?? Uint8Array.from(await member.head(reading.length));
      before?.bytes.set(key, content);
      contents.set(path, content);
    }
    if (reading?.as === 'text' && content !== undefined) {
      room -= content.length;
      texts.add(path);
    }
    entries.set(path, entryOf(member, content));
  }
  const tree = new ArchiveTree(entries);
  const collected = { entries, tree, contents, texts, initrds, unpackedSize };
  return {
    tree: new TreeFacts(collected, await readOsRelease(tree), await packagesOf(tree)),
    tar: checks.facts(),
  };
}

async function initrdOf(member: Member, limit: number): Promise<InitrdFacts> {
  if (member.size <= limit) return readInitrd(await member.head(limit));
  return { members: 0, modules: new Set(), damage: undefined, unread: `it has ${member.size} bytes` };
}

/** A damaged database is a fact like another. */
async function packagesOf(tree: ArchiveTree): Promise<PackagesRead> {
  const byName = new Map<string, PackageFacts[]>();
  try {
    for (const one of (await readPackages(tree)).flatMap((set) => set.packages)) {
      const known = byName.get(one.name);
      if (known === undefined) byName.set(one.name, [one]);
      else known.push(one);
    }
    return { byName, problem: undefined };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return { byName, problem: error.message };
  }
}

export function pathText({ path }: Entry): string {
  return Buffer.from(path).toString('utf8');
}
