import type { BlockSource } from '../../disk/block-source.ts';
import { type Patch, patched, type Range, zeroed } from '../../disk/patched.ts';
import { FormatError } from '../../errors.ts';
import type { Edit } from '../file-tree.ts';
import { isZero, setU16, u16 } from './bytes.ts';
import { readDirectory } from './directory.ts';
import { RO_COMPAT, refuseUneditable } from './features.ts';
import type { Ext4 } from './filesystem.ts';
import { freeBlocks, freeInodes } from './free-space.ts';
import { INODE, readInode } from './inode.ts';
import { journalRuns } from './journal.ts';
import { type Plan, planEdits } from './plan.ts';
import { damaged, unsupported } from './problems.ts';
import { releaseInode } from './release.ts';
import { truncateInode } from './truncate.ts';
import { unlinkNames } from './unlink.ts';
import { Workspace } from './workspace.ts';

export interface EditOptions {
  /**
   * Whether everything the bitmaps call free reads as zeros, and not only what these edits freed.
   * @default true: a deleted file's bytes must not ship
   */
  readonly zeroFree?: boolean;
}

export interface EditedExt4 {
  /** The file system with the edits made: changed blocks are `literal`, freed ones zero. Disposing it leaves `fs` open. */
  readonly source: BlockSource;
  /** What was found and edited: `remove /etc/ssh/ssh_host_rsa_key`. */
  readonly applied: readonly string[];
  /** What lies over the file system, bytes from its start: `source` is `fs.source` with `zeros` and then `patches`. */
  readonly patches: readonly Patch[];
  readonly zeros: readonly Range[];
}

/** Directories with more subdirectories than this count their links as 1 (feature dir_nlink). */
const MAX_LINKS = 65000;
const UNCOUNTED = 1;

/**
 * Makes `edits` in a file system, in memory: the answer is the same file system as e2fsck would accept it, to be read
 * while it streams into an artifact. Nothing is written to `fs`. The log of the journal, which holds old copies of
 * directories and inodes, reads as zeros. Times stay as they are. /lost+found is emptied where it would be removed.
 * @throws FormatError `ext4.not-clean`, `ext4.unsupported` for features whose records would go stale (quota, …),
 *   `ext4.damaged`, `ext4.checksum`; PackError `edit.root`
 */
export async function editExt4(fs: Ext4, edits: readonly Edit[], options: EditOptions = {}): Promise<EditedExt4> {
  const { volume } = fs;
  refuse(fs);
  const work = new Workspace(volume);
  const plan = await planEdits(volume, edits);
  await applyPlan(work, plan);
  await work.finish();
  const zeros: Range[] = [];
  const { blockSize } = volume.superblock;
  for (const run of (await journalRuns(volume)) ?? []) {
    // The journal's own superblock, its first block, says that the log is empty.
    const skip = run.logical === 0 ? 1 : 0;
    zeros.push({ position: (run.physical + skip) * blockSize, length: (run.count - skip) * blockSize });
  }
  if (options.zeroFree ?? true) {
    for await (const range of freeBlocks(work)) zeros.push(range);
    for await (const range of freeInodes(work)) zeros.push(range);
  } else {
    zeros.push(...work.freed);
  }
  const patches: Patch[] = [];
  for (const [block, bytes] of [...work.blocks].sort(([a], [b]) => a - b)) {
    if (isZero(bytes)) zeros.push({ position: block * blockSize, length: blockSize });
    else patches.push({ position: block * blockSize, bytes });
  }
  return { source: patched(zeroed(fs.source, zeros), patches), applied: plan.applied, patches, zeros };
}

function refuse(fs: Ext4): void {
  const { compat, roCompat, quotaInodes } = fs.volume.superblock;
  if (fs.unclean !== undefined) {
    throw new FormatError('ext4.not-clean', `Cannot edit the ext4 file system: ${fs.unclean}`, {
      hint: 'Boot the machine and power it off from inside; or, while it is off, run e2fsck -fy on the partition.',
    });
  }
  refuseUneditable(compat, roCompat);
  if ((roCompat & RO_COMPAT.quota) !== 0 && quotaInodes.some((inode) => inode !== 0)) {
    throw unsupported(
      'edit the ext4 file system',
      'it keeps quotas in hidden files (feature quota), which the edits would leave stale',
      'Turn the feature off with tune2fs -O ^quota before packing the disk, or pack a tree (tgz).',
    );
  }
}

async function applyPlan(work: Workspace, plan: Plan): Promise<void> {
  const { volume } = work;
  for (const [directory, names] of plan.unlinks) {
    if (!plan.doomed.has(directory)) await unlinkNames(work, await readInode(volume, directory), names);
  }
  for (const [number, lost] of plan.lostSubdirectories) {
    if (!plan.doomed.has(number)) await lowerDirectoryLinks(work, plan, number, lost);
  }
  for (const number of plan.doomed) await releaseInode(work, await readInode(volume, number));
  const gone = new Set<number>();
  for (const [number, lost] of plan.lostNames) {
    const inode = await readInode(volume, number);
    if (lost > inode.links) {
      throw damaged(`inode ${number}`, `it has more names than the ${inode.links} it counts`, { inode: number });
    }
    if (lost === inode.links) {
      await releaseInode(work, inode);
      gone.add(number);
    } else {
      await work.changeInode(number, (bytes) => setU16(bytes, INODE.links, u16(bytes, INODE.links) - lost));
    }
  }
  for (const number of plan.emptied) {
    if (!gone.has(number)) await truncateInode(work, await readInode(volume, number));
  }
}

/** Every subdirectory's ".." is a link to the directory. */
async function lowerDirectoryLinks(work: Workspace, plan: Plan, number: number, lost: number): Promise<void> {
  const inode = await readInode(work.volume, number);
  const counted = inode.links === UNCOUNTED ? await countLinks(work, plan, number) : inode.links - lost;
  if (counted < 2) {
    throw damaged(`directory inode ${number}`, `it has more subdirectories than the ${inode.links} links it counts`, {
      inode: number,
    });
  }
  const links = counted > MAX_LINKS ? UNCOUNTED : counted;
  await work.changeInode(number, (bytes) => setU16(bytes, INODE.links, links));
}

/** The links of a directory that stopped counting them, now that some of its subdirectories are gone. */
async function countLinks(work: Workspace, plan: Plan, number: number): Promise<number> {
  let links = 2;
  for await (const { entries } of readDirectory(work.volume, await readInode(work.volume, number))) {
    for (const entry of entries) {
      const read = readInode(work.volume, entry.inode);
      const inode = read instanceof Promise ? await read : read;
      if (inode.kind === 'directory' && !plan.doomed.has(inode.number)) links++;
    }
  }
  return links;
}
