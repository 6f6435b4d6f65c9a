/** What goes into artifacts: the tree as an archive, the disk as it is, both sealed. */
import type { BlockSource } from '../disk/block-source.ts';
import type { Disk } from '../disk/open.ts';
import { PackError } from '../errors.ts';
import type { Context } from '../events.ts';
import { editRoot } from '../filesystem/edit-root.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import type { Root } from '../filesystem/root.ts';
import type { Codec, Engine } from './codec.ts';
import type { Cutter } from './cutter.ts';
import type { Outcome } from './outcome.ts';
import { Overlay } from './overlay.ts';
import type { PackOptions } from './pack-options.ts';
import type { Rooms } from './rooms.ts';
import type { Threads } from './threads.ts';
import { type TreeCounts, type TreeListener, writeTree } from './tree.ts';

/** The edits of each content: some of the seal's are for trees alone. */
export type SealedParts = Readonly<Record<'tree' | 'disk', readonly Edit[]>>;

/** What a pack works with. */
export interface Work {
  readonly options: PackOptions;
  readonly disk: Disk;
  readonly root: Root | undefined;
  readonly edits: SealedParts;
  readonly engines: ReadonlyMap<Codec, Engine>;
  readonly context: Context;
  readonly rooms: Rooms;
  readonly threads: Threads;
  readonly outcome: Outcome;
  readonly sealed: Set<string>;
  readonly notes: Set<string>;
}

/** The tree as a tar stream. */
export async function fillTree(one: Work, cutter: Cutter, listener: TreeListener | undefined): Promise<TreeCounts> {
  if (one.root === undefined) throw new PackError('root.none', 'Cannot pack a tree: no root was looked for');
  const overlay = new Overlay(one.edits.tree);
  const counts = await writeTree(one.root.tree, cutter, { overlay, latestTime: latestTime(one.options), listener });
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

/** The disk as a stream. */
export async function fillDisk(source: BlockSource, cutter: Cutter): Promise<void> {
  const step = 64 * 1024 * 1024;
  for (let at = 0; at < source.size; at += step) await cutter.data(source, at, Math.min(step, source.size - at));
}

/** The disk with the edits made on its root file system and on those its fstab mounts. */
export async function sealedDisk(one: Work): Promise<BlockSource> {
  const zeroFree = one.options.freeBlocks !== 'keep';
  const edits = one.edits.disk;
  if (one.root === undefined || (edits.length === 0 && !zeroFree)) return one.disk;
  const edited = await editRoot(one.disk, one.root, edits, { zeroFree });
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
