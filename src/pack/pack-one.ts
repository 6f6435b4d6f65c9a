/** One artifact of a pack. */
import { join, resolve } from 'node:path';
import type { BlockSource } from '../disk/block-source.ts';
import type { Disk } from '../disk/open.ts';
import { PackError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { editRoot } from '../filesystem/edit-root.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import type { Root } from '../filesystem/root.ts';
import { humanSize } from '../formats/human.ts';
import { padding } from '../formats/tar/layout.ts';
import { archiveEnd, memberHeader } from '../formats/tar/writer.ts';
import { type Checked, checkDisk, checkTree } from './check.ts';
import { compressionOf } from './chunk.ts';
import type { Codec, Engine } from './codec.ts';
import type { Cutter } from './cutter.ts';
import { FILE_TYPES, type FileType } from './filetypes.ts';
import { Overlay } from './overlay.ts';
import type { PackOptions } from './pack-options.ts';
import { WorkerPool } from './pool.ts';
import type { Artifact } from './records.ts';
import { SealedTree } from './sealed-tree.ts';
import { FileSink } from './sink.ts';
import { stream } from './stream.ts';
import { type TreeCounts, writeTree } from './tree.ts';
import type { TreeManifest } from './tree-manifest.ts';

/** What one artifact is made from. */
export interface OneOptions {
  readonly options: PackOptions;
  readonly filetype: FileType;
  readonly disk: Disk;
  readonly root: Root | undefined;
  readonly edits: readonly Edit[];
  readonly engines: ReadonlyMap<Codec, Engine>;
  readonly context: Context;
  readonly sealed: Set<string>;
  readonly notes: Set<string>;
  readonly treeManifest: TreeManifest | undefined;
}

/** Makes one artifact: its stream, its file, and, where that is asked for, the comparison with the disk. */
export async function packOne(one: OneOptions): Promise<Artifact> {
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
      window: options.window,
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
  let checked: Checked | undefined;
  const check = async (temporary: string): Promise<void> => {
    checked = await checkOne(one, { temporary, source });
  };
  const { path, size, sha256 } = await sink.finish(options.check ? check : undefined);
  const made =
    engine === undefined
      ? {}
      : { engine: engine.name, engineVersion: engine.version, level: engine.level, chunk: engine.chunk };
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
    ...(counts && one.treeManifest ? { treeDigest: one.treeManifest.treeDigest } : {}),
    ...(checked ? { checked } : {}),
  };
}

/** Reads the finished file back. @throws PackError `check.differs` */
function checkOne(
  one: OneOptions,
  made: { readonly temporary: string; readonly source: BlockSource },
): Promise<Checked> {
  const { options, filetype, context, root, edits } = one;
  const { content, compression, suffix } = FILE_TYPES[filetype];
  const read = { path: made.temporary, compression, file: `${options.name}.${suffix}`, signal: context.signal };
  return inPhase(
    context,
    `check ${filetype}`,
    () =>
      content === 'tree' && root !== undefined
        ? checkTree(read, new SealedTree(root.tree, edits), latestTime(options))
        : checkDisk(read, made.source, content === 'disk-in-tar'),
    ({ entries, bytes }) => `${entries} entries and ${humanSize(bytes)} are as on the disk`,
  );
}

async function fillTree(one: OneOptions, cutter: Cutter): Promise<TreeCounts> {
  if (one.root === undefined) throw new PackError('root.none', 'Cannot pack a tree: no root was looked for');
  const overlay = new Overlay(one.edits);
  const counts = await writeTree(one.root.tree, cutter, { overlay, latestTime: latestTime(one.options) });
  for (const line of overlay.applied) one.sealed.add(line);
  for (const note of lossesOf(counts)) one.notes.add(note);
  return counts;
}

/** What of a tree a tar does not hold, or not for everybody. */
function lossesOf({ droppedSockets, lostFlags, longPaths }: TreeCounts): string[] {
  const notes: string[] = [];
  if (droppedSockets > 0) notes.push(`${droppedSockets} sockets are left out: tar cannot hold them`);
  if (lostFlags.inodes > 0)
    notes.push(`attributes of ${lostFlags.inodes} inodes are left out: tar cannot hold them (${lostFlags})`);
  if (longPaths > 0)
    notes.push(
      `${longPaths} paths are longer than Linux opens (4095 bytes): GNU tar, and so a deployment, fails on them`,
    );
  return notes;
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
  const zeroFree = one.options.freeBlocks !== 'keep';
  if (one.root === undefined || (one.edits.length === 0 && !zeroFree)) return one.disk;
  const edited = await editRoot(one.disk, one.root, one.edits, { zeroFree });
  for (const line of edited.applied) one.sealed.add(line);
  return edited.source;
}

/** The time nothing in a tree may be later than, nanoseconds since 1970. */
export function latestTime({ sourceDateEpoch = epochFromEnvironment() }: PackOptions): bigint | undefined {
  return sourceDateEpoch === undefined ? undefined : BigInt(sourceDateEpoch) * 1_000_000_000n;
}

/** SOURCE_DATE_EPOCH (reproducible-builds.org), seconds since 1970. */
export function epochFromEnvironment(): number | undefined {
  const text = process.env.SOURCE_DATE_EPOCH;
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
