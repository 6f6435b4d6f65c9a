import { unsupported } from './problems.ts';

/** Feature bits of the superblock (kernel: Documentation/filesystems/ext4/super.rst; names as dumpe2fs prints them). */

export const COMPAT = {
  hasJournal: 0x4,
  resizeInode: 0x10,
  dirIndex: 0x20,
  excludeBitmap: 0x100,
  sparseSuper2: 0x200,
  orphanFile: 0x1000,
} as const;

export const INCOMPAT = {
  compression: 0x1,
  filetype: 0x2,
  recover: 0x4,
  journalDev: 0x8,
  metaBg: 0x10,
  extents: 0x40,
  bits64: 0x80,
  mmp: 0x100,
  flexBg: 0x200,
  eaInode: 0x400,
  dirdata: 0x1000,
  csumSeed: 0x2000,
  largeDir: 0x4000,
  inlineData: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
} as const;

export const RO_COMPAT = {
  sparseSuper: 0x1,
  largeFile: 0x2,
  btreeDir: 0x4,
  hugeFile: 0x8,
  gdtCsum: 0x10,
  dirNlink: 0x20,
  extraIsize: 0x40,
  hasSnapshot: 0x80,
  quota: 0x100,
  bigalloc: 0x200,
  metadataCsum: 0x400,
  replica: 0x800,
  readonly: 0x1000,
  project: 0x2000,
  sharedBlocks: 0x4000,
  verity: 0x8000,
  orphanPresent: 0x10000,
} as const;

const INCOMPAT_NAMES: Readonly<Record<number, string>> = {
  [INCOMPAT.compression]: 'compression',
  [INCOMPAT.journalDev]: 'journal_dev',
  [INCOMPAT.dirdata]: 'dirdata',
  [INCOMPAT.encrypt]: 'encrypt',
  [INCOMPAT.casefold]: 'casefold',
};

const RO_COMPAT_NAMES: Readonly<Record<number, string>> = {
  [RO_COMPAT.hasSnapshot]: 'has_snapshot',
  [RO_COMPAT.replica]: 'replica',
  [RO_COMPAT.sharedBlocks]: 'shared_blocks',
};

const READABLE =
  INCOMPAT.filetype |
  INCOMPAT.recover |
  INCOMPAT.metaBg |
  INCOMPAT.extents |
  INCOMPAT.bits64 |
  INCOMPAT.mmp |
  INCOMPAT.flexBg |
  INCOMPAT.eaInode |
  INCOMPAT.csumSeed |
  INCOMPAT.largeDir |
  INCOMPAT.inlineData;

const EDITABLE_RO =
  RO_COMPAT.sparseSuper |
  RO_COMPAT.largeFile |
  RO_COMPAT.btreeDir |
  RO_COMPAT.hugeFile |
  RO_COMPAT.gdtCsum |
  RO_COMPAT.dirNlink |
  RO_COMPAT.extraIsize |
  RO_COMPAT.quota |
  RO_COMPAT.bigalloc |
  RO_COMPAT.metadataCsum |
  RO_COMPAT.readonly |
  RO_COMPAT.project |
  RO_COMPAT.verity;

function names(bits: number, known: Readonly<Record<number, string>>, word: string): string[] {
  const out: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    const mask = (1 << bit) >>> 0;
    if ((bits & mask) !== 0) out.push(known[mask] ?? `${word} bit 0x${mask.toString(16)}`);
  }
  return out;
}

const INODE_ENCRYPTED = 0x800;
const INODE_CASEFOLDED = 0x40000000;
/** Flags that `refuseUnreadableInode` has to be asked about. */
export const DOUBTFUL_INODE = INODE_ENCRYPTED | INODE_CASEFOLDED;

/** What to do about a feature, by its name. */
const ADVICE: Readonly<Record<string, string>> = {
  casefold:
    'If lsattr -R shows no directory with the flag F, take the feature off: tune2fs -O ^casefold on the unmounted partition.',
  encrypt: 'Copy the files, unlocked, to a file system made without the feature (mke2fs -O ^encrypt).',
};
const AS_IS = 'pack the disk as it is (--format ddgz --no-seal).';

function advice(features: readonly string[]): string {
  const known = features.flatMap((name) => ADVICE[name] ?? []);
  if (known.length > 0) return `${known.join(' ')} Or ${AS_IS}`;
  return `Make the file system without that feature (mke2fs -O ^FEATURE), or ${AS_IS}`;
}

/** @throws FormatError `ext4.unsupported` for an incompatible feature that this reader does not have */
export function refuseUnreadable(incompat: number): void {
  const unknown = names(incompat & ~READABLE, INCOMPAT_NAMES, 'incompat');
  if (unknown.length === 0) return;
  throw unsupported(
    'read the ext4 file system',
    `it uses ${unknown.join(', ')}, which compose does not read`,
    advice(unknown),
    { features: unknown },
  );
}

/**
 * For inodes with one of `DOUBTFUL_INODE`. Their features are refused in the superblock; one with the flag alone would be
 * read as what it is not (kernel: fs/ext4/inode.c, `__ext4_iget` refuses casefold too).
 * @throws FormatError `ext4.unsupported`
 */
export function refuseUnreadableInode(number: number, directory: boolean, flags: number): void {
  const encrypted = (flags & INODE_ENCRYPTED) !== 0;
  // Nothing compares names in what is no directory.
  if (!encrypted && !directory) return;
  const feature = encrypted ? 'encrypt' : 'casefold';
  throw unsupported(
    `read inode ${number} of the ext4 file system`,
    `it has the flag of the feature ${feature}, which compose does not read and the superblock does not tell of`,
    'Run e2fsck -f on a copy of the disk: it clears the flag where it is wrong.',
    { inode: number, features: [feature] },
  );
}

/** @throws FormatError `ext4.unsupported` for a feature whose bookkeeping the editor does not have */
export function refuseUneditable(compat: number, roCompat: number): void {
  const unknown = names(roCompat & ~EDITABLE_RO, RO_COMPAT_NAMES, 'ro_compat');
  if ((compat & COMPAT.excludeBitmap) !== 0) unknown.push('exclude_bitmap');
  if (unknown.length === 0) return;
  throw unsupported(
    'edit the ext4 file system',
    `it uses ${unknown.join(', ')}, which compose does not keep up to date`,
    'Remove that feature with tune2fs in the guest, or pack a tree (tgz), which needs no edits on the disk.',
    { features: unknown },
  );
}
