/** `compose rehearse`: an artifact deployed here, as MAAS and curtin will do it, before metal does. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openDisk } from '../disk/open.ts';
import { readPartitions } from '../disk/partitions.ts';
import { UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { runFolder } from '../host/folders.ts';
import { reapPath } from '../host/reaper.ts';
import { writeWhole } from '../host/whole-file.ts';
import type { AcceleratorPolicy } from '../machine/accelerator.ts';
import type { Arch } from '../machine/arch.ts';
import { type Firmware, findFirmware, prepareFirmware } from '../machine/firmware.ts';
import { FILE_TYPES } from '../pack/filetypes.ts';
import { describeArtifact, type RehearsedArtifact, readToEnd } from './artifact.ts';
import { type Deployed, deploy } from './deploy.ts';
import { composeEphemeral } from './ephemeral-disk.ts';
import { type Failure, failure } from './failure.ts';
import { type FirstBoot, firstBoot } from './first-boot.ts';
import { newIdentity } from './identity.ts';
import { type MetadataService, serveMetadata } from './metadata-server.ts';
import type { RehearsalNetwork } from './network.ts';
import type { RehearseReport } from './report.ts';
import { hasFirmware, type RehearsalFirmware, type StorageLayout } from './storage-layout.ts';
import { Timeline } from './timeline.ts';

export interface RehearseOptions {
  readonly artifact: string;
  /** @default of the record beside it, or of its name */
  readonly filetype?: string | undefined;
  /** @default of the record beside it; amd64 */
  readonly arch?: Arch | undefined;
  /** `<os>/<series>` MAAS is told. @default of the record beside it */
  readonly baseImage?: string | undefined;
  /** Of a tree; a dd image has its own. @default flat */
  readonly layout?: StorageLayout | undefined;
  /** @default uefi */
  readonly firmware?: RehearsalFirmware | undefined;
  /** The installed system is started by firmware that enforces Secure Boot. @default false */
  readonly secureBoot?: boolean | undefined;
  /** Length of the blank disk, bytes. @default 8 GiB */
  readonly disk?: number | undefined;
  /** Of the installed machine, bytes. @default 1.5 GiB */
  readonly memory?: number | undefined;
  /** A source tree of curtin, used in place of the built-in steps. */
  readonly curtin?: string | undefined;
  /** `open` lets both machines reach what this host reaches. @default private */
  readonly network?: RehearsalNetwork | undefined;
  /** Account that is given the key. @default rehearsal */
  readonly user?: string | undefined;
  /** Tells the installed boot loader of the serial console, which is where a boot's failure is read. @default true */
  readonly console?: boolean | undefined;
  /** Keeps the deployed disk in the run's folder. @default false */
  readonly keepDisk?: boolean | undefined;
  /** @default auto */
  readonly accelerator?: AcceleratorPolicy | undefined;
}

const GIB = 1024 ** 3;
const DISK = 8 * GIB;
const MEMORY = 1.5 * GIB;
const USER = 'rehearsal';

/**
 * Deploys an artifact onto a blank disk in an ephemeral guest, by curtin's steps, starts the disk, and follows it until
 * cloud-init has reported its end and a login works. What is wrong with the artifact is in the report, with the stage it
 * failed at; what is wrong with this host is thrown. The evidence stays in the report's folder.
 * @throws UsageError `rehearse.…`; the errors of host and machine
 */
export async function rehearse(options: RehearseOptions, context: Context): Promise<RehearseReport> {
  const start = performance.now();
  const artifact = await describeArtifact({ ...options, path: options.artifact });
  checkOptions(options, artifact);
  const runDir = await runFolder('rehearse');
  using _held = reapPath(runDir);
  const timeline = new Timeline(context);
  const identity = newIdentity(options.user ?? USER);
  await using service = await serveMetadata(
    identity.metadata,
    context,
    (event) => timeline.report(event),
    options.network,
  );
  const rehearsal = new Rehearsal(options, artifact, runDir, service, timeline, context);
  try {
    const { failure: failed, deployed, boot } = await rehearsal.run(identity);
    if (failed !== undefined) timeline.end('failed', failed.code);
    const report = await rehearsal.report({ failed, deployed, boot, ms: performance.now() - start });
    await writeWhole(join(runDir, 'report.json'), async (append) => {
      await append(Buffer.from(`${JSON.stringify(report, null, 2)}\n`));
    });
    return report;
  } catch (error) {
    timeline.end('failed');
    if (context.signal.aborted) await rm(runDir, { recursive: true, force: true });
    throw error;
  } finally {
    if (!options.keepDisk) await rm(rehearsal.target, { force: true });
  }
}

