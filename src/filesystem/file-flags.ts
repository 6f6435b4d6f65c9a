/**
 * What chattr(1) and project quotas keep of an inode, and tar cannot hold. The bits are those of `FS_IOC_GETFLAGS`
 * (kernel: include/uapi/linux/fs.h), which are also those of an ext4 inode; a project number has a bit of its own.
 */
export const FILE_FLAG = {
  secureDeletion: 0x1,
  undeletable: 0x2,
  compressed: 0x4,
  synchronous: 0x8,
  immutable: 0x10,
  appendOnly: 0x20,
  noDump: 0x40,
  noAtime: 0x80,
  journalData: 0x4000,
  noTailMerging: 0x8000,
  synchronousDirectory: 0x10000,
  topDirectory: 0x20000,
  verity: 0x100000,
  noCopyOnWrite: 0x800000,
  dax: 0x2000000,
  projectInherit: 0x20000000,
  caseFolded: 0x40000000,
  /** Not of the kernel: the inode belongs to a project other than 0. */
  project: 0x80000000,
} as const;

const WORDS: readonly (readonly [flag: number, word: string])[] = [
  [FILE_FLAG.immutable, 'immutable (i)'],
  [FILE_FLAG.appendOnly, 'append only (a)'],
  [FILE_FLAG.noDump, 'no dump (d)'],
  [FILE_FLAG.noAtime, 'no atime (A)'],
  [FILE_FLAG.synchronous, 'synchronous (S)'],
  [FILE_FLAG.synchronousDirectory, 'synchronous directory (D)'],
  [FILE_FLAG.topDirectory, 'top directory (T)'],
  [FILE_FLAG.secureDeletion, 'secure deletion (s)'],
  [FILE_FLAG.undeletable, 'undeletable (u)'],
  [FILE_FLAG.compressed, 'compressed (c)'],
  [FILE_FLAG.journalData, 'data journalled (j)'],
  [FILE_FLAG.noTailMerging, 'no tail merging (t)'],
  [FILE_FLAG.verity, 'verity (V)'],
  [FILE_FLAG.noCopyOnWrite, 'no copy on write (C)'],
  [FILE_FLAG.dax, 'direct access (x)'],
  [FILE_FLAG.caseFolded, 'case folded (F)'],
  [FILE_FLAG.projectInherit, 'project inherited (P)'],
  [FILE_FLAG.project, 'project number'],
];

/** Every bit of `FILE_FLAG` but `project`: what an ext4 inode's flags are masked with. */
export const KERNEL_FLAGS = WORDS.reduce((mask, [flag]) => mask | flag, 0) & 0x7fffffff;

/** How many inodes have each flag. */
export class FlagCounts {
  /** Inodes by the flags they have; few combinations occur. */
  readonly #inodes = new Map<number, number>();

  /** Counts an inode that has `flags`, a sum of `FILE_FLAG`. */
  add(flags: number): void {
    this.#inodes.set(flags, (this.#inodes.get(flags) ?? 0) + 1);
  }

  /** Inodes with any flag. */
  get inodes(): number {
    return [...this.#inodes.values()].reduce((sum, count) => sum + count, 0);
  }

  /** `2 immutable (i), 1 project number`; empty when there are none. */
  toString(): string {
    const count = (flag: number): number =>
      [...this.#inodes].reduce((sum, [flags, inodes]) => sum + ((flags & flag) === 0 ? 0 : inodes), 0);
    return WORDS.filter(([flag]) => count(flag) > 0)
      .map(([flag, word]) => `${count(flag)} ${word}`)
      .join(', ');
  }
}
