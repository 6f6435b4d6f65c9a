import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openHostFile } from '../disk/host-file.ts';
import { FormatError, HostError, isComposeError, SourceError } from '../errors.ts';
import type { Context } from '../events.ts';
import { type Iso9660, type IsoEntry, openIso9660 } from '../formats/iso9660-reader.ts';
import { makeFolder } from '../host/make-folder.ts';
import { writeWhole } from '../host/whole-file.ts';
import { type InstallerIdentity, identifyInstaller } from './installer-identity.ts';
import { INSTALLER_LAYOUTS, type InstallerArch, type InstallerLayout } from './installer-layouts.ts';
import { findOnIso, isoFileChunks, likelyBootFiles, rootNames } from './iso-files.ts';

/** What to take out of an installer's ISO. Without paths it is what the vendor's layout has. */
export interface WantedFiles {
  /** Of a medium that boots more than one. */
  readonly arch?: InstallerArch | undefined;
  /** Paths on the ISO, for media of other layouts. */
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
}

export interface LiftedFile {
  /** File of this host. */
  readonly path: string;
  /** Where it was on the ISO, a leading slash before it. */
  readonly from: string;
  /** Bytes. */
  readonly size: number;
}

/** Kernel and initrd of an installer, ready for a direct boot. */
export interface LiftedInstaller {
  readonly volumeId: string;
  readonly installer: InstallerIdentity | undefined;
  /** Where the pair was found, when a layout of the table named it. */
  readonly layout: InstallerLayout | undefined;
  readonly kernel: LiftedFile;
  readonly initrd: LiftedFile;
}

interface Pair {
  readonly layout: InstallerLayout | undefined;
  readonly kernel: IsoEntry;
  readonly initrd: IsoEntry;
}

/**
 * Copies kernel and initrd of the installer in `iso` into the folder `to`, as `kernel` and `initrd`. Files stream, and
 * have their names once they are whole.
 * @throws SourceError `installer.no-kernel`, `installer.no-file`, `installer.unreadable`; FormatError `iso9660.udf`,
 *   `iso9660.not-iso9660`, `iso9660.damaged`, `iso9660.truncated`; PackError `disk.not-found` and the like;
 *   HostError `installer.write`
 */
export async function liftFromIso(
  iso: string,
  wanted: WantedFiles,
  to: string,
  context: Context,
): Promise<LiftedInstaller> {
  context.signal.throwIfAborted();
  await using file = await openHostFile(iso);
  const image = await openIso9660(file);
  const installer = await identifyInstaller(image);
  const pair = await findPair(iso, image, installer, wanted);
  const lift = async (entry: IsoEntry, name: string): Promise<LiftedFile> => {
    const from = `/${new TextDecoder().decode(entry.path)}`;
    return {
      path: await copyOut(entry, `${from} of ${iso}`, join(resolve(to), name), context),
      from,
      size: sizeOf(entry),
    };
  };
  const kernel = await lift(pair.kernel, 'kernel');
  const initrd = await lift(pair.initrd, 'initrd').catch(async (error: unknown) => {
    await rm(kernel.path, { force: true });
    throw error;
  });
  return { volumeId: image.volumeId, installer, layout: pair.layout, kernel, initrd };
}

async function findPair(
  path: string,
  iso: Iso9660,
  installer: InstallerIdentity | undefined,
  wanted: WantedFiles,
): Promise<Pair> {
  if (wanted.kernel !== undefined && wanted.initrd !== undefined) {
    const kernel = await givenFile(path, iso, wanted.kernel);
    return { layout: undefined, kernel, initrd: await givenFile(path, iso, wanted.initrd) };
  }
  for (const { kernel, initrd, layout } of candidates(installer, wanted)) {
    const pair = { layout, kernel: await findOnIso(iso, kernel), initrd: await findOnIso(iso, initrd) };
    if (!isFile(pair.kernel) || !isFile(pair.initrd)) continue;
    return { layout, kernel: readable(path, pair.kernel, kernel), initrd: readable(path, pair.initrd, initrd) };
  }
  throw await noKernel(path, iso, installer, wanted);
}

