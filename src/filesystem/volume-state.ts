import { FormatError } from '../errors.ts';
import type { Ext4 } from './ext4/open.ts';
import type { Volume } from './volumes.ts';

/** @throws FormatError `ext4.not-clean` */
export function requireClean(volume: Volume & { readonly ext4: Ext4 }): void {
  if (volume.ext4.clean) return;
  throw new FormatError(
    'ext4.not-clean',
    `Cannot read the ${volume.probe?.kind ?? 'ext4'} file system on ${volume.where}: ${volume.ext4.unclean}`,
    {
      hint:
        'The machine was not shut down cleanly. Boot it and power it off from inside, ' +
        'or run e2fsck -f on a copy of the volume.',
      evidence: { where: volume.where, uuid: volume.ext4.uuid },
    },
  );
}
