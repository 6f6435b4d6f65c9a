import { FormatError } from '../errors.ts';
import type { ReadableVolume } from './volumes.ts';

const POWER_OFF = 'The machine was not shut down cleanly. Boot it and power it off from inside, or';

/** @throws FormatError `ext4.not-clean`, `xfs.not-clean` */
export function requireClean(volume: ReadableVolume): void {
  const { fs } = volume;
  if (fs.clean) return;
  const name = volume.where;
  const evidence = { where: volume.where, uuid: fs.uuid };
  if (fs.kind === 'xfs') {
    throw new FormatError('xfs.not-clean', `Cannot read the XFS file system on ${name}: ${fs.unclean}`, {
      hint: `${POWER_OFF} mount a copy of the partition and unmount it, which replays the log.`,
      evidence,
    });
  }
  throw new FormatError(
    'ext4.not-clean',
    `Cannot read the ${volume.probe?.kind ?? 'ext4'} file system on ${name}: ${fs.unclean}`,
    { hint: `${POWER_OFF} run e2fsck -f on a copy of the partition.`, evidence },
  );
}
