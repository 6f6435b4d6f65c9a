import type { BigIntStats } from 'node:fs';

/** A file or block device of the host, and what tells it from another that takes its name. */
export interface StoredFile {
  /** Absolute. */
  readonly path: string;
  /** Equal for two paths of one file. */
  readonly identity: string;
}

export function identityOf(stat: BigIntStats): string {
  return stat.isBlockDevice() ? `device ${stat.rdev}` : `${stat.dev}:${stat.ino}`;
}