function checkOptions(
  { firmware = 'uefi', layout, secureBoot, curtin }: RehearseOptions,
  artifact: RehearsedArtifact,
): void {
  const fail = (code: string, why: string, hint: string): never => {
    throw new UsageError(code, `Cannot rehearse ${artifact.path}: ${why}`, { hint });
  };
  if (layout !== undefined && FILE_TYPES[artifact.filetype].content !== 'tree')
    fail(
      'rehearse.layout',
      `a dd image has its own partitions (${artifact.filetype})`,
      'Leave out --storage: MAAS ignores its layouts too.',
    );
  if (!hasFirmware(artifact.arch, firmware))
    fail('rehearse.firmware', `${artifact.arch} has no BIOS`, 'Use --firmware uefi.');
  if (secureBoot && firmware !== 'uefi')
    fail('rehearse.firmware', 'Secure Boot is a part of UEFI', 'Use --firmware uefi.');
  if (curtin !== undefined && !existsSync(join(curtin, 'bin/curtin')))
    fail('rehearse.curtin-tree', `${curtin} is no source tree of curtin`, 'Name the folder that has bin/curtin in it.');
}

interface Outcome {
  readonly failure: Failure | undefined;
  readonly deployed?: Deployed | undefined;
  readonly boot?: FirstBoot | undefined;
}

class Rehearsal {
  readonly #options: RehearseOptions;
  readonly #artifact: RehearsedArtifact;
  readonly #runDir: string;
  readonly #service: MetadataService;
  readonly #timeline: Timeline;
  readonly #context: Context;

  constructor(
    options: RehearseOptions,
    artifact: RehearsedArtifact,
    runDir: string,
    service: MetadataService,
    timeline: Timeline,
    context: Context,
  ) {
    this.#options = options;
    this.#artifact = artifact;
    this.#runDir = runDir;
    this.#service = service;
    this.#timeline = timeline;
    this.#context = context;
  }

