import { FormatError } from '../../errors.ts';
import { unsupported } from './problems.ts';

/** Feature bits of the superblock (kernel: fs/xfs/libxfs/xfs_format.h; names as xfs_info and xfs_db print them). */

export const VERSION_NUMBER = 0x000f;
export const VERSION = {
  moreBits: 0x8000,
  dirV2: 0x2000,
  /** Extents carry an unwritten flag. */
  extentFlag: 0x1000,
} as const;

export const FEATURES2 = { ftype: 0x200 } as const;

export const INCOMPAT = {
  ftype: 0x1,
  sparseInodes: 0x2,
  metaUuid: 0x4,
  bigtime: 0x8,
  needsRepair: 0x10,
  nrext64: 0x20,
  exchangeRange: 0x40,
  parent: 0x80,
} as const;

const REFUSED_NAMES: Readonly<Record<number, string>> = { 256: 'metadir', 512: 'zoned', 1024: 'zone_gaps' };

const READABLE = Object.values(INCOMPAT).reduce((bits, bit) => bits | bit, 0);

/** @throws FormatError `xfs.unsupported` for an incompatible feature that this reader does not have, `xfs.needs-repair` */
export function refuseUnreadable(incompat: number): void {
  const unknown: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    const mask = (1 << bit) >>> 0;
    if ((incompat & ~READABLE & mask) !== 0) unknown.push(REFUSED_NAMES[mask] ?? `incompat bit 0x${mask.toString(16)}`);
  }
  if (unknown.length > 0) {
    throw unsupported(
      `it uses ${unknown.join(', ')}, which compose does not read`,
      'Make the file system without that feature (mkfs.xfs -m, -i or -r), or pack the disk as it is (--format ddgz --no-seal).',
      { features: unknown },
    );
  }
  if ((incompat & INCOMPAT.needsRepair) === 0) return;
  throw new FormatError(
    'xfs.needs-repair',
    'Cannot read the XFS file system: it is marked as in need of repair (needsrepair)',
    {
      hint: 'An xfs_repair or xfs_admin on it did not finish. Run xfs_repair on it again; no kernel mounts it before.',
    },
  );
}
