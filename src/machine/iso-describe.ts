import { openHostFile } from '../disk/host-file.ts';
import { isComposeError } from '../errors.ts';
import { type BootImage, type IsoNames, openIso9660 } from '../formats/iso9660-reader.ts';
import { type InstallerIdentity, identifyInstaller } from './installer-identity.ts';
import { INSTALLER_LAYOUTS } from './installer-layouts.ts';
import { findOnIso } from './iso-files.ts';

/** What an ISO image is. Sizes are bytes. */
export interface IsoDescription {
  readonly volumeId: string;
  readonly size: number;
  /** What the volume says it has; more than `size` when the image was cut short. */
  readonly volumeSize: number;
  /** Where the names come from. */
  readonly names: IsoNames;
  /** Whether there is a UDF file system too. */
  readonly udf: boolean;
  readonly installer: InstallerIdentity | undefined;
  /** Kernel and initrd a direct boot would take, paths from the root. */
  readonly boot: { readonly kernel: string; readonly initrd: string } | undefined;
  /** The entries of El Torito. */
  readonly bootImages: readonly BootImage[];
  /** Why the boot catalogue was not read. */
  readonly problem: string | undefined;
}

/** @throws the errors of opening the file and the ISO: `disk.not-found`, `iso9660.not-iso9660`, `iso9660.udf`, … */
export async function describeIso(path: string): Promise<IsoDescription> {
  await using file = await openHostFile(path);
  const iso = await openIso9660(file);
  const installer = await identifyInstaller(iso);
  let boot: IsoDescription['boot'];
  const layouts = INSTALLER_LAYOUTS.filter(({ system }) => installer === undefined || system === installer.system);
  for (const { kernel, initrd } of [...(installer?.images === undefined ? [] : [installer.images]), ...layouts]) {
    const found = [await findOnIso(iso, kernel), await findOnIso(iso, initrd)];
    if (found.some((entry) => entry?.kind !== 'file')) continue;
    const [from, ram] = found.map((entry) => `/${new TextDecoder().decode(entry?.path)}`);
    boot = { kernel: from ?? kernel, initrd: ram ?? initrd };
    break;
  }
  let bootImages: readonly BootImage[] = [];
  let problem: string | undefined;
  try {
    bootImages = await iso.bootImages();
  } catch (error) {
    if (!isComposeError(error)) throw error;
    problem = error.message;
  }
  const { volumeId, volumeSize, names, udf } = iso;
  return { volumeId, size: file.size, volumeSize, names, udf, installer, boot, bootImages, problem };
}

const SYSTEM_AREA = 32 * 1024;
const MARKS = ['CD001', 'BEA01'];

/** Whether a file begins as an ISO 9660 or UDF image does; a hybrid one is a disk too. */
export async function looksLikeIso(path: string): Promise<boolean> {
  await using file = await openHostFile(path);
  if (file.size < SYSTEM_AREA + 6) return false;
  const head = new Uint8Array(6);
  await file.read(SYSTEM_AREA, head);
  return MARKS.includes(new TextDecoder('latin1').decode(head.subarray(1)));
}