  get target(): string {
    return join(this.#runDir, 'target.qcow2');
  }
  get #size(): number {
    return this.#options.disk ?? DISK;
  }
  get #firmware(): RehearsalFirmware {
    return this.#options.firmware ?? 'uefi';
  }

  async run(identity: ReturnType<typeof newIdentity>): Promise<Outcome> {
    const context = this.#context;
    const timeline = this.#timeline;
    const artifact = this.#artifact;
    const [runDir, service] = [this.#runDir, this.#service];
    const { accelerator, secureBoot = false } = this.#options;
    timeline.begin('artifact');
    const read = await readToEnd(artifact, context);
    if (typeof read !== 'number') return { failure: read };
    if (FILE_TYPES[artifact.filetype].content !== 'tree' && read > this.#size) {
      const why = `the image is longer than the disk (${read} > ${this.#size} bytes)`;
      return {
        failure: failure('artifact', 'rehearse.disk-too-small', why, { hint: 'Give a larger disk with --disk.' }),
      };
    }
    timeline.end('passed', `${read} bytes unpacked`);
    timeline.begin('ephemeral');
    const ephemeral = await composeEphemeral(artifact.arch, context);
    timeline.end('passed', ephemeral.fromCache ? 'from the cache' : 'new');
    timeline.begin('ephemeral boot');
    const flash = await this.#flash();
    const deployed = await deploy(
      {
        artifact,
        ephemeral,
        service,
        layout: this.#options.layout ?? 'flat',
        firmware: this.#firmware,
        flash: flash?.deploy,
        target: { path: this.target, size: this.#size },
        curtin: this.#options.curtin,
        console: this.#options.console ?? true,
        accelerator,
        runDir,
      },
      context,
    );
    if ('stage' in deployed) return { failure: deployed };
    const boot = await firstBoot(
      {
        arch: artifact.arch,
        firmware: this.#firmware,
        flash: flash?.boot,
        secureBoot,
        memory: this.#options.memory ?? MEMORY,
        target: this.target,
        room: await this.#room(),
        deployed,
        service,
        identity,
        accelerator,
        runDir,
      },
      timeline,
      context,
    );
    return { failure: boot.failure, deployed, boot };
  }

  /**
   * Flash of both machines: one set of variables, which the deployment writes the boot entry into. Firmware that enforces
   * Secure Boot would not start the ephemeral kernel, which no loader of its own vouches for; it gets the same variables.
   */
  async #flash(): Promise<{ readonly deploy: Firmware; readonly boot: Firmware } | undefined> {
    if (this.#firmware !== 'uefi') return undefined;
    const { arch } = this.#artifact;
    const folder = join(this.#runDir, 'flash');
    await mkdir(folder, { mode: 0o700 });
    const prepare = { arch, signal: this.#context.signal };
    if (!this.#options.secureBoot) {
      const plain = await prepareFirmware(await findFirmware(arch), folder, prepare);
      return { deploy: plain, boot: plain };
    }
    const boot = await prepareFirmware(await findFirmware(arch, { secureBoot: true }), folder, prepare);
    return { deploy: { ...(await findFirmware(arch)), vars: boot.vars }, boot };
  }

  /** The disk without the partitions beside the largest, which the root is in. */
  async #room(): Promise<number> {
    await using disk = await openDisk(this.target);
    const sizes = (await readPartitions(disk)).partitions.map(({ size }) => size).sort((a, b) => b - a);
    return this.#size - sizes.slice(1).reduce((sum, size) => sum + size, 0);
  }

  async report(outcome: {
    readonly failed: Failure | undefined;
    readonly deployed: Deployed | undefined;
    readonly boot: FirstBoot | undefined;
    readonly ms: number;
  }): Promise<RehearseReport> {
    const { failed, deployed, boot, ms } = outcome;
    const { path, filetype, arch } = this.#artifact;
    const { layout, secureBoot = false, curtin, keepDisk } = this.#options;
    const there = (file: string): string | undefined => (existsSync(file) ? file : undefined);
    const pictures = join(this.#runDir, 'boot/screenshots');
    const last = (await readdir(pictures).catch(() => [])).sort().at(-1);
    const remarks = [
      deployed?.tarSaid === undefined ? undefined : `tar had something to say: ${deployed.tarSaid}`,
      deployed?.withoutInitrd === undefined ? undefined : `no initrd: ${deployed.withoutInitrd}`,
    ];
    return {
      version: 1,
      artifact: path,
      filetype,
      arch,
      firmware: this.#firmware,
      secureBoot,
      layout: FILE_TYPES[filetype].content === 'tree' ? (layout ?? 'flat') : undefined,
      disk: this.#size,
      curtin: curtin ?? 'built-in',
      network: this.#service.network,
      passed: failed === undefined,
      failure: failed,
      stages: this.#timeline.stages,
      checks: boot?.checks ?? [],
      hooks: deployed?.hooks,
      kernel: deployed?.kernel,
      remarks: remarks.filter((remark) => remark !== undefined),
      requests: this.#service.requests.map(({ item, status, signed }) => ({
        item,
        status,
        signed: signed === 'signed',
      })),
      events: this.#service.events
        .filter(({ type }) => type === 'finish')
        .map(({ origin, name, result }) => ({ origin, name, result })),
      evidence: {
        folder: this.#runDir,
        deploySerial: there(join(this.#runDir, 'deploy/serial.log')),
        bootSerial: there(join(this.#runDir, 'boot/serial.log')),
        screenshot: last === undefined ? undefined : join(pictures, last),
        disk: keepDisk ? there(this.target) : undefined,
      },
      ms: Math.round(ms),
    };
  }
}
