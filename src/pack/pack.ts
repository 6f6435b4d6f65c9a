import { join, resolve } from 'node:path';
import type { BlockSource } from '../disk/block-source.ts';
import { type Disk, openDisk } from '../disk/open.ts';
import { PackError, UsageError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { editRoot } from '../filesystem/edit-root.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import { findRoot, type Root } from '../filesystem/root.ts';
import { padding } from '../formats/tar/layout.ts';
import { archiveEnd, memberHeader } from '../formats/tar/writer.ts';
import { compressionOf } from './chunk.ts';
import type { Codec, Engine, EngineName } from './codec.ts';
import type { Cutter } from './cutter.ts';
import { codecOf, openEngine } from './engine.ts';
import { FILE_TYPES, type FileType } from './filetypes.ts';
import { Overlay } from './overlay.ts';
import { type PackageRecord, type SbomFormat, treePackages, writePackageRecords } from './package-records.ts';
import { WorkerPool } from './pool.ts';
import { type Artifact, type MaasEntry, writeRecords } from './records.ts';
import { sealEdits } from './seal.ts';
import { SealedTree } from './sealed-tree.ts';
import { FileSink } from './sink.ts';
import { stream } from './stream.ts';
import { type TreeCounts, writeTree } from './tree.ts';

export interface PackOptions {
  /** Path of the disk image. */
  readonly disk: string;
  /** Format of the image; found by its magic where it is not given. */
  readonly format?: 'raw' | 'qcow2';
  /** Folder for the artifacts; made where it does not exist. */
  readonly out: string;
  /** Base name of the artifacts. */
  readonly name: string;
  readonly filetypes: readonly FileType[];
  /** Whether identity, keys, state and logs are taken out. @default true */
  readonly seal?: boolean;
  /** Account the build logged in with. */
  readonly user?: string;
  /** Edits beside those of the seal. */
  readonly edits?: readonly Edit[];
  /** What compresses the outputs of its codec. @default the best one here, for each codec */
  readonly engine?: EngineName;
  /** 0 to 12 for gzip (zlib: 9), 0 to 9 for xz, 1 to 9 for bzip2. @default 5; 6 for xz, 9 for bzip2 */
  readonly level?: number;
  /** Worker threads. @default as many as the host runs at once */
  readonly workers?: number;
  /** Seconds since 1970; times in a tree after it are set back to it. @default SOURCE_DATE_EPOCH */
  readonly sourceDateEpoch?: number;
  /** What MAAS is told of the artifacts. */
  readonly maas?: Partial<MaasEntry>;
  /** Whether the packages of the sealed tree are listed in `<name>.packages.txt`. @default false */
  readonly packages?: boolean;
  /** Bills of materials of the sealed tree: `<name>.spdx.json`, `<name>.cdx.json`. @default none */
  readonly sbom?: readonly SbomFormat[];
}

export interface PackResult {
  readonly artifacts: readonly Artifact[];
  /** What compressed them, one for each codec. */
  readonly engines: readonly { readonly name: EngineName; readonly version: string; readonly level: number }[];
  /** What the seal took out, for the record. */
  readonly sealed: readonly string[];
  /** What the tree leaves out, and why. */
  readonly notes: readonly string[];
  /** SHA256SUMS beside the artifacts. */
  readonly sums: string;
  /** The lists of packages that were asked for. */
  readonly lists: readonly PackageRecord[];
}

/**
 * Turns a disk into the artifacts MAAS deploys: finds the root, applies the seal to the stream, compresses, and writes
 * each artifact with its `.maas.json`, one SHA256SUMS, and the lists of packages that are wanted.
 * @throws FormatError and PackError (disk, file system, output), HostError `engine.missing`, UsageError `engine.*`
 */
export async function pack(options: PackOptions, context: Context): Promise<PackResult> {
  const { filetypes } = options;
  if (filetypes.length === 0) throw new PackError('pack.no-output', 'Cannot pack: no filetype was asked for');
  const engines = await openEngines(options);
  const edits = [...(options.seal === false ? [] : sealEdits({ user: options.user })), ...(options.edits ?? [])];
  await using disk = await openDisk(options.disk, options.format === undefined ? {} : { format: options.format });
  const kinds = [...(options.packages ? ['packages' as const] : []), ...new Set(options.sbom)];
  const trees = filetypes.some((type) => FILE_TYPES[type].content === 'tree');
  const needsRoot = edits.length > 0 || trees || kinds.length > 0;
  const root = needsRoot ? await inPhase(context, 'find root', () => findRoot(disk), describeRoot) : undefined;
  // Before anything is compressed: a damaged package database is told at once.
  const installed = root && kinds.length > 0 ? await listPackages(root, edits, context) : undefined;
  const artifacts: Artifact[] = [];
  const sealed = new Set<string>();
  const notes = new Set((root?.skipped ?? []).map((skip) => `${skip.mountPoint} is left out: ${skip.why}`));
  for (const filetype of filetypes) {
    const done = await inPhase(
      context,
      `pack ${filetype}`,
      () => packOne({ options, filetype, disk, root, edits, engines, context, sealed, notes }),
      (artifact) => `${artifact.file}`,
    );
    artifacts.push(done);
    const { file, size, sha256 } = done;
    context.emit({ type: 'artifact', file, filetype, size, sha256 });
  }
  if (installed?.sets.length === 0)
    notes.add('the tree has no package database of dpkg, rpm or apk: the lists are empty');
  for (const note of notes) context.emit({ type: 'log', level: 'info', message: note });
  const sums = await writeRecords(resolve(options.out), artifacts, { name: options.name, ...options.maas });
  const { out, name: base, sourceDateEpoch: created = epochFromEnvironment() } = options;
  const lists = installed ? await writePackageRecords(installed, { out, name: base, kinds, created }) : [];
  const made = [...engines.values()].map(({ name, version, level }) => ({ name, version, level }));
  return { artifacts, engines: made, sealed: [...sealed], notes: [...notes], sums, lists };
}

/** What the tree has installed once it is sealed. */
function listPackages(root: Root, edits: readonly Edit[], context: Context): ReturnType<typeof treePackages> {
  return inPhase(
    context,
    'list packages',
    () => treePackages(new SealedTree(root.tree, edits)),
    ({ sets }) => sets.map(({ manager, packages }) => `${packages.length} (${manager})`).join(', ') || 'none',
  );
}

/** The engine of each codec that is asked for; opened before anything is read, so that a missing one costs no time. */
async function openEngines(options: PackOptions): Promise<ReadonlyMap<Codec, Engine>> {
  const { filetypes, engine, level } = options;
  const kinds = new Set(filetypes.map((type) => FILE_TYPES[type].compression));
  const codecs = [...kinds].filter((kind) => kind !== 'none');
  if (engine !== undefined && codecs.length > 0 && !codecs.includes(codecOf(engine))) {
    throw new UsageError(
      'engine.unused',
      `Cannot compress ${filetypes.join(', ')} with ${engine}: it makes ${codecOf(engine)}`,
      { hint: 'Leave --engine out, or ask for a filetype it makes.' },
    );
  }
  const engines = new Map<Codec, Engine>();
  for (const codec of codecs) {
    const named = { ...(engine === undefined ? {} : { engine }), ...(level === undefined ? {} : { level }) };
    engines.set(codec, await openEngine({ codec, ...named }));
  }
  return engines;
}

function describeRoot(root: Root): string {
  return root.partition === undefined ? 'the whole disk' : `partition ${root.partition.number}`;
}

interface OneOptions {
  readonly options: PackOptions;
  readonly filetype: FileType;
  readonly disk: Disk;
  readonly root: Root | undefined;
  readonly edits: readonly Edit[];
  readonly engines: ReadonlyMap<Codec, Engine>;
  readonly context: Context;
  readonly sealed: Set<string>;
  readonly notes: Set<string>;
}

async function packOne(one: OneOptions): Promise<Artifact> {
  const { options, filetype, context } = one;
  const row = FILE_TYPES[filetype];
  const engine = row.compression === 'none' ? undefined : one.engines.get(row.compression);
  const compression = compressionOf(engine);
  const source = row.content === 'tree' ? one.disk : await sealedDisk(one);
  await using pool = await WorkerPool.start({ files: source.files, compression, size: options.workers });
  await using sink = await FileSink.create(join(resolve(options.out), `${options.name}.${row.suffix}`));
  const total = row.content === 'tree' ? undefined : source.size;
  let told = 0;
  let counts: TreeCounts | undefined;
  const uncompressedSize = await stream(
    async (cutter) => {
      if (row.content === 'tree') counts = await fillTree(one, cutter);
      else await fillDisk(source, row.content === 'disk-in-tar', cutter);
    },
    {
      pool,
      sink,
      compression,
      signal: context.signal,
      onProgress: (done) => {
        if (performance.now() - told < 200) return;
        told = performance.now();
        context.emit({
          type: 'progress',
          phase: `pack ${filetype}`,
          done,
          unit: 'bytes',
          ...(total === undefined ? {} : { total }),
        });
      },
    },
  );
  const { path, size, sha256 } = await sink.finish();
  const made = engine === undefined ? {} : { engine: engine.name, engineVersion: engine.version, level: engine.level };
  const file = `${options.name}.${row.suffix}`;
  return {
    file,
    path,
    filetype,
    size,
    sha256,
    uncompressedSize,
    ...made,
    ...(counts ? { entries: counts.entries } : {}),
  };
}

async function fillTree(one: OneOptions, cutter: Cutter): Promise<TreeCounts> {
  if (one.root === undefined) throw new PackError('root.none', 'Cannot pack a tree: no root was looked for');
  const overlay = new Overlay(one.edits);
  const epoch = one.options.sourceDateEpoch ?? epochFromEnvironment();
  const latestTime = epoch === undefined ? undefined : BigInt(epoch) * 1_000_000_000n;
  const counts = await writeTree(one.root.tree, cutter, { overlay, latestTime });
  for (const line of overlay.applied) one.sealed.add(line);
  if (counts.droppedSockets > 0) one.notes.add(`${counts.droppedSockets} sockets are left out: tar cannot hold them`);
  return counts;
}

/** The disk as a stream; in a tar it is one member, because curtin concatenates all it finds. */
async function fillDisk(source: BlockSource, inTar: boolean, cutter: Cutter): Promise<void> {
  if (inTar) {
    const name = Buffer.from('disk.raw');
    await cutter.literal(
      memberHeader({ name, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0n, size: source.size }),
    );
  }
  const step = 64 * 1024 * 1024;
  for (let at = 0; at < source.size; at += step) await cutter.data(source, at, Math.min(step, source.size - at));
  if (inTar) {
    await cutter.zeros(padding(source.size));
    await cutter.zeros(archiveEnd(cutter.written));
  }
}

/** The disk with the edits made on its root file system and on those its fstab mounts. */
async function sealedDisk(one: OneOptions): Promise<BlockSource> {
  if (one.edits.length === 0 || one.root === undefined) return one.disk;
  const edited = await editRoot(one.disk, one.root, one.edits);
  for (const line of edited.applied) one.sealed.add(line);
  return edited.source;
}

function epochFromEnvironment(): number | undefined {
  const text = process.env.SOURCE_DATE_EPOCH;
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
