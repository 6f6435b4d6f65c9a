import { MachineError } from '../errors.ts';
import { type Activity, ActivityProbe, IdleMeter, type Idleness } from './activity.ts';
import type { Milestones } from './milestones.ts';
import { type NetworkFacts, NetworkSight } from './network-sight.ts';
import type { QmpSession } from './qmp.ts';
import type { SerialConsole } from './serial.ts';

/** How long a guest may do nothing, ms, before something is concluded from it. */
export interface WatchBudgets {
  /** A guest that has come up and does nothing for so long will not do more by itself. */
  readonly quietMs: number;
  /** A guest that has not come up and does nothing for so long is stuck. */
  readonly stallMs: number;
  /** A guest whose processors are busy and which neither reads, writes nor speaks for so long runs in a circle. */
  readonly spinMs: number;
  /** A QEMU that leaves a question open for so long does not answer any more. */
  readonly answerMs: number;
  /** A machine that nobody waits for, as while its guest is provisioned, is asked so often whether it still answers. */
  readonly beatMs: number;
  /** A QEMU that has not opened its control socket, or not said a word on it, for so long hangs. */
  readonly greetingMs: number;
}

/**
 * What a guest waits for it waits for in real time, however slow it is: only a part of each budget grows with the time scale
 * of the accelerator. What it computes takes as much longer as the scale says.
 */
export function watchBudgets(timeScale: number): WatchBudgets {
  return {
    quietMs: 6_000 + 400 * timeScale,
    stallMs: 100_000 + 2_000 * timeScale,
    spinMs: 30_000 * timeScale + 30_000,
    answerMs: 10_000,
    beatMs: 5_000,
    greetingMs: 15_000,
  };
}

/** A first boot that cloud-init has not finished may wait for a server or a lock: its guest is given more time. */
const CLOUD_INIT_PATIENCE = 6;
const SAMPLE_MS = 1_000;

/** Why nothing more is to be expected of a guest. */
export interface Stillness {
  /** `quiet`: it has come up; `stalled`: it has not; `spinning`: it has not, and its processors are busy. */
  readonly kind: 'quiet' | 'stalled' | 'spinning';
  readonly ms: number;
  readonly network: NetworkFacts | undefined;
  /** A user the guest says it does not know. */
  readonly unknownUser: string | undefined;
  /** For the evidence of an error. */
  readonly evidence: { readonly reached: string[]; readonly serial: string[]; readonly network: string };
}

/** Who waits for the guest. */
export interface GuestWaiter {
  /**
   * Asked what stillness means to the waiter, who answers whether it has drawn its conclusion. Otherwise a guest that has not
   * come up is failed by the machine, and one that has is watched on.
   */
  readonly onStill?: (still: Stillness) => Promise<boolean>;
  /** Something happened on the network that makes a new attempt worth while. */
  readonly onNetwork?: (facts: NetworkFacts) => void;
}

/** What is seen of a guest while somebody waits for it: its console, its network, and whether it does anything. */
export interface GuestWatch {
  readonly milestones: Milestones;
  /** How long nothing has gone on in the guest, ms, as of the last look. */
  readonly idleMs: number;
  /** What is seen of the guest now. */
  seen(): Stillness;
  /** Begins to look after the guest for `waiter`, until the answer is disposed. */
  attend(waiter: GuestWaiter): Promise<AsyncDisposable>;
}

interface WatchParts {
  readonly name: string;
  readonly qmp: QmpSession;
  readonly pid: number;
  readonly serial: SerialConsole;
  readonly milestones: Milestones;
  readonly runDir: string;
  readonly hasNetwork: boolean;
  readonly budgets: WatchBudgets;
  readonly fail: (error: unknown) => void;
}

