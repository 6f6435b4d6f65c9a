import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { BlockSource } from '../disk/block-source.ts';
import { openDisk } from '../disk/open.ts';
import { isComposeError, PackError, UsageError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { requireEditable } from '../filesystem/edit-root.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import { findRoot, type Root } from '../filesystem/root.ts';
import { collectGarbage } from '../host/collect-garbage.ts';
import type { VerifyReport } from '../verify/judge.ts';
import type { VerifySettings } from '../verify/settings.ts';
import { architectureOf } from './architecture.ts';
import type { Codec, Engine } from './codec.ts';
import { epochFromEnvironment, latestTime, type SealedParts, type Work } from './content.ts';
import { openForCodec } from './effort.ts';
import { codecOf } from './engine.ts';
import { FILE_TYPES, type FileType } from './filetypes.ts';
import { Outcome } from './outcome.ts';
import { checkTuning, type PackOptions, type PackResult } from './pack-options.ts';
import { packPass, phaseOf } from './pack-pass.ts';
import { type Artifact, writeRecords } from './records.ts';
import { Rooms } from './rooms.ts';
import { SealedTree } from './sealed-tree.ts';
import { WINDOW } from './stream.ts';
import { mergeSums } from './sums.ts';
import { checkName, checkTargets } from './targets.ts';
import { Threads } from './threads.ts';
import type { TreeManifest } from './tree-manifest.ts';
import { verifiedOf } from './verified.ts';

export type { PackOptions, PackResult } from './pack-options.ts';

/**
 * Turns a disk into the artifacts MAAS deploys: finds the root, applies the seal to the stream, compresses, and writes
 * each artifact with its `.maas.json`, one SHA256SUMS, and the lists of packages that are wanted.
 * @throws FormatError and PackError (disk, file system, output), HostError `engine.missing`, UsageError `engine.*`
 */
export async function pack(options: PackOptions, context: Context): Promise<PackResult> {
  checkTuning(options);
  await using threads = Threads.start(options.workers);
  return await packOn(threads, options, context);
}

/** As `pack`, on threads that were started before there was anything to pack. Their number is that of `options`. */
export async function packOn(threads: Threads, options: PackOptions, context: Context): Promise<PackResult> {
  const { filetypes } = options;
  checkName(options.name);
  if (filetypes.length === 0) throw new PackError('pack.no-output', 'Cannot pack: no filetype was asked for');
  const engines = await openEngines(options);
  const asked = await editsOf(options);
  const { signal } = context;
  const format = options.format === undefined ? {} : { format: options.format };
  await using disk = await openDisk(options.disk, { signal, ...format });
  await checkTargets(options, disk);
  await using outcome = new Outcome();
  const kinds = [...(options.packages ? ['packages' as const] : []), ...new Set(options.sbom)];
  const trees = filetypes.some((type) => FILE_TYPES[type].content === 'tree');
  const needsRoot = asked.disk.length > 0 || trees || kinds.length > 0 || options.manifest === true;
  const notes = new Set<string>();
  const root = needsRoot
    ? await inPhase(context, 'find root', () => findRoot(disk), describeRoot)
    : await rootIfAny(disk, options, notes);
  const edits = await withEsp(asked, root, options);
  // Before a tree is packed for minutes and the disk beside it turns out not to work.
  if (root !== undefined && filetypes.some((type) => FILE_TYPES[type].content !== 'tree'))
    await requireEditable(root, edits.disk);
  // Before anything is compressed: a damaged package database is told at once.
  const installed = root && kinds.length > 0 ? await listPackages(root, edits.disk, context) : undefined;
  const sealed = new Set<string>();
  if (trees) for (const skip of root?.skipped ?? []) notes.add(`${skip.mountPoint} is left out: ${skip.why}`);
  const work: Work = {
    options,
    disk,
    root,
    edits,
    engines,
    context,
    rooms: new Rooms(),
    threads,
    outcome,
    sealed,
    notes,
  };
  // A tree that is packed is listed on the way.
  let treeManifest = root && options.manifest && !trees ? await listTree(root, work) : undefined;
  // Before minutes of compression, and before a file has any name at all.
  const verified = options.verify && (await verify(work, options.verify));
  const made = new Map<FileType, Artifact>();
  for (const [at, group] of passes(filetypes).entries()) {
    if (at > 0) collectGarbage();
    const done = await inPhase(
      context,
      phaseOf(group),
      () => packPass(work, group),
      ({ artifacts }) => artifacts.map(({ file }) => file).join(', '),
    );
    treeManifest ??= done.treeManifest;
    for (const artifact of done.artifacts) made.set(artifact.filetype, artifact);
  }
  const artifacts = filetypes.flatMap((filetype, at): Artifact[] => {
    const artifact = made.get(filetype);
    const report = verified?.[at];
    if (artifact === undefined) return [];
    return [report === undefined ? artifact : { ...artifact, verified: verifiedOf(report) }];
  });
  if (installed?.sets.length === 0)
    notes.add('the tree has no package database of dpkg, rpm or apk: the lists are empty');
  const { out, name: base, sourceDateEpoch: created = epochFromEnvironment() } = options;
  const architecture = options.maas?.architecture ?? (await architectureOf(root?.tree, notes));
  await writeRecords(outcome, artifacts, { name: base, ...options.maas, architecture });
  const lists = (await installed?.write({ outcome, out, name: base, kinds, created })) ?? [];
  const sums = await outcome.name(() => mergeSums(resolve(out), artifacts, signal));
  for (const { file, filetype, size, sha256 } of artifacts)
    context.emit({ type: 'artifact', file, filetype, size, sha256 });
  for (const note of notes) context.emit({ type: 'log', level: 'info', message: note });
  const used = [...engines.values()].map(({ name, version, level, chunk }) => ({ name, version, level, chunk }));
  const { workers = availableParallelism(), window = WINDOW } = options;
  const pipeline = { workers, window };
  const result = {
    artifacts,
    architecture,
    engines: used,
    pipeline,
    sealed: [...sealed],
    notes: [...notes],
    sums,
    lists,
  };
  const all = verified ? { ...result, verified } : result;
  return treeManifest === undefined ? all : { ...all, treeManifest };
}

/** What is taken out of the tree, and of the disk. @throws UsageError `verify.rule` */
async function editsOf(options: PackOptions): Promise<SealedParts> {
  const { seal, user, edits: own = [] } = options;
  const off = await offRows(options);
  const sealEdits = seal === false ? undefined : (await import('./seal.ts')).sealEdits;
  const edits = (of: 'tree' | 'disk'): Edit[] => [...(sealEdits?.({ user, keep: off, of }) ?? []), ...own];
  return { tree: edits('tree'), disk: edits('disk') };
}

/** Rows of the hygiene table that are off. @throws UsageError `verify.rule` */
async function offRows({ keep = [], verify }: PackOptions): Promise<readonly string[]> {
  const named = [...keep, ...(verify?.off ?? [])];
  return named.length === 0 ? named : (await import('../verify/settings.ts')).offOf(named);
}

/** What is left out of the EFI system partition is known with the root. */
async function withEsp(edits: SealedParts, root: Root | undefined, options: PackOptions): Promise<SealedParts> {
  if (options.seal === false || root?.mounts.some(({ esp }) => esp) !== true) return edits;
  const [off, { espEdits }] = await Promise.all([offRows(options), import('./esp-edits.ts')]);
  return off.includes('esp.build-disk') ? edits : { ...edits, tree: [...edits.tree, ...(await espEdits(root))] };
}

async function verify(work: Work, settings: VerifySettings): Promise<VerifyReport[]> {
  return (await import('./verify-outputs.ts')).verifyOutputs(work, settings);
}

/**
 * The passes that make `filetypes`: what is made of the disk in one, what is made of the tree in another. The second begins
 * with what the collector's heap grew to in the first: that of a tree is three times that of a disk.
 */
function passes(filetypes: readonly FileType[]): FileType[][] {
  const tree = (type: FileType): boolean => FILE_TYPES[type].content === 'tree';
  return [filetypes.filter((type) => !tree(type)), filetypes.filter(tree)].filter((group) => group.length > 0);
}

/** What the tree has installed once it is sealed, and how it is written. */
async function listPackages(root: Root, edits: readonly Edit[], context: Context) {
  const { treePackages, writePackageRecords } = await import('./package-records.ts');
  const installed = await inPhase(
    context,
    'list packages',
    () => treePackages(new SealedTree(root.tree, edits)),
    ({ sets }) => sets.map(({ manager, packages }) => `${packages.length} (${manager})`).join(', ') || 'none',
  );
  const { sets } = installed;
  return { sets, write: (how: Parameters<typeof writePackageRecords>[1]) => writePackageRecords(installed, how) };
}

/** What is in the tree once it is sealed. */
async function listTree(root: Root, { options, edits, context, outcome }: Work): Promise<TreeManifest> {
  const { writeTreeManifest } = await import('./tree-manifest.ts');
  const { out, name } = options;
  const how = { outcome, out, name, latestTime: latestTime(options), signal: context.signal };
  return inPhase(
    context,
    'list tree',
    () => writeTreeManifest(new SealedTree(root.tree, edits.disk), how),
    ({ entries, treeDigest }) => `${entries} entries, ${treeDigest}`,
  );
}

/** The engine of each codec that is asked for; opened before anything is read, so that a missing one costs no time. */
async function openEngines(options: PackOptions): Promise<ReadonlyMap<Codec, Engine>> {
  const { filetypes, engine } = options;
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
    engines.set(codec, await openForCodec(codec, options));
  }
  return engines;
}

/** The root of a disk that is packed as it is: only its free blocks are of interest, and a disk may have none. */
async function rootIfAny(disk: BlockSource, options: PackOptions, notes: Set<string>): Promise<Root | undefined> {
  if (options.freeBlocks === 'keep') return undefined;
  try {
    return await findRoot(disk);
  } catch (error) {
    if (!isComposeError(error)) throw error;
    notes.add(`free blocks are packed as they are: ${error.message}`);
    return undefined;
  }
}

function describeRoot(root: Root): string {
  return root.place.where;
}
