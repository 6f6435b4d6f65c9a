import { type Evidence, FormatError } from '../../errors.ts';

/** What a segment type is called, and what turns the volume into one that can be read. */
const TYPES: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  thin: ['a thin volume', 'Install the system on a plain volume (kickstart: autopart --type=lvm, not thinp).'],
  'thin-pool': ['a pool of thin volumes', 'Install the system on a plain volume.'],
  cache: ['a cached volume', 'Turn its cache off with lvconvert --uncache VG/LV.'],
  'cache-pool': ['a pool that caches another volume', 'Turn the cache off with lvconvert --uncache VG/LV.'],
  writecache: ['a volume with a write cache', 'Turn its cache off with lvconvert --splitcache VG/LV.'],
  mirror: ['a mirror', 'Turn it into a plain volume with lvconvert -m 0 VG/LV.'],
  snapshot: ['a snapshot', 'Merge it with lvconvert --merge VG/LV, or remove it with lvremove.'],
  vdo: ['a deduplicated volume (VDO)', 'Install the system on a plain volume.'],
  'vdo-pool': ['a pool of deduplicated volumes (VDO)', 'Install the system on a plain volume.'],
  integrity: ['a volume with integrity data', 'Remove them with lvconvert --raidintegrity n VG/LV.'],
  error: ['a volume that lost extents', 'A disk of its group went missing; restore the disk, or the volume.'],
  zero: ['a volume of zeros', 'Remove it with lvremove.'],
};

const RAID_HINT = 'Turn it into a plain volume with lvconvert -m 0 (raid1) or --type striped (raid0), and then pack.';

/** A logical volume of a kind that is not read. `type` is LVM's name of its segment type. */
export function unsupportedType(volume: string, type: string): FormatError {
  const [what, hint] = type.startsWith('raid')
    ? [`a RAID volume (${type})`, RAID_HINT]
    : (TYPES[type] ?? [`of the type ${type}`, 'compose reads linear and striped volumes; install the system on one.']);
  return problem('lvm.unsupported', volume, `it is ${what}`, hint, { type });
}

/** A logical volume that cannot be read. */
export function problem(
  code: string,
  volume: string,
  why: string,
  hint: string,
  evidence: Evidence = {},
  cause?: unknown,
): FormatError {
  return new FormatError(code, `Cannot read the logical volume ${volume}: ${why}`, {
    hint,
    evidence: { volume, ...evidence },
    cause,
  });
}

/** Metadata that contradict themselves. */
export function damagedGroup(group: string, why: string): FormatError {
  return new FormatError('lvm.damaged', `Cannot use the LVM volume group ${group}: ${why}`, {
    hint: 'Run vgck on a copy of the disk; vgcfgrestore brings back metadata of before.',
    evidence: { group },
  });
}
