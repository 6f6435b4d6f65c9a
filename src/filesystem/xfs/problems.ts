import { type Evidence, FormatError } from '../../errors.ts';

/** What to do about a file system whose bytes contradict themselves. */
const REPAIR =
  'Run xfs_repair on a copy of the disk; if it repairs something there, the disk was damaged before compose read it.';

/** Structures that contradict themselves or point outside the file system. */
export function damaged(what: string, why: string, evidence: Evidence = {}): FormatError {
  return new FormatError('xfs.damaged', `Cannot read ${what} of the XFS file system: ${why}`, {
    hint: REPAIR,
    evidence,
  });
}

/** A checksum that does not match what it covers. */
export function badChecksum(what: string, stored: number, computed: number, evidence: Evidence = {}): FormatError {
  const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
  return new FormatError(
    'xfs.checksum',
    `Cannot trust ${what} of the XFS file system: its checksum is ${hex(stored)}, its bytes give ${hex(computed)}`,
    { hint: REPAIR, evidence: { ...evidence, stored: hex(stored), computed: hex(computed) } },
  );
}

/** Something this reader does not have. */
export function unsupported(why: string, hint: string, evidence: Evidence = {}): FormatError {
  return new FormatError('xfs.unsupported', `Cannot read the XFS file system: ${why}`, { hint, evidence });
}
