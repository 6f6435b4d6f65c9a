import { MachineError } from '../errors.ts';
import type { QmpEvent } from '../formats/qmp.ts';
import { within } from '../host/within.ts';
import type { Accelerator } from './accelerator.ts';
import type { BoundForward } from './argv-network.ts';
import type { Firmware } from './firmware.ts';
import type { Milestones } from './milestones.ts';
import { type QemuExit, type QemuProcess, qemuDied } from './process.ts';
import type { QmpSession } from './qmp.ts';
import type { SerialConsole } from './serial.ts';
import type { MachineSpec } from './spec.ts';
import type { View } from './view.ts';
import type { GuestWatch, Watch } from './watch-guest.ts';

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
  /** How one viewer gets at its screen, where it was started with a view. */
  readonly view: View | undefined;
  readonly serial: SerialConsole;
  readonly qmp: QmpSession;
  /** How far the guest has come. */
  readonly milestones: Milestones;
  /** What is seen of the guest while somebody waits for it; handed to `connectGuest`. */
  readonly watch: GuestWatch;
  /** Settles when the guest powers itself off next, or resets itself where that is to end it (`holdAtEnd`). */
  nextEnd(): Promise<PowerOff>;
  /** Rejects as soon as the guest or QEMU has failed; stays pending otherwise. */
  readonly failure: Promise<never>;
  /**
   * Ends the guest: by `ask`, then by the power button. Answers only when the guest powered itself off and QEMU ended
   * well, which is what makes its disks fit to be packed.
   * @throws MachineError `shutdown.refused`, `shutdown.unclean`
   */
  shutdown(options: ShutdownOptions): Promise<StoppedMachine>;
  /** Starts a guest that has ended itself (`holdAtEnd`) once more, from its firmware. */
  startAgain(): Promise<void>;
  /** Ends QEMU once the guest has ended itself (`holdAtEnd`). @throws MachineError `shutdown.unclean` */
  quit(): Promise<StoppedMachine>;
}

export interface ShutdownOptions {
  /** Asks the guest from inside; its power button is pressed when that brings nothing. */
  readonly ask?: () => Promise<void>;
  /** How long it may take in all, ms. */
  readonly budgetMs: number;
  /** Ends the waiting: whoever interrupts a build need not see a deaf guest out. */
  readonly signal?: AbortSignal;
}

/** How a guest ended itself (QMP's SHUTDOWN event). */
export interface PowerOff {
  readonly guest: boolean;
  /** `guest-shutdown`, `guest-reset`, `guest-panic` and others (qapi/run-state.json, ShutdownCause). */
  readonly reason: string;
}

/** A guest that powered itself off. */
export interface StoppedMachine {
  readonly spec: MachineSpec;
  readonly reason: string;
  readonly ms: number;
  /** With the variables as the guest left them. */
  readonly firmware: Firmware | undefined;
}

/** A guest that resets itself so often without having come to a login is in a loop. */
const MOST_RESETS = 4;
/** A kernel that restarts writes to one reset register after the other: so soon after a reset one more is the same. */
const SAME_RESET_MS = 1_500;
/** How long what a QEMU wrote last may take to be read once it has ended. */
const DRAIN_MS = 2_000;
/** How long QEMU itself may take to end. */
const QUIT_MS = 10_000;

/** The first failure wins; nobody needs to be listening for it not to become an unhandled rejection. */
export class FailureLatch {
  readonly promise: Promise<never>;
  #reject: (error: unknown) => void = () => {};

  constructor() {
    this.promise = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.promise.catch(() => {});
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}

export interface MachineParts {
  readonly spec: MachineSpec;
  readonly argv: readonly string[];
  readonly accelerator: Accelerator;
  readonly firmware: Firmware | undefined;
  readonly qmp: QmpSession;
  readonly serial: SerialConsole;
  readonly milestones: Milestones;
  readonly watch: Watch;
  readonly forwards: readonly BoundForward[];
  readonly runDir: string;
  readonly view: View | undefined;
  readonly qemu: QemuProcess;
  readonly failed: FailureLatch;
  readonly stack: AsyncDisposable;
}

export class Machine implements RunningMachine {
  readonly #parts: MachineParts;
  #waiting: ((how: PowerOff) => void)[] = [];
  #ends: PowerOff[] = [];
  #seen: PowerOff | undefined;
  #stopping = false;
  #resets = 0;
  #lastReset = Number.NEGATIVE_INFINITY;

  constructor(parts: MachineParts) {
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
  get view(): View | undefined {
    return this.#parts.view;
  }
  get serial(): SerialConsole {
    return this.#parts.serial;
  }
  get qmp(): QmpSession {
    return this.#parts.qmp;
  }
  get milestones(): Milestones {
    return this.#parts.milestones;
  }
  get watch(): GuestWatch {
    return this.#parts.watch;
  }
  get failure(): Promise<never> {
    return this.#parts.failed.promise;
  }

  nextEnd(): Promise<PowerOff> {
    const end = this.#ends.shift();
    return end === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(end);
  }

  /** What every failure of the machine quotes. */
  #evidence(): { serial: string[]; reached: string[]; runDir: string } {
    const { serial, milestones, runDir } = this.#parts;
    return { serial: serial.tail(25), reached: milestones.text(), runDir };
  }

  #fail(code: string, message: string, hint?: string): void {
    this.#parts.failed.fail(new MachineError(code, message, { hint, evidence: this.#evidence() }));
  }