export class Watch implements GuestWatch {
  readonly #parts: WatchParts;
  readonly #probe: ActivityProbe;
  readonly #meter = new IdleMeter();
  #sight: NetworkSight | undefined;
  #waiter: GuestWaiter | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #idleMs = 0;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    const { qmp, pid, serial } = parts;
    const network = (): number => this.#sight?.facts.frames ?? 0;
    this.#probe = new ActivityProbe(qmp, pid, () => serial.read, network);
  }

  get milestones(): Milestones {
    return this.#parts.milestones;
  }

  /** Begins to look at the network; called before the guest's first instruction, so that nothing is missed. */
  async look(): Promise<void> {
    const { qmp, runDir, hasNetwork, milestones } = this.#parts;
    if (!hasNetwork || this.#sight !== undefined) return;
    this.#sight = await NetworkSight.open(qmp, runDir, (fact) => {
      const facts = this.#sight?.facts;
      if (fact === 'dhcp given') milestones.reach('network', 'DHCP lease');
      else if (facts?.addressUsed) milestones.reach('network');
      if (fact === 'ssh accepts') milestones.reach('ssh port');
      if (facts !== undefined && fact !== 'other' && fact !== 'traffic') this.#waiter?.onNetwork?.(facts);
    });
  }

  async attend(waiter: GuestWaiter): Promise<AsyncDisposable> {
    await this.look();
    this.#waiter = waiter;
    this.#meter.restart();
    this.#next();
    return {
      [Symbol.asyncDispose]: async () => {
        if (this.#waiter !== waiter) return;
        this.#waiter = undefined;
        this.#next();
        await this.#sight?.[Symbol.asyncDispose]();
        this.#sight = undefined;
      },
    };
  }

  /** The guest was reset. */
  restart(): void {
    this.#parts.milestones.restart();
    this.#parts.serial.restart();
    this.#sight?.restart();
    this.#meter.restart();
  }

  #next(): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const after = this.#waiter === undefined ? this.#parts.budgets.beatMs : SAMPLE_MS;
    this.#timer = setTimeout(() => void this.#look(), after);
  }

  async #look(): Promise<void> {
    const { budgets, serial, fail, name, milestones } = this.#parts;
    let idleness: Idleness;
    try {
      const sample = await this.#sample(budgets.answerMs / 2);
      // What a guest does that nobody waits for is its own affair.
      if (this.#waiter === undefined) return this.#next();
      idleness = this.#meter.take(sample);
    } catch (error) {
      if ((error as { code?: string }).code !== 'qmp.timeout' || this.#over) return;
      const seconds = Math.round(budgets.answerMs / 1000);
      fail(
        new MachineError('qemu.unresponsive', `Cannot run ${name}: QEMU has not answered for ${seconds} s`, {
          hint: 'It is stopped or stuck on the host: look at its state, and at the storage its disks are on.',
          evidence: { serial: serial.tail(25), reached: milestones.text() },
          cause: error,
        }),
      );
      return;
    }
    this.#idleMs = idleness.idleMs;
    const still = this.#judge(idleness);
    if (still === undefined) return this.#next();
    const waiter = this.#waiter;
    const concluded = await waiter?.onStill?.(still);
    if (concluded || this.#waiter !== waiter) return;
    if (still.kind === 'quiet') return this.#next();
    fail(stalled(name, still));
  }

  /** Asked a second time when there was no answer: a host that slept wakes with every timer run out. */
  async #sample(timeoutMs: number): Promise<Activity> {
    return this.#probe.sample(timeoutMs).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'qmp.timeout' || this.#over) throw error;
      return this.#probe.sample(timeoutMs);
    });
  }

  #judge({ idleMs, spinningMs }: Idleness): Stillness | undefined {
    const { budgets, serial, milestones } = this.#parts;
    const patience = serial.cloudInitRuns ? CLOUD_INIT_PATIENCE : 1;
    // A server that speaks is a system that has come up, whatever its console shows.
    const up = serial.up || milestones.has('ssh banner');
    if (up && idleMs >= budgets.quietMs * patience) return this.#still('quiet', idleMs);
    if (idleMs >= budgets.stallMs) return this.#still('stalled', idleMs);
    if (spinningMs >= budgets.spinMs) return this.#still('spinning', spinningMs);
    return undefined;
  }

  #still(kind: Stillness['kind'], ms: number): Stillness {
    const { serial, milestones } = this.#parts;
    const network = this.#sight?.facts;
    const evidence = { reached: milestones.text(), serial: serial.tail(25), network: networkText(network) };
    return { kind, ms, network: network && { ...network }, unknownUser: serial.unknownUser, evidence };
  }

  get idleMs(): number {
    return this.#idleMs;
  }

  seen(): Stillness {
    return this.#still(this.#parts.serial.up ? 'quiet' : 'stalled', this.#idleMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#waiter = undefined;
    this.#sight?.close();
  }
}

function networkText(facts: NetworkFacts | undefined): string {
  if (facts === undefined) return 'not watched';
  const address = facts.dhcpGiven ? 'DHCP lease given' : facts.dhcpAsked ? 'DHCP asked, no lease' : 'no DHCP request';
  const used = facts.addressUsed ? 'address used' : 'no address used';
  return `${address}; ${used}; port 22: ${facts.port22}`;
}

function stalled(name: string, still: Stillness): MachineError {
  const seconds = Math.round(still.ms / 1000);
  const { evidence } = still;
  if (still.kind === 'spinning') {
    return new MachineError(
      'boot.livelock',
      `Cannot boot ${name}: its processors have run for ${seconds} s to no effect`,
      {
        hint: 'Nothing was read, written or said meanwhile; the last lines tell what it was about to do.',
        evidence,
      },
    );
  }
  return new MachineError('boot.stalled', `Cannot boot ${name}: it has done nothing for ${seconds} s`, {
    hint: 'No disk, network, console or processor was at work. It waits for input, or its console is another: console=ttyS0.',
    evidence,
  });
}
