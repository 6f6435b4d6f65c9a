import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { FormatError, isComposeError, UsageError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import type { Machine } from '../formats/executable.ts';
import { fileProblem } from '../host/file-problem.ts';
import { FILE_TYPES, type FileType } from '../pack/filetypes.ts';
import type { MaasEntry } from '../pack/records.ts';
import { collectDisk } from './disk-facts.ts';
import type { ArtifactFacts, Facts } from './facts.ts';
import { judge, type VerifyReport } from './judge.ts';
import { tarMembers, treeMembers } from './member.ts';
import { contentOf, openDiskIn, type Sniffed, sha256Of, sniff, toTheEnd } from './open-artifact.ts';
import { allowsOf, offOf, type VerifySettings, wantsOf } from './settings.ts';
import { collectTree, type ReadBefore } from './tree-facts.ts';

export interface VerifyOptions extends VerifySettings {
  /** The artifact. What is known of it is read from `<path>.maas.json`, where that is there. */
  readonly path: string;
  /** @default that of the record, else as the name of the file or its content says */
  readonly filetype?: string | undefined;
  /** What MAAS is told, over the record. */
  readonly maas?: Partial<MaasEntry> | undefined;
}

/**
 * Holds an artifact of any tool against what MAAS and curtin will do with it, and looks for what must not ship. It is read
 * once; nothing of it is run, and no root is needed.
 * @throws UsageError `verify.unreadable`, `verify.record`, `verify.filetype`, `verify.target`, `verify.rule`, `verify.reason`.
 *   What is wrong with the artifact, damage too, is in the report
 */
export async function verify(options: VerifyOptions, context: Context): Promise<VerifyReport> {
  const allow = allowsOf(options.allow);
  const off = offOf(options.off);
  const wants = wantsOf(options);
  const { path } = options;
  const sniffed = await sniff(path);
  const record = await readRecord(path);
  const maas = { ...record?.maas, ...options.maas };
  const declared = options.filetype ?? record?.filetype;
  const machine = machineOf(maas.architecture);
  const filetype = declared === undefined ? guessed(path, sniffed) : known(declared);
  if (filetype === undefined && declared === undefined) requireNamed(path, sniffed);
  const sha256 = await sha256Of(path, context.signal);
  const { size, compression, isTar, container } = sniffed;
  const artifact: ArtifactFacts = {
    ...{ file: basename(path), filetype, declared, compression, isTar, container, size, sha256 },
    record: record === undefined ? undefined : { ...record.size, ...record.sha256 },
    ...{ damage: undefined, unread: undefined },
    ...{ maas, machine, wants },
  };
  const facts = await inPhase(context, `read ${basename(path)}`, () => readContent(path, artifact, context));
  return judge(facts, { allow, off });
}

/** Errors of what is whole, and not known here. */
const UNREAD: readonly string[] = ['tar.unsupported', 'xz.memory'];

/** Reads what is in the file, where its content is what its filetype says: else every other rule would fail for that. */
async function readContent(path: string, artifact: ArtifactFacts, context: Context): Promise<Facts> {
  const { filetype, compression, isTar, container } = artifact;
  const expected = filetype && FILE_TYPES[filetype].content;
  const unread =
    compression === undefined || compression === 'zstd' || compression === 'lz4' || container !== undefined;
  if (unread || expected === undefined || (isTar !== undefined && isTar !== (expected !== 'disk'))) return { artifact };
  try {
    return expected === 'tree' ? await readTree(path, artifact, context) : await readDisk(path, artifact, context);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const { code, message } = error;
    return { artifact: { ...artifact, ...(UNREAD.includes(code) ? { unread: message } : { damage: message }) } };
  }
}

async function readTree(path: string, artifact: ArtifactFacts, context: Context): Promise<Facts> {
  const chunks = contentOf(path, artifact.compression);
  const read = await toTheEnd(chunks, (own) => collectTree(tarMembers(own), context));
  return { artifact, ...read };
}

async function readDisk(path: string, artifact: ArtifactFacts, { signal }: Context): Promise<Facts> {
  const { compression, isTar } = artifact;
  const words = artifact.wants.forbidden.filter((word) => word.length >= 3).map((word) => Buffer.from(word));
  const search = new ByteSearch(words);
  await using disk = await openDiskIn(path, {
    compression,
    isTar,
    signal,
    onContent: (content) => search.take(content),
  });
  return { artifact, ...(await diskFacts(disk, signal, search.found)) };
}

/** The facts of a disk and of the tree on it. */
export async function diskFacts(
  { source, members }: { readonly source: Parameters<typeof collectDisk>[0]; readonly members: number | undefined },
  signal: AbortSignal,
  words: readonly string[] = [],
  before?: ReadBefore,
): Promise<Pick<Facts, 'disk' | 'tree'>> {
  const { facts, tree } = await collectDisk(source, members, signal);
  const disk = { ...facts, words };
  if (tree === undefined) return { disk };
  try {
    return { disk, tree: (await collectTree(treeMembers(tree), { signal }, before)).tree };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return { disk: { ...disk, root: undefined, rootProblem: error.message } };
  }
}

/** Looks for words in a stream, also where one is cut in two. */
class ByteSearch {
  readonly #words: readonly Buffer[];
  readonly #found = new Set<string>();
  #tail = Buffer.alloc(0);

  constructor(words: readonly Buffer[]) {
    this.#words = words;
  }

  get found(): string[] {
    return [...this.#found];
  }

  take(content: Uint8Array): void {
    if (this.#words.length === 0) return;
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
    const longest = Math.max(...this.#words.map(({ length }) => length)) - 1;
    const seam = Buffer.concat([this.#tail, bytes.subarray(0, longest)]);
    for (const word of this.#words) if (bytes.includes(word) || seam.includes(word)) this.#found.add(word.toString());
    this.#tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - longest)));
  }
}

interface Recorded {
  readonly filetype: string | undefined;
  readonly size: { readonly size?: number };
  readonly sha256: { readonly sha256?: string };
  readonly maas: Partial<MaasEntry>;
}

/** What `compose pack` wrote beside the artifact. @throws UsageError `verify.record` */
async function readRecord(path: string): Promise<Recorded | undefined> {
  const file = `${path}.maas.json`;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError('verify.record', `Cannot read ${file}: ${fileProblem(error)}`, { cause: error });
  }
  try {
    const record = JSON.parse(text) as Record<string, unknown>;
    const word = (key: string): string | undefined => (typeof record[key] === 'string' ? record[key] : undefined);
    const entries = (['name', 'title', 'architecture', 'base_image'] as const).flatMap((key) => {
      const value = word(key);
      return value === undefined ? [] : [[key, value] as const];
    });
    const sha256 = word('sha256');
    return {
      filetype: word('filetype'),
      size: typeof record.size === 'number' ? { size: record.size } : {},
      sha256: sha256 === undefined ? {} : { sha256 },
      maas: Object.fromEntries(entries),
    };
  } catch (cause) {
    throw new UsageError('verify.record', `Cannot read ${file}: it is no JSON`, {
      hint: 'Remove it, and tell --filetype, --name and the others.',
      cause,
    });
  }
}

function known(filetype: string): FileType | undefined {
  return Object.hasOwn(FILE_TYPES, filetype) ? (filetype as FileType) : undefined;
}

/** Longest suffix first: `.dd.tar.gz` before `.tar.gz`. */
const SUFFIXES: readonly (readonly [string, FileType])[] = (
  Object.entries(FILE_TYPES).map(([type, { suffix }]) => [`.${suffix}`, type as FileType] as const) as (readonly [
    string,
    FileType,
  ])[]
)
  .concat([
    ['.tgz', 'tgz'],
    ['.txz', 'txz'],
    ['.tbz', 'tbz'],
    ['.img.gz', 'ddgz'],
    ['.raw.gz', 'ddgz'],
    ['.img.xz', 'ddxz'],
    ['.raw.xz', 'ddxz'],
    ['.raw', 'ddraw'],
    ['.img', 'ddraw'],
  ])
  .toSorted(([a], [b]) => b.length - a.length);

const TREES = { gzip: 'tgz', bzip2: 'tbz', xz: 'txz', none: undefined } as const;
const DISKS = { gzip: 'ddgz', bzip2: 'ddbz2', xz: 'ddxz', none: 'ddraw' } as const;

/** By the name of the file, else by its content. */
function guessed(path: string, { compression, isTar }: Sniffed): FileType | undefined {
  const named = SUFFIXES.find(([suffix]) => path.endsWith(suffix))?.[1];
  if (named !== undefined) return named;
  if (compression === undefined || compression === 'zstd' || compression === 'lz4') return undefined;
  return isTar ? TREES[compression] : DISKS[compression];
}

/** A tar that is not compressed may hold a tree or a disk. @throws UsageError `verify.filetype` */
function requireNamed(path: string, { isTar, container }: Sniffed): void {
  if (isTar !== true || container !== undefined) return;
  throw new UsageError('verify.filetype', `Cannot tell what ${basename(path)} is: a tar may hold a tree or a disk`, {
    hint: 'Say --filetype ddtar, or tgz for a tree.',
  });
}

const MACHINES: readonly string[] = ['amd64', 'i386', 'arm64', 'armhf', 'ppc64el', 's390x', 'riscv64'];

/** Of `<arch>/<subarch>`. */
export function machineOf(architecture: string | undefined): Machine | undefined {
  const arch = architecture?.split('/')[0] ?? '';
  return MACHINES.includes(arch) ? (arch as Machine) : undefined;
}