  #onEvent({ event, data }: QmpEvent): void {
    const { name } = this.#parts.spec;
    if (event === 'SHUTDOWN') {
      this.#seen = { guest: data.guest === true, reason: String(data.reason) };
      const waiter = this.#waiting.shift();
      if (waiter === undefined) this.#ends.push(this.#seen);
      else waiter(this.#seen);
    }
    if (event === 'RESET' && data.guest === true) this.#onReset();
    if (event === 'GUEST_PANICKED') {
      this.#fail('boot.panic', `Cannot run ${name}: the guest panicked`, 'The lines before it name the cause.');
    }
  }

  #onReset(): void {
    const { milestones, serial, watch, spec } = this.#parts;
    const now = performance.now();
    if (now - this.#lastReset < SAME_RESET_MS) return;
    this.#lastReset = now;
    // A panic that makes the kernel restart is the cause, and this only what follows from it.
    serial.flush();
    const arrived = milestones.has('login prompt') || milestones.has('login');
    this.#resets = arrived ? 0 : this.#resets + 1;
    watch.restart();
    if (this.#resets < MOST_RESETS) return;
    this.#fail(
      'boot.reboot-loop',
      `Cannot boot ${spec.name}: it has reset itself ${this.#resets} times without coming to a login`,
      'The lines before a restart name the cause.',
    );
  }

  async #onExit(exit: QemuExit): Promise<void> {
    const { spec, failed, serial, qemu } = this.#parts;
    await within(serial.ended, DRAIN_MS);
    serial.flush();
    const clean = exit.code === 0 && this.#seen?.guest === true;
    if (this.#stopping && clean) return;
    if (clean) {
      this.#fail(
        'machine.powered-off',
        `Cannot go on with ${spec.name}: the guest powered itself off before it was asked to`,
        'The last lines on its console tell what made it do so.',
      );
      return;
    }
    failed.fail(qemuDied(spec.name, exit, qemu.stderr(), this.#evidence()));
  }

  async shutdown(options: ShutdownOptions): Promise<StoppedMachine> {
    const { spec, qemu, qmp, failed, watch } = this.#parts;
    const start = performance.now();
    this.#stopping = true;
    // A QEMU that closes its disks at the end answers nobody meanwhile.
    await watch[Symbol.asyncDispose]();
    const ended = Promise.race([qemu.exited, failed.promise]);
    // A request that cannot be made is no reason to wait for what it would have done.
    const unheard = options.ask === undefined ? Promise.resolve(undefined) : failureOf(options.ask());
    let exit = await within(Promise.race([ended, unheard]), options.budgetMs / 2, options.signal);
    if (exit === undefined) {
      await qmp.command('system_powerdown', {}).catch(() => {});
      const left = options.budgetMs - (performance.now() - start);
      exit = await within(ended, left, options.signal);
    }
    if (exit === undefined) {
      throw new MachineError(
        'shutdown.refused',
        `Cannot pack ${spec.name}: the guest did not power off within ${Math.round(options.budgetMs / 1000)} s`,
        {
          hint: 'It was asked over SSH and by the power button. A guest that has to be killed is not packed.',
          evidence: this.#evidence(),
        },
      );
    }
    return await this.#stopped(exit, ['guest-shutdown'], start);
  }

  async startAgain(): Promise<void> {
    this.#ends = [];
    this.#seen = undefined;
    await this.qmp.command('system_reset', {});
    await this.qmp.command('cont', {});
  }

  async quit(): Promise<StoppedMachine> {
    const { qemu, qmp, failed } = this.#parts;
    const start = performance.now();
    const seen = this.#seen;
    this.#stopping = true;
    await qmp.command('quit', {}).catch(() => {});
    const exit = await within(Promise.race([qemu.exited, failed.promise]), QUIT_MS);
    // QEMU tells of its own end as of another shutdown; how the guest ended is what was seen before.
    this.#seen = seen;
    return await this.#stopped(exit ?? { code: null, signal: null }, ['guest-shutdown', 'guest-reset'], start);
  }

  /** The proof that the guest ended itself and QEMU ended well. */
  async #stopped(exit: QemuExit, reasons: readonly string[], start: number): Promise<StoppedMachine> {
    const { spec, firmware, serial } = this.#parts;
    const seen = this.#seen;
    // What the guest wrote last is on its console once the machine is told to have stopped.
    await within(serial.ended, DRAIN_MS);
    serial.flush();
    if (exit.code !== 0 || seen?.guest !== true || !reasons.includes(seen.reason)) {
      const how = `QEMU ended with ${exit.signal ?? `status ${exit.code}`}, shutdown reason ${seen?.reason ?? 'none'}`;
      throw new MachineError('shutdown.unclean', `Cannot pack ${spec.name}: its power-off was not clean (${how})`, {
        hint: 'The file systems may be damaged; build again.',
        evidence: this.#evidence(),
      });
    }
    return { spec, reason: seen.reason, ms: performance.now() - start, firmware };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await this.#parts.watch[Symbol.asyncDispose]();
    await this.#parts.stack[Symbol.asyncDispose]();
  }
}

/** Resolves when `promise` has failed; stays pending when it has not. */
function failureOf(promise: Promise<unknown>): Promise<undefined> {
  return new Promise((resolve) => {
    promise.catch(() => resolve(undefined));
  });
}
