/** A base disk that a vendor's installer made, from its medium and our answers. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ComposeError, MachineError, RecipeError, SourceError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { type AnswerServer, serveAnswers } from '../host/answer-server.ts';
import { fetchMedia, fileDigest } from '../host/download.ts';
import { cacheFolder } from '../host/folders.ts';
import { makeFolder } from '../host/make-folder.ts';
import { newestAddress } from '../host/newest.ts';
import { run } from '../host/process.ts';
import { reapPath } from '../host/reaper.ts';
import { SingleFlight } from '../host/single-flight.ts';
import type { AcceleratorPolicy } from '../machine/accelerator.ts';
import { runInstaller } from '../machine/install.ts';
import { describeIso } from '../machine/iso-describe.ts';
import { type KeptFirmware, keepFirmware } from '../machine/kept-firmware.ts';
import { tapSerial } from '../machine/serial-tap.ts';
import type { StoppedMachine } from '../machine/start.ts';
import type { View, ViewKind } from '../machine/view.ts';
import type { Plan } from '../recipe/plan.ts';
import { isAddress, type PlannedInstaller } from '../recipe/plan-installer.ts';
import { installerMachine } from './installer-machine.ts';
import { typeAnswers } from './installer-typing.ts';

export interface InstallOptions {
  readonly source: PlannedInstaller;
  /** Evidence goes into its folder `install`. */
  readonly runDir: string;
  /** Installs even when the cache has the disk. */
  readonly fresh?: boolean | undefined;
  readonly accelerator?: AcceleratorPolicy | undefined;
  readonly view?: ViewKind | undefined;
  readonly onView?: ((view: Pick<View, 'address' | 'password'>) => void) | undefined;
}

export interface InstalledDisk {
  readonly path: string;
  readonly fromCache: boolean;
  readonly firmware: KeptFirmware | undefined;
  /** For the manifest. */
  readonly input: Readonly<Record<string, string | number>>;
}

interface Medium {
  readonly path: string;
  /** The vendor's; the cache names files by their digests. */
  readonly name: string;
  readonly algorithm: 'sha256' | 'sha512';
  readonly digest: string;
  readonly size: number;
}

/** Raised whenever compose starts installers otherwise. */
const VERSION = 1;

/** By the disk that is made. */
const disks = new SingleFlight<InstalledDisk>();

/**
 * The disk an installer makes of a plan, from the cache when it was made of the same medium, answers and machine before.
 * @throws SourceError `installer.medium`, `installer.volume`, `download.checksum` and those of downloads; MachineError of `runInstaller`, and
 *   `installer.never-asked`
 */
export async function installedDisk(plan: Plan, options: InstallOptions, context: Context): Promise<InstalledDisk> {
  const source = withMedium(options.source, plan.recipe);
  const medium = await mediumOf(source, context);
  const volume = await checkVolume(source, medium);
  const key = inputKey(plan, source, medium);
  const folder = join(cacheFolder(), 'base');
  await makeFolder(folder);
  const final = join(folder, `${plan.recipe}-${plan.arch}-${key.slice(0, 24)}.qcow2`);
  const { algorithm, digest, size } = medium;
  const input = { kind: 'installer', iso: medium.name, volume, [algorithm]: digest, size, inputs: key };
  return disks.run(
    final,
    '',
    async (shared): Promise<InstalledDisk> => {
      const record = { record: `${final}.firmware.json` };
      const firmware = plan.machine.firmware === 'uefi' ? record : undefined;
      if (!options.fresh && existsSync(final)) return { path: final, fromCache: true, firmware, input };
      await inPhase(
        shared,
        'install',
        () => install(plan, { ...options, source }, medium, volume, final, shared),
        ({ reason }) => reason,
      );
      return { path: final, fromCache: false, firmware, input };
    },
    context,
  );
}

type WithMedium = PlannedInstaller & { readonly iso: string };

function withMedium(source: PlannedInstaller, recipe: string): WithMedium {
  const { iso } = source;
  if (iso !== undefined) return { ...source, iso };
  throw new RecipeError('installer.iso', `Cannot build ${recipe}: it was planned without its medium`, {
    hint: 'Name the medium with --iso FILE.',
  });
}

async function mediumOf({ iso, checksum }: WithMedium, context: Context): Promise<Medium> {
  if (isAddress(iso) && checksum !== undefined) {
    const url = 'sums' in checksum ? await newestAddress(iso, checksum.sums, context) : iso;
    const media = await fetchMedia({ url, digest: checksum }, context);
    return { ...media, name: basename(url) };
  }
  const info = await stat(iso).catch((cause: Error) => {
    throw new SourceError('installer.no-iso', `Cannot read the medium ${iso}: ${cause.message}`, {
      hint: 'Name the file with --iso FILE.',
      cause,
    });
  });
  const algorithm = checksum?.algorithm ?? 'sha256';
  const digest = await fileDigest(iso, algorithm, context);
  const expected = checksum !== undefined && 'value' in checksum ? checksum.value.toLowerCase() : undefined;
  if (expected !== undefined && digest !== expected) {
    throw new SourceError(
      'download.checksum',
      `Cannot use ${basename(iso)}: its ${algorithm} is not the expected one`,
      {
        hint: "Compare the file's size with the vendor's, and get it again.",
        evidence: { file: iso, expected, actual: digest },
      },
    );
  }
  return { path: iso, name: basename(iso), algorithm, digest, size: info.size };
}

