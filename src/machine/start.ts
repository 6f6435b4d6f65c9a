import { join } from 'node:path';
import { MachineError } from '../errors.ts';
import type { Context } from '../events.ts';
import type { QmpEvent } from '../formats/qmp.ts';
import { appearance } from '../host/appearance.ts';
import { temporaryFolder } from '../host/folders.ts';
import { type Accelerator, type AcceleratorPolicy, chooseAccelerator } from './accelerator.ts';
import { machineArgv } from './argv.ts';
import { type BoundForward, boundForwards } from './argv-network.ts';
import { BOARDS } from './board.ts';
import { type Firmware, findFirmware, prepareFirmware } from './firmware.ts';
import { type QemuExit, type QemuProcess, qemuDied, startQemu } from './process.ts';
import { QmpSession } from './qmp.ts';
import { recordRunning } from './running.ts';
import { Screenshots } from './screenshots.ts';
import { SerialConsole } from './serial.ts';
import { checkSpec, type MachineSpec } from './spec.ts';
import { startTpm } from './tpm.ts';

/** A guest that is running. SSH and shutdown exist only here. */
export interface RunningMachine extends AsyncDisposable {
  readonly spec: MachineSpec;
  readonly argv: readonly string[];
  readonly accelerator: Accelerator;
  readonly firmware: Firmware | undefined;
  readonly qemuVersion: string;
  readonly pid: number;
  /** Where the guest's port 22 is reached on this host; undefined without network. */
  readonly ssh: { readonly host: string; readonly port: number } | undefined;
  /** Every guest port that is reached, and where. */
  readonly forwards: readonly BoundForward[];
  readonly runDir: string;
  readonly serial: SerialConsole;
  readonly qmp: QmpSession;
  /** Rejects as soon as the guest or QEMU has failed; stays pending otherwise. */
  readonly failure: Promise<never>;
  /**
   * Ends the guest: by `ask`, then by the power button. Answers only when the guest powered itself off and QEMU ended
   * well, which is what makes its disks fit to be packed.
   * @throws MachineError `shutdown.refused`, `shutdown.unclean`
   */
  shutdown(options: { readonly ask?: () => Promise<void>; readonly budgetMs: number }): Promise<StoppedMachine>;
}

/** A guest that powered itself off. */
export interface StoppedMachine {
  readonly spec: MachineSpec;
  readonly reason: string;
  readonly ms: number;
}

const GREETING_MS = 20_000;
/** How long a QEMU that closed its sockets may take to be known as ended. */
const LAST_WORDS_MS = 2_000;

/**
 * Starts a machine: chooses accelerator and firmware, starts QEMU paused, connects QMP and the console, lets it run.
 * Its evidence (qemu.sh, qemu.stderr, qmp.log, serial.log) lies in `runDir`.
 * @throws HostError `qemu.missing`, `firmware.missing`; MachineError `qemu.failed`
 */
