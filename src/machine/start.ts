import { join } from 'node:path';
import { MachineError, UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { appearance } from '../host/appearance.ts';
import { temporaryFolder } from '../host/folders.ts';
import { within } from '../host/within.ts';
import { type AcceleratorPolicy, chooseAccelerator } from './accelerator.ts';
import { machineArgv } from './argv.ts';
import { type BoundForward, boundForwards } from './argv-network.ts';
import { BOARDS } from './board.ts';
import { type Firmware, findFirmware, prepareFirmware } from './firmware.ts';
import { Milestones } from './milestones.ts';
import { qemuDied, startQemu } from './process.ts';
import { QmpSession } from './qmp.ts';
import { recordRunning } from './running.ts';
import { FailureLatch, Machine, type RunningMachine } from './running-machine.ts';
import { Screenshots } from './screenshots.ts';
import { SerialConsole } from './serial.ts';
import { checkSpec, hasNetwork, type MachineSpec } from './spec.ts';
import { startTpm, tpmCommand, tpmState } from './tpm.ts';
import { openView, type ViewKind, viewPlace } from './view.ts';
import { Watch, type WatchBudgets, watchBudgets } from './watch-guest.ts';

export type { PowerOff, RunningMachine, StoppedMachine } from './running-machine.ts';

export interface StartOptions {
  /** Folder for the evidence of the run. */
  readonly runDir: string;
  /** @default auto */
  readonly policy?: AcceleratorPolicy | undefined;
  /** The program to start instead of the architecture's QEMU. */
  readonly program?: string | undefined;
  /** The firmware with the variables an earlier run left, instead of fresh ones. */
  readonly firmware?: Firmware | undefined;
  /** Folder of the state of its TPM, where an earlier run left one. @default a new one, in `tpm/` of `runDir` */
  readonly tpmState?: string | undefined;
  /**
   * A reset ends the guest as a power-off does, and QEMU stays, paused, with its counters to be read: how an installer is
   * run. `quit` ends it.
   * @default false
   */
  readonly holdAtEnd?: boolean;
  /** A VNC server for one viewer, `RunningMachine.view`; a machine without `video` gets a standard adapter. @default none */
  readonly view?: ViewKind | undefined;
  /** @default what the accelerator's time scale gives */
  readonly budgets?: Partial<WatchBudgets> | undefined;
}

/** How long a QEMU that closed its sockets may take to be known as ended. */
const LAST_WORDS_MS = 2_000;

/**
 * Starts a machine: chooses accelerator and firmware, starts QEMU paused, connects QMP and the console, lets it run.
 * Its evidence (qemu.sh, qemu.stderr, qmp.log, serial.log, serial.index) lies in `runDir`.
 * @throws HostError `qemu.missing`, `firmware.missing`; MachineError `qemu.failed`; UsageError `view.twice`
 */
export async function startMachine(
  spec: MachineSpec,
  options: StartOptions,
  context: Context,
): Promise<RunningMachine> {
  const { runDir } = options;
  checkSpec(spec);
  if (options.view !== undefined && spec.vnc !== undefined) {
    throw new UsageError(
      'view.twice',
      `Cannot show the screen of ${spec.name}: it has a VNC server of its own already`,
      {
        hint: 'Leave out vnc of the machine, or the view.',
      },
    );
  }
  const stack = new AsyncDisposableStackLite();
  try {
    const { signal } = context;
    const accelerator = await chooseAccelerator(spec.arch, options.policy, { cpuModel: spec.cpuModel });
    const { kind, reason, timeScale } = accelerator;
    const message = `${kind.toUpperCase()}: ${reason} (time budgets × ${timeScale})`;
    context.emit({ type: 'log', level: 'info', message });
    const firmware = options.firmware ?? (await firmwareOf(spec, runDir, signal));
    // A socket's path is limited to 107 bytes, which a run folder's may exceed.
    const sockets = stack.use(await temporaryFolder('compose-'));
    const qmpSocket = join(sockets.path, 'qmp');
    const serialSocket = join(sockets.path, 'serial');
    const serialLog = join(runDir, 'serial.log');
    const attachSocket = join(sockets.path, 'attach');
    const tpmFolder = options.tpmState ?? tpmState(runDir);
    const tpm = spec.tpm ? stack.use(await startTpm(sockets.path, tpmFolder, { signal })) : undefined;
    const view = viewPlace(options.view, sockets.path);
    const places = { qmpSocket, serialSocket, serialLog, attachSocket, view };
    const argv = machineArgv(spec, { accelerator, firmware, ...places, ...(tpm && { tpmSocket: tpm.socket }) });
    context.signal.throwIfAborted();
    const milestones = new Milestones(context.emit);
    const budgets = { ...watchBudgets(accelerator.timeScale), ...options.budgets };
    const script = {
      sockets: sockets.path,
      ...(tpm !== undefined && { tpm: tpmCommand('swtpm', sockets.path, tpmFolder) }),
    };
    const qemu = stack.use(await startQemu(options.program ?? BOARDS[spec.arch].qemu, argv, runDir, script));
    const failed = new FailureLatch();
    const early = qemu.exited.then((exit) => {
      throw qemuDied(spec.name, exit, qemu.stderr(), { runDir });
    });
    early.catch(() => {});
    const connect = async (): Promise<RunningMachine> => {
      await Promise.race([early, socketsOf(spec, [qmpSocket, serialSocket], budgets.greetingMs)]);
      const log = join(runDir, 'qmp.log');
      const qmp = stack.use(
        await QmpSession.connect(qmpSocket, { signal: context.signal, log, greetingMs: budgets.greetingMs }),
      );
      const fail = (error: unknown): void => failed.fail(error);
      const { name } = spec;
      const { emit } = context;
      const index = join(runDir, 'serial.index');
      const serial = stack.use(
        await SerialConsole.connect(serialSocket, { name, emit, milestones, onFailure: fail, index }),
      );
      const forwards = await forwardedPorts(spec, qmp);
      stack.use(await Screenshots.start(qmp, { folder: join(runDir, 'screenshots') }));
      const { pid } = qemu;
      const started = new Date().toISOString();
      stack.use(await recordRunning(runDir, { name, pid, started, attachSocket, serialLog }));
      const emulatedCpus = accelerator.kind === 'tcg' ? spec.cpus : 0;
      const seen = { name, pid, runDir, hasNetwork: hasNetwork(spec), emulatedCpus };
      const watch = stack.use(new Watch({ ...seen, qmp, serial, milestones, budgets, fail }));
      const shown = view === undefined ? undefined : await openView(qmp);
      if (shown) context.emit({ type: 'log', level: 'info', message: `the screen: VNC at ${shown.address}` });
      const process = { qmp, serial, milestones, watch, qemu, failed, stack, view: shown };
      const machine = new Machine({ spec, argv, accelerator, firmware, forwards, runDir, ...process });
      await watch.look();
      if (options.holdAtEnd) await qmp.command('set-action', { reboot: 'shutdown', shutdown: 'pause' });
      await qmp.command('cont', {});
      milestones.reach('qemu', `version ${qmp.version}, ${accelerator.kind}`);
      return machine;
    };
    return await connect().catch(async (error: unknown) => {
      context.signal.throwIfAborted();
      // A QEMU that ends closes its sockets first; why it ended tells more than that they closed.
      await within(early, LAST_WORDS_MS);
      throw error;
    });
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

async function firmwareOf(spec: MachineSpec, runDir: string, signal: AbortSignal): Promise<Firmware | undefined> {
  if (spec.firmware !== 'uefi') return undefined;
  const { arch, secureBoot, machineType: machine } = spec;
  return prepareFirmware(await findFirmware(arch, { secureBoot, machine }), runDir, { arch, signal });
}

/** Resolves when QEMU has made its sockets. @throws MachineError `qmp.no-greeting` */
async function socketsOf(spec: MachineSpec, paths: readonly string[], limitMs: number): Promise<void> {
  const watching = new AbortController();
  const there = Promise.all(paths.map((path) => appearance(path, watching.signal))).then(() => true);
  const ready = await within(there, limitMs).finally(() => watching.abort());
  if (ready) return;
  const seconds = limitMs / 1000;
  throw new MachineError(
    'qmp.no-greeting',
    `Cannot start ${spec.name}: QEMU opened no QMP socket within ${seconds} s`,
    {
      hint: 'QEMU hangs before it has started: its storage or the host is stuck. qemu.sh starts it by hand.',
    },
  );
}

/** The loopback ports QEMU itself bound for the guest's. */
async function forwardedPorts(spec: MachineSpec, qmp: QmpSession): Promise<readonly BoundForward[]> {
  const wanted = (spec.ssh ? 1 : 0) + (spec.forwards ?? []).length;
  if (wanted === 0) return [];
  const text = await qmp.command('human-monitor-command', { 'command-line': 'info usernet' });
  const bound = boundForwards(text);
  if (bound.length < wanted) {
    throw new MachineError('qemu.no-forward', 'Cannot reach the guest: QEMU forwards no port to it', {
      evidence: { usernet: text.split('\r\n') },
    });
  }
  return bound;
}

/** Releases in reverse order; Node 20 has no AsyncDisposableStack. */
class AsyncDisposableStackLite {
  readonly #held: AsyncDisposable[] = [];

  use<T extends AsyncDisposable>(value: T): T {
    this.#held.push(value);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let held = this.#held.pop(); held !== undefined; held = this.#held.pop()) await held[Symbol.asyncDispose]();
  }
}