/** Pairs of paths in the order they are tried: what the medium names itself, its vendor's, then everybody's. */
function candidates(
  installer: InstallerIdentity | undefined,
  wanted: WantedFiles,
): { kernel: string; initrd: string; layout: InstallerLayout | undefined }[] {
  const arch = wanted.arch ?? installer?.arch;
  const fits = INSTALLER_LAYOUTS.filter((layout) => arch === undefined || layout.arch === arch);
  const own = fits.filter(({ system }) => system === installer?.system);
  const others = fits.filter(({ system }) => system !== installer?.system);
  const named = wanted.arch === undefined || wanted.arch === installer?.arch ? installer?.images : undefined;
  const pairs = [
    ...(named === undefined ? [] : [{ ...named, layout: undefined }]),
    ...[...own, ...others].map((layout) => ({ kernel: layout.kernel, initrd: layout.initrd, layout })),
  ];
  return pairs.map((pair) => ({
    ...pair,
    kernel: wanted.kernel ?? pair.kernel,
    initrd: wanted.initrd ?? pair.initrd,
  }));
}

function isFile(entry: IsoEntry | undefined): entry is IsoEntry {
  return entry?.kind === 'file';
}

async function givenFile(path: string, iso: Iso9660, name: string): Promise<IsoEntry> {
  const entry = await findOnIso(iso, name);
  if (entry?.kind === 'file') return readable(path, entry, name);
  if (entry === undefined && iso.udf) throw udfOnly(path);
  const why = entry === undefined ? 'there is no such file' : `it is a ${entry.kind}`;
  throw new SourceError('installer.no-file', `Cannot take ${name} out of ${path}: ${why}`, {
    hint: 'Give the path as `compose inspect` and `bsdtar -tf` show it, from the root of the ISO.',
    evidence: { volume: iso.volumeId, root: await rootNames(iso), bootFiles: await likelyBootFiles(iso) },
  });
}

function readable(path: string, entry: IsoEntry, name: string): IsoEntry {
  if (entry.data !== undefined && entry.data.size > 0) return entry;
  throw new SourceError(
    'installer.unreadable',
    `Cannot take ${name} out of ${path}: ${entry.unreadable ?? 'it is empty'}`,
    { hint: 'Take the file out with other tools and give it to the recipe as a file.' },
  );
}

async function noKernel(
  path: string,
  iso: Iso9660,
  installer: InstallerIdentity | undefined,
  { arch, kernel, initrd }: WantedFiles,
): Promise<Error> {
  const root = await rootNames(iso);
  if (iso.udf) return udfOnly(path);
  const whose = installer === undefined ? 'no installer compose knows' : `${installer.title} (${installer.from})`;
  const which = arch === undefined ? '' : ` for ${arch}`;
  return new SourceError(
    'installer.no-kernel',
    `Cannot boot the installer of ${path}: no kernel and initrd${which} where installers keep them; it is ${whose}`,
    {
      hint: 'Give the recipe the paths of kernel and initrd on the ISO; `bsdtar -tf` lists all of it.',
      evidence: {
        volume: iso.volumeId,
        root,
        bootFiles: await likelyBootFiles(iso).catch((error) => (isComposeError(error) ? [] : Promise.reject(error))),
        ...(kernel === undefined ? {} : { kernel }),
        ...(initrd === undefined ? {} : { initrd }),
      },
    },
  );
}

function udfOnly(path: string): FormatError {
  return new FormatError('iso9660.udf', `Cannot take files out of ${path}: it keeps them in UDF, as Windows media do`, {
    hint: 'Such an installer is started from its own boot loader: give its answers on a volume of their own.',
  });
}

async function copyOut(entry: IsoEntry, what: string, path: string, context: Context): Promise<string> {
  try {
    await makeFolder(resolve(path, '..'));
    await writeWhole(path, async (append) => {
      for await (const chunk of isoFileChunks(entry, what)) {
        context.signal.throwIfAborted();
        await append(chunk);
      }
    });
  } catch (cause) {
    if (isComposeError(cause) || context.signal.aborted) throw cause;
    throw new HostError('installer.write', `Cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
  return path;
}

function sizeOf(entry: IsoEntry): number {
  return entry.data?.size ?? 0;
}