/** @throws SourceError `installer.medium` for what is no ISO, `installer.volume` for another one */
async function checkVolume({ volume, isoNames }: WithMedium, medium: Medium): Promise<string> {
  const right = isoNames === undefined ? '' : ` Get it: ${isoNames}.`;
  const { volumeId, installer } = await describeIso(medium.path).catch((cause: Error) => {
    const hint = `${cause instanceof ComposeError && cause.hint !== undefined ? cause.hint : ''}${right}`.trim();
    throw new SourceError('installer.medium', `Cannot install from ${medium.name}: ${cause.message}`, {
      ...(hint !== '' && { hint }),
      cause,
    });
  });
  if (volume === undefined || new RegExp(`^(?:${volume})$`).test(volumeId)) return volumeId;
  throw new SourceError(
    'installer.volume',
    `Cannot install from ${medium.name}: it is another medium (volume name ${JSON.stringify(volumeId)})`,
    {
      hint: `The recipe's medium is named like ${volume}.${right}`,
      evidence: { volume: volumeId, ...(installer !== undefined && { installer: installer.title }) },
    },
  );
}

/** Digest of all that decides what the disk becomes. */
function inputKey(plan: Plan, source: PlannedInstaller, medium: Medium): string {
  const { iso: _, checksum: __, fileName: ___, volume: ____, isoNames: _____, ...asked } = source;
  const { arch, machine, recipe } = plan;
  const inputs = { version: VERSION, recipe, arch, machine, asked, medium: medium.digest };
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
}

async function install(
  plan: Plan,
  options: InstallOptions,
  medium: Medium,
  volume: string,
  final: string,
  context: Context,
): Promise<StoppedMachine> {
  const { source, accelerator: policy, view, onView } = options;
  const runDir = join(options.runDir, 'install');
  await makeFolder(runDir, { mode: 0o700 });
  const disk = join(runDir, 'disk.qcow2');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', disk, String(plan.machine.disk)], context);
  const served = source.answers.filter(({ on }) => on === 'http').flatMap(({ files }) => files);
  await using server = served.length === 0 ? undefined : await serve(served, context);
  const made = await installerMachine(
    plan,
    source,
    { medium: medium.path, volume, disk, runDir, answersUrl: server?.guestUrl },
    context,
  );
  const { context: tapped, tap } = tapSerial(context);
  const stopped = await runInstaller(
    made.spec,
    {
      runDir,
      policy,
      view,
      budgetMs: source.timeoutMs,
      meanwhile: async (machine, signal) => {
        if (machine.view !== undefined) onView?.(machine.view);
        if (made.keys !== undefined)
          await typeAnswers(machine, made.keys, { layout: source.layout, serial: tap }, signal);
      },
    },
    tapped,
  ).catch((error: unknown) => {
    throw neverAsked(server, error) ?? error;
  });
  server?.assertAsked();
  await keep(stopped, disk, final, context);
  // What else it needed is as large as the medium's own initrd, and can be made again.
  for (const path of made.files) await rm(path, { force: true });
  return stopped;
}

/** Into the cache: the disk is there under its name when all that belongs to it is. */
async function keep(stopped: StoppedMachine, disk: string, final: string, context: Context): Promise<void> {
  if (stopped.firmware !== undefined) await keepFirmware(stopped.firmware, final);
  const partial = `${final}.partial-${process.pid}`;
  using _held = reapPath(partial);
  try {
    await chmod(disk, 0o600);
    await rename(disk, partial).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EXDEV') throw error;
      await copyFile(disk, partial);
      await rm(disk);
    });
    context.signal.throwIfAborted();
    await rename(partial, final);
  } finally {
    await rm(partial, { force: true });
  }
}

/** How an installation without answers ends. */
const UNANSWERED = new Set([
  'install.timeout',
  'install.nothing-written',
  'installer.failed',
  'installer.question',
  'boot.stalled',
]);

/** Why it failed, where the reason is that the answers were never asked for. */
function neverAsked(server: AnswerServer | undefined, error: unknown): unknown {
  if (!(error instanceof MachineError) || !UNANSWERED.has(error.code)) return undefined;
  try {
    server?.assertAsked();
    return undefined;
  } catch (cause) {
    (cause as Error).cause = error;
    return cause;
  }
}

function serve(files: readonly { readonly path: string; readonly content: string }[], context: Context) {
  return serveAnswers(
    files.map(({ path, content }) => ({ name: path, content: Buffer.from(content) })),
    context,
  );
}
