/** The artifacts of one content, a tree or a disk, made in one pass over it. */
import type { BlockSource } from '../disk/block-source.ts';
import { type Context, inPhase } from '../events.ts';
import { humanSize } from '../formats/human.ts';
import { padding } from '../formats/tar/layout.ts';
import { archiveEnd, memberHeader } from '../formats/tar/writer.ts';
import type { Checked } from './check.ts';
import { compressionOf } from './chunk.ts';
import type { Engine } from './codec.ts';
import { fillDisk, fillTree, latestTime, sealedDisk, type Work } from './content.ts';
import type { Cutter } from './cutter.ts';
import { FILE_TYPES, type FileType, type FileTypeRow } from './filetypes.ts';
import { WorkerPool } from './pool.ts';
import type { Artifact } from './records.ts';
import { SealedTree } from './sealed-tree.ts';
import type { SharedOutput } from './shared-line.ts';
import type { FileSink } from './sink.ts';
import { stream } from './stream.ts';
import { artifactPath } from './targets.ts';
import type { TreeCounts } from './tree.ts';
import type { TreeManifest } from './tree-manifest.ts';

export interface Pass {
  readonly artifacts: readonly Artifact[];
  /** What is in the tree, where it was packed and its manifest is wanted. */
  readonly treeManifest?: TreeManifest;
}

/** One artifact on its way. */
interface Output extends SharedOutput {
  readonly filetype: FileType;
  readonly row: FileTypeRow;
  readonly sink: FileSink;
  readonly engine: Engine | undefined;
}

/**
 * Makes the artifacts of `filetypes`, which are all of the tree or all of the disk: it is read once. With `check` each is
 * compared with the disk. They are whole then, and get their names with the others of the run.
 */
export async function packPass(work: Work, filetypes: readonly FileType[]): Promise<Pass> {
  const { options, context, rooms, threads } = work;
  const tree = filetypes.every((type) => FILE_TYPES[type].content === 'tree');
  const source = tree ? work.disk : await sealedDisk(work);
  const outputs: Output[] = [];
  // What is read back is found in the host's cache; and several together have no memory left for rooms to write from.
  const direct = filetypes.length === 1 && !options.check;
  for (const filetype of filetypes) outputs.push(await outputOf(work, filetype, source, direct));
  const compressions = outputs.map(({ compression }) => compression);
  await using pool = WorkerPool.begin({ files: source.files, compressions, size: options.workers, rooms, threads });
  const { manifest, tap } = tree && options.manifest ? await listed(work) : {};
  let counts: TreeCounts | undefined;
  const fill = async (cutter: Cutter): Promise<void> => {
    if (tree) counts = await fillTree(work, cutter, tap);
    else await fillDisk(source, cutter);
  };
  const { window } = options;
  const { signal } = context;
  const onProgress = progress(context, phaseOf(filetypes), tree ? undefined : source.size);
  let streamed: number;
  const [only] = outputs;
  const alone = outputs.length === 1 && tap === undefined ? only : undefined;
  if (alone === undefined) {
    const take = tap && ((bytes: Uint8Array | undefined, length: number) => tap.take(bytes, length));
    const { sharedStream } = await loadSharedStream();
    streamed = await sharedStream(fill, outputs, { pool, rooms, signal, window, onProgress, tap: take });
    await tap?.end();
  } else {
    const { sink, compression, head, tailZeros = 0 } = alone;
    const whole = async (cutter: Cutter): Promise<void> => {
      if (head !== undefined) await cutter.literal(head);
      await fill(cutter);
      await cutter.zeros(tailZeros);
    };
    const written = await stream(whole, { pool, sink, compression, window, signal, onProgress });
    streamed = written - (head?.length ?? 0) - tailZeros;
  }
  const treeManifest = await manifest?.finish();
  const artifacts: Artifact[] = [];
  for (const output of outputs) artifacts.push(await finish(work, output, { source, streamed, counts, treeManifest }));
  return { artifacts, ...(treeManifest ? { treeManifest } : {}) };
}

/** Not in the function that has `await using`: TypeScript 6.0 leaves the names of modules there as they are in the sources. */
const loadSharedStream = () => import('./shared-stream.ts');

