import type { BlockSource } from '../disk/block-source.ts';
import { FormatError } from '../errors.ts';
import { repairCommand } from './repair-command.ts';
import type { ReadableVolume } from './volumes.ts';

const POWER_OFF = 'The machine was not shut down cleanly. Boot it and power it off from inside; or, while it is off';

/**
 * `disk` is what the volume lies on; the hint names its image.
 * @throws FormatError `ext4.not-clean`, `xfs.not-clean`
 */
export function requireClean(volume: ReadableVolume, disk: BlockSource): void {
  const { fs, where } = volume;
  if (fs.clean) return;
  const evidence = { where, uuid: fs.uuid };
  if (fs.kind === 'xfs') {
    throw new FormatError('xfs.not-clean', `Cannot read the XFS file system on ${where}: ${fs.unclean}`, {
      hint: `${POWER_OFF}, replay the log as root: ${repairCommand('xfs', volume, disk)}`,
      evidence,
    });
  }
  throw new FormatError(
    'ext4.not-clean',
    `Cannot read the ${volume.probe?.kind ?? 'ext4'} file system on ${where}: ${fs.unclean}`,
    { hint: `${POWER_OFF}, repair it as root: ${repairCommand('e2fsck', volume, disk)}`, evidence },
  );
}
