import type { KeptFirmware } from '../machine/kept-firmware.ts';

/** The disk a build lays its overlay on, and where it came from. */
export interface AcquiredBase {
  readonly path: string;
  readonly format: 'qcow2';
  readonly fromCache: boolean;
  /** The variables an installer left to its firmware. */
  readonly firmware?: KeptFirmware | undefined;
  /** For the manifest: address or mirror, and digest. */
  readonly input: Readonly<Record<string, string | number>>;
}
