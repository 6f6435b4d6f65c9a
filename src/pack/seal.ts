import type { Edit } from '../filesystem/file-tree.ts';
import { HYGIENE } from '../verify/hygiene.ts';

export interface SealOptions {
  /** Account the build logged in with: its keys go too. */
  readonly user?: string | undefined;
  /** Rows of the hygiene table that are off. */
  readonly keep?: readonly string[] | undefined;
  /** What is sealed: some edits are for trees alone. @default disk */
  readonly of?: 'tree' | 'disk';
}

/**
 * What a sealed image does not carry: identity, keys, the state of the build's first boot, its logs and caches. The rows of
 * the hygiene table in their order; each edit does nothing where its path is not there.
 */
export function sealEdits({ user, keep = [], of = 'disk' }: SealOptions = {}): Edit[] {
  const rows = HYGIENE.filter(({ id }) => !keep.includes(id));
  const edits = rows.flatMap(({ edits: own, why: reason }) =>
    own.filter(([, , only]) => only === undefined || only === of).map(([kind, path]): Edit => ({ kind, path, reason })),
  );
  if (user !== undefined && user !== 'root' && !keep.includes('hygiene.build-keys')) {
    edits.push({ kind: 'remove', path: `/home/${user}/.ssh`, reason: 'the key of the build' });
  }
  return edits;
}
