/** How the disk of an installation is cut. */

import { type KickstartLine, line } from './kickstart-text.ts';
import type { Rules } from './rules.ts';

export interface Disk {
  readonly firmware: 'uefi' | 'bios';
  readonly layout: string | undefined;
}

/** The first disk of the machine, on virtio; the medium and the answers are others. */
export const DISK = 'vda';
const VOLUME_GROUP = 'system';

/**
 * One root file system on ext4 behind what the firmware needs, as the last thing on the disk: a deployed disk grows there. No
 * swap, which MAAS makes, and no /boot of its own but with LVM. Sizes are MiB.
 */
export function partitions({ firmware, layout }: Disk, rules: Rules): KickstartLine[] {
  const part = (where: string, type: string, size: number, grow = false): KickstartLine =>
    line(
      'part',
      [
        ['fstype', type],
        ['ondisk', DISK],
        ['size', size],
        ['grow', grow],
      ],
      where,
    );
  const forFirmware =
    firmware === 'uefi' ? [part('/boot/efi', 'efi', 200)] : rules.gptOnBios ? [part('biosboot', 'biosboot', 1)] : [];
  if (layout !== 'lvm') return [...forFirmware, part('/', 'ext4', 2048, true)];
  return [
    ...forFirmware,
    part('/boot', 'ext4', 1024),
    line(
      'part',
      [
        ['ondisk', DISK],
        ['size', 2048],
        ['grow', true],
      ],
      'pv.01',
    ),
    line('volgroup', [], VOLUME_GROUP, 'pv.01'),
    line(
      'logvol',
      [
        ['fstype', 'ext4'],
        ['name', 'root'],
        ['vgname', VOLUME_GROUP],
        ['size', 2048],
        ['grow', true],
      ],
      '/',
    ),
  ];
}
