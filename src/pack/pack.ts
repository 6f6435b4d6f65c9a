import { join, resolve } from 'node:path';
import type { BlockSource } from '../disk/block-source.ts';
import type { DiskFormat } from '../disk/image-format.ts';
import { type Disk, openDisk } from '../disk/open.ts';
import { PackError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { editRoot } from '../filesystem/edit-root.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import { findRoot, type Root } from '../filesystem/root.ts';
import { padding } from '../formats/tar/layout.ts';
import { archiveEnd, memberHeader } from '../formats/tar/writer.ts';
import type { Compression } from './chunk.ts';
import type { Cutter } from './cutter.ts';
import { type Engine, type EngineName, openEngine } from './engine.ts';
import { FILE_TYPES, type FileType } from './filetypes.ts';
import { Overlay } from './overlay.ts';
import { WorkerPool } from './pool.ts';
import { type Artifact, type MaasEntry, writeRecords } from './records.ts';
import { sealEdits } from './seal.ts';
import { FileSink } from './sink.ts';
import { stream } from './stream.ts';
import { type TreeCounts, writeTree } from './tree.ts';

export interface PackOptions {
  /** Path of the disk image. */
  readonly disk: string;
  /** Format of the image; found by its magic where it is not given. */
  readonly format?: DiskFormat;
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
  /** @default the best one here */
  readonly engine?: EngineName;
  /** 1 to 12 for libdeflate, 1 to 9 for zlib. @default 6 */
  readonly level?: number;
  /** Worker threads. @default as many as the host runs at once */
  readonly workers?: number;
  /** Seconds since 1970; times in a tree after it are set back to it. @default SOURCE_DATE_EPOCH */
  readonly sourceDateEpoch?: number;
  /** What MAAS is told of the artifacts. */
  readonly maas?: Partial<MaasEntry>;
}

export interface PackResult {
  readonly artifacts: readonly Artifact[];
  readonly engine: { readonly name: EngineName; readonly version: string; readonly level: number };
  /** What the seal took out, for the record. */
  readonly sealed: readonly string[];
  /** What the tree leaves out, and why. */
  readonly notes: readonly string[];
  /** SHA256SUMS beside the artifacts. */
  readonly sums: string;
}

/**
 * Turns a disk into the artifacts MAAS deploys: finds the root, applies the seal to the stream, compresses, and writes
 * each artifact with its `.maas.json` and one SHA256SUMS.
 * @throws FormatError and PackError (disk, file system, output), HostError `engine.missing`
 */
export async function pack(options: PackOptions, context: Context): Promise<PackResult> {
  const { filetypes } = options;
  if (filetypes.length === 0) throw new PackError('pack.no-output', 'Cannot pack: no filetype was asked for');
  const edits = [...(options.seal === false ? [] : sealEdits({ user: options.user })), ...(options.edits ?? [])];
  const { signal } = context;
  const format = options.format === undefined ? {} : { format: options.format };
  await using disk = await openDisk(options.disk, { signal, ...format });
  const needsRoot = edits.length > 0 || filetypes.some((type) => FILE_TYPES[type].content === 'tree');
  const root = needsRoot ? await inPhase(context, 'find root', () => findRoot(disk), describeRoot) : undefined;
  const engine = await openEngine(options);
  const artifacts: Artifact[] = [];
  const sealed = new Set<string>();
  const notes = new Set((root?.skipped ?? []).map((skip) => `${skip.mountPoint} is left out: ${skip.why}`));
  for (const filetype of filetypes) {
    const done = await inPhase(
      context,
      `pack ${filetype}`,
      () => packOne({ options, filetype, disk, root, edits, engine, context, sealed, notes }),
      (artifact) => `${artifact.file}`,
    );
    artifacts.push(done);
    const { file, size, sha256 } = done;
    context.emit({ type: 'artifact', file, filetype, size, sha256 });
  }
  for (const note of notes) context.emit({ type: 'log', level: 'info', message: note });
  const sums = await writeRecords(resolve(options.out), artifacts, { name: options.name, ...options.maas });
  const { name, version, level } = engine;
  return { artifacts, engine: { name, version, level }, sealed: [...sealed], notes: [...notes], sums };
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
  readonly engine: Engine;
  readonly context: Context;
  readonly sealed: Set<string>;
  readonly notes: Set<string>;
}

async function packOne(one: OneOptions): Promise<Artifact> {
  const { options, filetype, engine, context } = one;
  const row = FILE_TYPES[filetype];
  const compression: Compression =
    row.compression === 'gzip' ? { kind: 'gzip', engine: engine.name, level: engine.level } : { kind: 'none' };
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
      zeros: zeroForms(compression, engine),
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
  const { name, version, level } = engine;
  const made = compression.kind === 'gzip' ? { engine: name, engineVersion: version, level } : {};
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

/** Compressed zeros by length, made once; holes where nothing is compressed. */
function zeroForms(compression: Compression, engine: Engine): (length: number) => Uint8Array | undefined {
  const known = new Map<number, Uint8Array>();
  return (length) => {
    if (compression.kind === 'none') return undefined;
    const form = known.get(length) ?? engine.gzip(new Uint8Array(length));
    known.set(length, form);
    return form;
  };
}

function epochFromEnvironment(): number | undefined {
  const text = process.env.SOURCE_DATE_EPOCH;
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
