import { readdir, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isComposeError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { keepaliveFor } from '../guest/attempt.ts';
import { trim, waitForCloudInit } from '../guest/cloud-init.ts';
import { connectGuest } from '../guest/connect.ts';
import { generateKeys, type KeyPair } from '../guest/keys.ts';
import {
  APT_PROXY_FILE,
  aptProxyConfig,
  proxyEnvironment,
  proxyForGuest,
  proxyFromEnvironment,
} from '../guest/proxy.ts';
import type { GuestSession } from '../guest/session.ts';
import { runSteps } from '../guest/steps.ts';
import { upload } from '../guest/upload.ts';
import { runFolder } from '../host/folders.ts';
import { run } from '../host/process.ts';
import { reapPath } from '../host/reaper.ts';
import type { AcceleratorPolicy } from '../machine/accelerator.ts';
import { restoreFirmware } from '../machine/kept-firmware.ts';
import { type RunningMachine, startMachine } from '../machine/start.ts';
import type { View, ViewKind } from '../machine/view.ts';
import { type PackResult, pack } from '../pack/pack.ts';
import { checkTuning, type PackTuning, packTuning } from '../pack/pack-options.ts';
import { imageMachine } from '../recipe/image-machine.ts';
import { artifactName, type Plan, type PlanOptions, plan } from '../recipe/plan.ts';
import { buildSeedFiles, writeNoCloud } from '../seed/nocloud.ts';
import { acquire } from './acquire.ts';
import type { AcquiredBase } from './acquired-base.ts';
import { requireHost } from './doctor.ts';
import { type GuestRecord, guestPackages, writeManifest } from './manifest.ts';
import { ErrorPolicy, type OnError, type Operator } from './on-error.ts';
import { hasRecord, recordFirmware, sshCommand, writeRunRecord } from './run-record.ts';
import { recordTimings, type Timing } from './timings.ts';
import { verifySettings } from './verify-settings.ts';

export interface BuildOptions extends PlanOptions, PackTuning {
  /** Folder for the artifacts. */
  readonly out: string;
  /** @default auto */
  readonly accelerator?: AcceleratorPolicy;
  /** Keeps the run folder with the guest's disk after success too. */
  readonly keepRun?: boolean;
  /** Installs from the medium even when the cache has the disk that came of it before. @default false */
  readonly fresh?: boolean;
  /** What becomes of a build that fails. @default keep */
  readonly onError?: OnError;
  /** Somebody to ask and to show breakpoints to. @default nobody */
  readonly operator?: Operator | undefined;
  /** Opens the guest's screen to one VNC viewer. @default none */
  readonly view?: ViewKind | undefined;
  /** Told how to look, as soon as the guest starts. The password is told here and nowhere else: events and logs mask it. */
  readonly onView?: ((view: Pick<View, 'address' | 'password'>) => void) | undefined;
}

export interface BuildResult extends PackResult {
  readonly plan: Plan;
  /** The build manifest beside the artifacts. */
  readonly manifest: string;
  readonly timings: readonly Timing[];
  readonly ms: number;
  /** The run's evidence; undefined when it was removed. */
  readonly runDir: string | undefined;
}

/** Budgets under KVM; a slower accelerator multiplies them (`Accelerator.timeScale`). */
const LOGIN_MS = 90_000;
const SHUTDOWN_MS = 60_000;
const CLOUD_INIT_MS = 600_000;

/**
 * Builds a recipe: plan, check the host, acquire the base, boot it, provision it over SSH, prove a clean power-off, hold
 * what came of it against the rules, pack, record. Whatever it started is gone when it returns or throws; on failure the run folder stays, with its evidence.
 * @throws the errors of every stage, each with its `phase`
 */
export async function build(options: BuildOptions, outer: Context): Promise<BuildResult> {
  const start = performance.now();
  const { emit, timings } = recordTimings(outer.emit);
  const context: Context = { emit, signal: outer.signal };
  checkTuning(options);
  const { fresh, accelerator, view, onView } = options;
  const planned = plan({ ...options, env: options.env ?? process.env });
  for (const warning of planned.warnings) emit({ type: 'log', level: 'info', message: warning });
  await requireHost(planned, { out: resolve(options.out), accelerator }, context);
  const runDir = await runFolder(planned.recipe);
  // A build that is interrupted keeps nothing, and a killed one is interrupted.
  using _held = reapPath(runDir);
  emit({ type: 'log', level: 'debug', message: `run folder: ${runDir}` });
  const policy = new ErrorPolicy(options.onError ?? 'keep', options.operator, context);
  try {
    const from = { runDir, fresh, accelerator, view, onView };
    const base = await inPhase(context, 'acquire', () => acquire(planned, from, context), describeBase);
    const disk = join(runDir, 'disk.qcow2');
    const guest = await provision({ planned, base, runDir, disk, options, policy }, context);
    const name = artifactName(planned);
    const packages = await guestPackages(disk);
    const packed = await pack(
      {
        disk,
        format: 'qcow2',
        out: options.out,
        name,
        filetypes: planned.artifacts.map((artifact) => artifact.filetype),
        user: planned.user,
        edits: planned.seal,
        maas: planned.maas,
        ...packTuning(options),
        verify: verifySettings(planned.verify, options.verify, proxyFromEnvironment(process.env)),
      },
      context,
    );
    const ms = performance.now() - start;
    const manifest = await writeManifest(join(resolve(options.out), `${name}.build.json`), {
      plan: planned,
      base,
      guest,
      packed,
      timings,
      ms,
      packages,
    });
    if (!options.keepRun) await rm(runDir, { recursive: true, force: true });
    return { ...packed, plan: planned, manifest, timings, ms, runDir: options.keepRun ? runDir : undefined };
  } catch (error) {
    const empty = (await readdir(runDir).catch(() => [])).length === 0;
    if (outer.signal.aborted || empty || !(await policy.keeps(error, runDir))) {
      await rm(runDir, { recursive: true, force: true });
    } else if (isComposeError(error)) {
      error.phase ??= timings.filter((timing) => timing.state === 'failed').at(0)?.phase;
      const again = hasRecord(runDir) ? `; compose debug ${basename(runDir)} boots its guest again` : '';
      emit({ type: 'log', level: 'warn', message: `the evidence of this run is in ${runDir}${again}` });
    }
    throw error;
  }
}

function describeBase(base: AcquiredBase): string {
  return `${base.input.kind}, ${base.fromCache ? 'from the cache' : 'new'}`;
}

interface Provision {
  readonly planned: Plan;
  readonly base: AcquiredBase;
  readonly runDir: string;
  readonly disk: string;
  readonly options: BuildOptions;
  readonly policy: ErrorPolicy;
}

/** From the base disk to a guest that powered itself off, its changes in the overlay `disk`. */
async function provision(work: Provision, context: Context): Promise<GuestRecord> {
  const { planned, base, runDir, disk, options, policy } = work;
  const userKey = generateKeys('compose');
  const hostKey = generateKeys('compose-guest');
  const seed = join(runDir, 'seed.iso');
  await inPhase(context, 'prepare', async () => {
    const size = String(planned.machine.disk);
    const larger = await virtualSize(base.path, context).then((have) => have < planned.machine.disk);
    const create = ['create', '-q', '-f', 'qcow2', '-b', base.path, '-F', base.format, disk];
    await run('qemu-img', larger ? [...create, size] : create, context);
    const files = buildSeedFiles({
      instanceId: `compose-${Date.now().toString(36)}`,
      hostname: 'localhost',
      user: planned.user,
      authorizedKey: userKey.publicKey,
      hostKey,
    });
    await writeNoCloud(seed, files);
  });
  const spec = imageMachine(planned.recipe, planned.arch, planned.machine, disk, seed);
  await writeRunRecord(runDir, { recipe: planned.recipe, user: planned.user, spec }, { user: userKey, host: hostKey });
  const firmware = base.firmware && (await restoreFirmware(base.firmware, runDir));
  await using machine = await inPhase(
    context,
    'start',
    () => startMachine(spec, { runDir, policy: options.accelerator, view: options.view, firmware }, context),
    (started) => `${started.accelerator.kind}, QEMU ${started.qemuVersion}`,
  );
  if (machine.firmware !== undefined) await recordFirmware(runDir, machine.firmware);
  if (machine.view !== undefined) options.onView?.(machine.view);
  const login = (): Promise<GuestSession> => logIn(machine, planned.user, userKey, hostKey, context);
  const session = await inPhase(context, 'boot', login, () => `logged in as ${planned.user}`);
  const cloudInit = await provisionGuest(session, login, machine, { planned, options, policy }, context);
  const { argv, qemuVersion, accelerator } = machine;
  const { kind, cpu, reason } = accelerator;
  return { argv, qemuVersion, accelerator: { kind, cpu, reason }, firmware: machine.firmware?.code.path, cloudInit };
}

async function provisionGuest(
  first: GuestSession,
  login: () => Promise<GuestSession>,
  machine: RunningMachine,
  { planned, options, policy }: Pick<Provision, 'planned' | 'options' | 'policy'>,
  context: Context,
): Promise<string> {
  const { runDir, ssh = { host: '127.0.0.1', port: 22 } } = machine;
  const way = { runDir, ssh: sshCommand(runDir, planned.user, ssh) };
  let session = first;
  const { signal } = context;
  try {
    const cloudInit = await inPhase(
      context,
      'cloud-init',
      async () => {
        const timeoutMs = CLOUD_INIT_MS * machine.accelerator.timeScale;
        const status = await waitForCloudInit(session, { signal, timeoutMs });
        machine.milestones.reach('cloud-init', status);
        return status;
      },
      (status) => status,
    );
    const proxy = proxyForGuest(proxyFromEnvironment(process.env));
    const aptProxy = aptProxyConfig(proxy);
    if (aptProxy !== undefined) {
      const probe = await session.exec('command -v apt-get', { signal });
      if (probe.exitCode === 0)
        await upload(session, [{ path: APT_PROXY_FILE, content: Buffer.from(aptProxy) }], { signal });
    }
    session = await runSteps(
      {
        session,
        reconnect: login,
        steps: planned.steps,
        watch: machine.watch,
        timeScale: machine.accelerator.timeScale,
        env: proxyEnvironment(proxy),
        out: resolve(options.out),
        onBreakpoint: (title, note) => policy.breakpoint(title, note, way),
        onFailure: (failure) => policy.stepFailed(failure, way),
      },
      context,
    );
    if (aptProxy !== undefined) await session.exec(`rm -f ${APT_PROXY_FILE}`, { signal });
    await inPhase(
      context,
      'trim',
      () => trim(session, { signal }),
      (said) => said ?? 'the guest cannot trim',
    );
    await inPhase(
      context,
      'power off',
      () => powerOff(session, machine, signal),
      (stopped) => stopped.reason,
    );
    return cloudInit;
  } finally {
    await session[Symbol.asyncDispose]();
  }
}

function powerOff(
  session: GuestSession,
  machine: RunningMachine,
  signal: AbortSignal,
): ReturnType<RunningMachine['shutdown']> {
  session.expectEnd();
  const ask = async (): Promise<void> => void (await session.exec('systemctl poweroff || poweroff || shutdown -P now'));
  return machine.shutdown({ ask, budgetMs: SHUTDOWN_MS * machine.accelerator.timeScale, signal });
}

function logIn(
  machine: RunningMachine,
  username: string,
  userKey: KeyPair,
  hostKey: KeyPair,
  context: Context,
): Promise<GuestSession> {
  const { ssh, failure, runDir, accelerator, watch } = machine;
  return connectGuest(
    {
      host: ssh?.host ?? '127.0.0.1',
      port: ssh?.port ?? 22,
      username,
      privateKey: userKey.privateKey,
      hostKey: hostKey.publicKey,
      budgetMs: LOGIN_MS * accelerator.timeScale,
      keepalive: keepaliveFor(accelerator.timeScale),
      failure,
      watch,
      transcript: join(runDir, 'ssh.log'),
    },
    context,
  );
}

async function virtualSize(path: string, context: Context): Promise<number> {
  const { stdout } = await run('qemu-img', ['info', '--output=json', path], context);
  return (JSON.parse(stdout) as { 'virtual-size': number })['virtual-size'];
}
