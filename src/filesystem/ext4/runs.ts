/** Blocks of an inode that lie one after the other, in blocks of the file system. */
export interface Run {
  readonly logical: number;
  readonly physical: number;
  count: number;
  /** Allocated but reads as zeros (kernel: "unwritten"). */
  readonly unwritten: boolean;
}

export interface Runs {
  /** Sorted by `logical`, not overlapping. */
  readonly runs: readonly Run[];
  /** Blocks that hold the map itself: extent tree nodes, indirect blocks. */
  readonly mapBlocks: readonly number[];
}

/** Adds a run, joined with the last one where both go on without a gap. */
export function pushRun(runs: Run[], logical: number, physical: number, count: number, unwritten: boolean): void {
  const last = runs.at(-1);
  if (
    last !== undefined &&
    last.unwritten === unwritten &&
    last.logical + last.count === logical &&
    last.physical + last.count === physical
  ) {
    last.count += count;
  } else {
    runs.push({ logical, physical, count, unwritten });
  }
}
