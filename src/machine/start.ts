import { existsSync, watch as watchFolder } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MachineError } from '../errors.ts';
import type { Context } from '../events.ts';
import { temporaryFolder } from '../host/folders.ts';
import { type AcceleratorPolicy, chooseAccelerator } from './accelerator.ts';
import { QEMU } from './arch.ts';
import { type Firmware, findFirmware, prepareFirmware } from './firmware.ts';
import { Milestones } from './milestones.ts';
import { qemuDied, startQemu } from './process.ts';
import { QmpSession } from './qmp.ts';
import { FailureLatch, Machine, type RunningMachine, within } from './running.ts';
import { SerialConsole } from './serial.ts';
import { type MachineSpec, machineArgv } from './spec.ts';
import { Watch, type WatchBudgets, watchBudgets } from './watch-guest.ts';

export type { PowerOff, RunningMachine, StoppedMachine } from './running.ts';

export interface StartOptions {
  /** Folder for the evidence of the run. */
  readonly runDir: string;
  /** @default auto */
  readonly policy?: AcceleratorPolicy | undefined;
  /** The program to start instead of the architecture's QEMU. */
  readonly program?: string | undefined;
  /** The firmware with the variables an earlier run left, instead of fresh ones. */
  readonly firmware?: Firmware | undefined;
  /**
   * A reset ends the guest as a power-off does, and QEMU stays, paused, with its counters to be read: how an installer is
   * run. `quit` ends it.
   * @default false
   */
  readonly holdAtEnd?: boolean;
  /** @default what the accelerator's time scale gives */
  readonly budgets?: Partial<WatchBudgets> | undefined;
}

/** How long a QEMU that closed its sockets may take to be known as ended. */
const LAST_WORDS_MS = 2_000;

/**
 * Starts a machine: chooses accelerator and firmware, starts QEMU paused, connects QMP and the console, lets it run.
 * Its evidence (qemu.sh, qemu.stderr, qmp.log, serial.log) lies in `runDir`.
 * @throws HostError `qemu.missing`, `firmware.missing`; MachineError `qemu.failed`
 */
export async function startMachine(
  spec: MachineSpec,
  options: StartOptions,
  context: Context,
): Promise<RunningMachine> {
  const { runDir } = options;
  const stack = new AsyncDisposableStackLite();
  try {
    const accelerator = await chooseAccelerator(spec.arch, options.policy);
    context.emit({ type: 'log', level: 'info', message: `${accelerator.kind.toUpperCase()}: ${accelerator.reason}` });
    const firmware = options.firmware ?? (await firmwareOf(spec, runDir));
    // A socket's path is limited to 107 bytes, which a run folder's may exceed.
    const sockets = stack.use(await temporaryFolder('compose-'));
    const qmpSocket = join(sockets.path, 'qmp');
    const serialSocket = join(sockets.path, 'serial');
    const serialLog = join(runDir, 'serial.log');
    const argv = machineArgv(spec, { accelerator, firmware, qmpSocket, serialSocket, serialLog });
    context.signal.throwIfAborted();
    const milestones = new Milestones(context.emit);
    const budgets = { ...watchBudgets(accelerator.timeScale), ...options.budgets };
    const qemu = stack.use(await startQemu(options.program ?? QEMU[spec.arch], argv, runDir));
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
      const serial = stack.use(
        await SerialConsole.connect(serialSocket, { name, emit: context.emit, milestones, onFailure: fail }),
      );
      const ssh = spec.ssh ? await forwardedPort(qmp) : undefined;
      const watched = { name, qmp, pid: qemu.pid, serial, milestones, runDir, hasNetwork: spec.ssh, budgets, fail };
      const watch = stack.use(new Watch(watched));
      const process = { qmp, serial, milestones, watch, qemu, failed, stack };
      const machine = new Machine({ spec, argv, accelerator, firmware, ssh, runDir, ...process });
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

async function firmwareOf(spec: MachineSpec, runDir: string): Promise<Firmware | undefined> {
  if (spec.firmware !== 'uefi') return undefined;
  return prepareFirmware(await findFirmware(spec.arch), runDir);
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

/** Resolves when a file exists; watches its folder instead of looking again and again. */
async function appearance(path: string, signal: AbortSignal): Promise<void> {
  if (existsSync(path)) return;
  await new Promise<void>((resolve, reject) => {
    const watcher = watchFolder(dirname(path), (_, name) => {
      if (name === basename(path) || existsSync(path)) done();
    });
    const done = (): void => {
      watcher.close();
      resolve();
    };
    watcher.on('error', reject);
    signal.addEventListener('abort', done, { once: true });
    if (existsSync(path)) done();
  });
}

/** The loopback port QEMU itself bound for the guest's port 22. */
async function forwardedPort(qmp: QmpSession): Promise<{ host: string; port: number }> {
  const text = await qmp.command('human-monitor-command', { 'command-line': 'info usernet' });
  const port = /TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(text)?.[1];
  if (port === undefined) {
    throw new MachineError('qemu.no-forward', 'Cannot reach the guest: QEMU forwards no port to it', {
      evidence: { usernet: text.split('\r\n') },
    });
  }
  return { host: '127.0.0.1', port: Number(port) };
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
