import { type Evidence, FormatError } from '../../errors.ts';

/** Structures that contradict themselves or point outside the file system. */
export function damaged(what: string, why: string, evidence: Evidence = {}): FormatError {
  return new FormatError('fat.damaged', `Cannot read ${what} of the FAT file system: ${why}`, {
    hint: 'Run fsck.vfat -n on a copy of the disk; what it finds was wrong before compose read it.',
    evidence,
  });
}