export async function startMachine(
  spec: MachineSpec,
  options: { readonly runDir: string; readonly policy?: AcceleratorPolicy | undefined },
  context: Context,
): Promise<RunningMachine> {
  const { runDir } = options;
  checkSpec(spec);
  const stack = new AsyncDisposableStackLite();
  try {
    const accelerator = await chooseAccelerator(spec.arch, options.policy, { cpuModel: spec.cpuModel });
    const { kind, reason, timeScale } = accelerator;
    const message = `${kind.toUpperCase()}: ${reason} (time budgets × ${timeScale})`;
    context.emit({ type: 'log', level: 'info', message });
    const { arch, secureBoot, machineType: machine } = spec;
    const found = spec.firmware === 'uefi' ? await findFirmware(arch, { secureBoot, machine }) : undefined;
    const { signal } = context;
    const firmware = found === undefined ? undefined : await prepareFirmware(found, runDir, { arch, signal });
    // A socket's path is limited to 107 bytes, which a run folder's may exceed.
    const sockets = stack.use(await temporaryFolder('compose-'));
    const qmpSocket = join(sockets.path, 'qmp');
    const serialSocket = join(sockets.path, 'serial');
    const serialLog = join(runDir, 'serial.log');
    const tpm = spec.tpm ? stack.use(await startTpm(sockets.path, runDir, { signal })) : undefined;
    const attachSocket = join(sockets.path, 'attach');
    const places = { qmpSocket, serialSocket, serialLog, attachSocket };
    const argv = machineArgv(spec, { accelerator, firmware, ...places, ...(tpm && { tpmSocket: tpm.socket }) });
    context.signal.throwIfAborted();
    const qemu = stack.use(await startQemu(BOARDS[spec.arch].qemu, argv, runDir));
    const failed = new FailureLatch();
    const early = qemu.exited.then((exit) => {
      throw qemuDied(spec.name, exit, qemu.stderr(), { runDir });
    });
    early.catch(() => {});
    const connect = async (): Promise<RunningMachine> => {
      await Promise.race([early, Promise.all([appearance(qmpSocket), appearance(serialSocket)])]);
      const log = join(runDir, 'qmp.log');
      const qmp = stack.use(
        await QmpSession.connect(qmpSocket, { signal: context.signal, log, greetingMs: GREETING_MS }),
      );
      const onFailure = (error: unknown): void => failed.fail(error);
      const serial = stack.use(
        await SerialConsole.connect(serialSocket, { name: spec.name, emit: context.emit, onFailure }),
      );
      const forwards = await forwardedPorts(spec, qmp);
      stack.use(await Screenshots.start(qmp, { folder: join(runDir, 'screenshots') }));
      const started = new Date().toISOString();
      stack.use(await recordRunning(runDir, { name: spec.name, pid: qemu.pid, started, attachSocket, serialLog }));
      const machine = new Machine({
        spec,
        argv,
        accelerator,
        firmware,
        qmp,
        serial,
        forwards,
        runDir,
        qemu,
        failed,
        stack,
      });
      await qmp.command('cont', {});
      return machine;
    };
    return await connect().catch(async (error: unknown) => {
      context.signal.throwIfAborted();
      // A QEMU that ends closes its sockets first; why it ended tells more than that they closed.
      await within(early, LAST_WORDS_MS);
      throw error;
    });
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
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

/** The first failure wins; nobody needs to be listening for it not to become an unhandled rejection. */
class FailureLatch {
  readonly promise: Promise<never>;
  #reject: (error: unknown) => void = () => {};
  error: unknown;

  constructor() {
    this.promise = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.promise.catch(() => {});
  }

  fail(error: unknown): void {
    this.error ??= error;
    this.#reject(error);
  }
}

/** Releases in reverse order; Node 20 has no AsyncDisposableStack. */
class AsyncDisposableStackLite {
  readonly #held: AsyncDisposable[] = [];

  use<T extends AsyncDisposable>(value: T): T {
    this.#held.push(value);
    return value;
  }

  async disposeAsync(): Promise<void> {
    for (let held = this.#held.pop(); held !== undefined; held = this.#held.pop()) await held[Symbol.asyncDispose]();
  }
}

interface Parts {
  readonly spec: MachineSpec;
  readonly argv: readonly string[];
  readonly accelerator: Accelerator;
  readonly firmware: Firmware | undefined;
  readonly qmp: QmpSession;
  readonly serial: SerialConsole;
  readonly forwards: readonly BoundForward[];
  readonly runDir: string;
  readonly qemu: QemuProcess;
  readonly failed: FailureLatch;
  readonly stack: AsyncDisposableStackLite;
}

class Machine implements RunningMachine {
  readonly #parts: Parts;
  /** SHUTDOWN's data, once the guest has been seen to power itself off. */
  #poweredOff: { guest: boolean; reason: string } | undefined;
  #stopping = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    parts.qmp.onEvent((event) => this.#onEvent(event));
    parts.qemu.exited.then((exit) => this.#onExit(exit));
  }

  get spec(): MachineSpec {
    return this.#parts.spec;
  }
  get argv(): readonly string[] {
    return this.#parts.argv;
  }
  get accelerator(): Accelerator {
    return this.#parts.accelerator;
  }
  get firmware(): Firmware | undefined {
    return this.#parts.firmware;
  }
  get qemuVersion(): string {
    return this.#parts.qmp.version;
  }
  get pid(): number {
    return this.#parts.qemu.pid;
  }
  get ssh(): { host: string; port: number } | undefined {
    const { spec, forwards } = this.#parts;
    return spec.ssh ? forwards.find(({ guestPort }) => guestPort === 22) : undefined;
  }
  get forwards(): readonly BoundForward[] {
    return this.#parts.forwards;
  }
  get runDir(): string {
    return this.#parts.runDir;
  }
  get serial(): SerialConsole {
    return this.#parts.serial;
  }
  get qmp(): QmpSession {
    return this.#parts.qmp;
  }
  get failure(): Promise<never> {
    return this.#parts.failed.promise;
  }

  #onEvent({ event, data }: QmpEvent): void {
    const { spec, failed, serial } = this.#parts;
    if (event === 'SHUTDOWN') this.#poweredOff = { guest: data.guest === true, reason: String(data.reason) };
    if (event === 'GUEST_PANICKED') {
      const hint = 'The lines before it name the cause.';
      const evidence = { serial: serial.tail(25) };
      failed.fail(new MachineError('boot.panic', `Cannot run ${spec.name}: the guest panicked`, { hint, evidence }));
    }
  }

  #onExit(exit: QemuExit): void {
    const { spec, failed, serial, qemu, runDir } = this.#parts;
    const clean = exit.code === 0 && this.#poweredOff?.guest === true;
    if (this.#stopping && clean) return;
    if (clean) {
      const what = `Cannot go on with ${spec.name}: the guest powered itself off before it was asked to`;
      failed.fail(new MachineError('machine.powered-off', what, { evidence: { serial: serial.tail(25), runDir } }));
      return;
    }
    failed.fail(qemuDied(spec.name, exit, qemu.stderr(), { serial: serial.tail(25), runDir }));
  }

  async shutdown(options: { readonly ask?: () => Promise<void>; readonly budgetMs: number }): Promise<StoppedMachine> {
    const { spec, qemu, qmp, failed, serial } = this.#parts;
    const start = performance.now();
    this.#stopping = true;
    const asked = options.ask?.().catch(() => {});
    const half = options.budgetMs / 2;
    let exit = await within(Promise.race([qemu.exited, failed.promise]), asked === undefined ? 0 : half);
    if (exit === undefined) {
      await qmp.command('system_powerdown', {}).catch(() => {});
      const left = options.budgetMs - (performance.now() - start);
      exit = await within(Promise.race([qemu.exited, failed.promise]), left);
    }
    if (exit === undefined) {
      throw new MachineError(
        'shutdown.refused',
        `Cannot pack ${spec.name}: the guest did not power off within ${Math.round(options.budgetMs / 1000)} s`,
        {
          hint: 'It was asked over SSH and by the power button. A guest that has to be killed is not packed.',
          evidence: { serial: serial.tail(25) },
        },
      );
    }
    const seen = this.#poweredOff;
    if (exit.code !== 0 || seen?.guest !== true) {
      const how = `QEMU ended with ${exit.signal ?? `status ${exit.code}`}, shutdown reason ${seen?.reason ?? 'none'}`;
      throw new MachineError('shutdown.unclean', `Cannot pack ${spec.name}: its power-off was not clean (${how})`, {
        hint: 'The file systems may be damaged; build again.',
        evidence: { serial: serial.tail(25) },
      });
    }
    return { spec, reason: seen.reason, ms: performance.now() - start };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await this.#parts.stack.disposeAsync();
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
