import type { FatOwnership } from './open.ts';

/** What the options of an fstab line say about owners and modes; what they leave out stays at its default. */
export function ownershipOf(options: readonly string[]): FatOwnership {
  const ownership: { -readonly [K in keyof FatOwnership]: FatOwnership[K] } = {};
  for (const option of options) {
    const match = /^(uid|gid|umask|fmask|dmask)=(\d+)$/.exec(option);
    if (match === null) continue;
    const [, name, text] = match;
    // The kernel takes masks as octal, ids as decimal.
    const value = Number.parseInt(text!, name!.endsWith('mask') ? 8 : 10);
    if (!Number.isSafeInteger(value)) continue;
    if (name === 'uid') ownership.uid = value;
    else if (name === 'gid') ownership.gid = value;
    if (name === 'umask' || name === 'fmask') ownership.fileMask = value & 0o777;
    if (name === 'umask' || name === 'dmask') ownership.directoryMask = value & 0o777;
  }
  return ownership;
}