/** The list of what is in the tree, and what tells it of that. */
async function listed({ options, outcome }: Work) {
  const [{ ManifestFile }, { ManifestTap }] = await Promise.all([
    import('./tree-manifest.ts'),
    import('./manifest-tap.ts'),
  ]);
  const manifest = await ManifestFile.create({ ...options, outcome });
  return { manifest, tap: new ManifestTap(manifest, latestTime(options)) };
}

/** Name of the phase that makes `filetypes`. */
export function phaseOf(filetypes: readonly FileType[]): string {
  return `pack ${filetypes.join(', ')}`;
}

async function outputOf(work: Work, filetype: FileType, source: BlockSource, direct: boolean): Promise<Output> {
  const { options, engines, outcome } = work;
  const row = FILE_TYPES[filetype];
  const engine = row.compression === 'none' ? undefined : engines.get(row.compression);
  const sink = await outcome.create(artifactPath(options, filetype), { direct });
  const around = row.content === 'disk-in-tar' ? memberAround(source.size) : {};
  return { filetype, row, engine, sink, compression: compressionOf(engine), ...around };
}

/** What is around a disk in a tar: it is one member, because curtin concatenates all it finds. */
function memberAround(size: number): Pick<SharedOutput, 'head' | 'tailZeros'> {
  const name = Buffer.from('disk.raw');
  const head = memberHeader({ name, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0n, size });
  const padded = size + padding(size);
  return { head, tailZeros: padding(size) + archiveEnd(head.length + padded) };
}

/** Tells how far a phase is, a few times a second. */
function progress(context: Context, phase: string, total: number | undefined): (done: number) => void {
  let told = 0;
  return (done) => {
    if (performance.now() - told < 200) return;
    told = performance.now();
    context.emit({ type: 'progress', phase, done, unit: 'bytes', ...(total === undefined ? {} : { total }) });
  };
}

interface Made {
  readonly source: BlockSource;
  /** Bytes of the tree's archive or of the disk. */
  readonly streamed: number;
  readonly counts: TreeCounts | undefined;
  readonly treeManifest: TreeManifest | undefined;
}

/** Makes an output whole, and compares it where that is asked for. */
async function finish(work: Work, output: Output, made: Made): Promise<Artifact> {
  const { options } = work;
  const { filetype, row, engine, sink, head, tailZeros = 0 } = output;
  const { counts, treeManifest } = made;
  let checked: Checked | undefined;
  const check = async (temporary: string): Promise<void> => {
    checked = await checkOne(work, { temporary, filetype, source: made.source });
  };
  const { path, size, sha256 } = await sink.complete(options.check ? check : undefined);
  const how =
    engine === undefined
      ? {}
      : { engine: engine.name, engineVersion: engine.version, level: engine.level, chunk: engine.chunk };
  return {
    file: `${options.name}.${row.suffix}`,
    path,
    filetype,
    size,
    sha256,
    uncompressedSize: (head?.length ?? 0) + made.streamed + tailZeros,
    ...how,
    ...(counts ? { entries: counts.entries } : {}),
    ...(counts && treeManifest ? { treeDigest: treeManifest.treeDigest } : {}),
    ...(checked ? { checked } : {}),
  };
}

/** Reads the finished file back. @throws PackError `check.differs` */
function checkOne(
  work: Work,
  made: { readonly temporary: string; readonly filetype: FileType; readonly source: BlockSource },
): Promise<Checked> {
  const { options, context, root, edits } = work;
  const { filetype } = made;
  const { content, compression, suffix } = FILE_TYPES[filetype];
  const read = { path: made.temporary, compression, file: `${options.name}.${suffix}`, signal: context.signal };
  return inPhase(
    context,
    `check ${filetype}`,
    async () => {
      const { checkDisk, checkTree } = await import('./check.ts');
      return content === 'tree' && root !== undefined
        ? checkTree(read, new SealedTree(root.tree, edits.tree), latestTime(options))
        : checkDisk(read, made.source, content === 'disk-in-tar');
    },
    ({ entries, bytes }) => `${entries} entries and ${humanSize(bytes)} are as on the disk`,
  );
}
