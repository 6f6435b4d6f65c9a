import { FormatError } from '../errors.ts';
import type { ReadableVolume } from './volumes.ts';

const REPLAY = {
  ext4: 'run e2fsck -f on a copy of the partition.',
  xfs: 'mount a copy of the partition and unmount it, which replays the log.',
} as const;

/** @throws FormatError `ext4.not-clean`, `xfs.not-clean` */
export function requireClean(volume: ReadableVolume): void {
  const { fs } = volume;
  if (fs.clean) return;
  const name = volume.partition === undefined ? 'the disk' : `partition ${volume.partition.number}`;
  throw new FormatError(
    fs.kind === 'xfs' ? 'xfs.not-clean' : 'ext4.not-clean',
    `Cannot read the ${volume.probe?.kind ?? fs.kind} file system on ${name}: ${fs.unclean}`,
    {
      hint: 'The machine was not shut down cleanly. Boot it and power it off from inside, ' + `or ${REPLAY[fs.kind]}`,
      evidence: { partition: volume.partition?.number, uuid: fs.uuid },
    },
  );
}
