import { MachineError } from '../errors.ts';
import type { GuestFrame } from '../formats/guest-frame.ts';
import { type Activity, ActivityProbe, IdleMeter, type Idleness } from './activity.ts';
import { Follow, type Follower, type Following } from './follow-guest.ts';
import type { Milestones } from './milestones.ts';
import { type NetworkFacts, NetworkSight } from './network-sight.ts';
import type { QmpSession } from './qmp.ts';
import type { SerialConsole } from './serial.ts';
import type { Stillness } from './stillness.ts';
import type { WatchBudgets } from './watch-budgets.ts';

export type { Stillness } from './stillness.ts';
export { type WatchBudgets, watchBudgets } from './watch-budgets.ts';

/** A first boot that cloud-init has not finished may wait for a server or a lock: its guest is given more time. */
const CLOUD_INIT_PATIENCE = 6;
const SAMPLE_MS = 1_000;
/** After this part of `stepQuietMs` the network of a guest that is followed is looked at too. */
const CLOSER = 0.25;

/** Frames that change nothing about how a guest can be reached. */
const ORDINARY: readonly GuestFrame[] = ['other', 'traffic', 'work'];

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
  /**
   * Tells `follower` when nothing goes on in a guest that is at work for it, until the answer is disposed. What keeps a
   * connection alive, the time and names a system asks for, and the little an idle processor runs are nothing; TCP is
   * something, save that from port 22, which what `moved` is told stands for.
   */
  follow(follower: Follower): Following;
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
  /** Processors of the guest that QEMU emulates. @default 0: the hardware runs them */
  readonly emulatedCpus?: number;
  readonly fail: (error: unknown) => void;
}

export class Watch implements GuestWatch {
  readonly #parts: WatchParts;
  readonly #probe: ActivityProbe;
  readonly #meter = new IdleMeter();
  #sight: NetworkSight | undefined;
  #looking: Promise<void> | undefined;
  /** What was counted by the sights before this one. */
  readonly #counted = { frames: 0, work: 0 };
  #follow: Follow | undefined;
  #waiter: GuestWaiter | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #idleMs = 0;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    const { qmp, pid, serial } = parts;
    this.#probe = new ActivityProbe(
      qmp,
      pid,
      () => serial.read,
      () => this.#count('frames'),
    );
  }

  #count(what: 'frames' | 'work'): number {
    return this.#counted[what] + (this.#sight?.facts[what] ?? 0);
  }

  get milestones(): Milestones {
    return this.#parts.milestones;
  }

  /** Begins to look at the network; called before the guest's first instruction, so that nothing is missed. */
  look(): Promise<void> {
    this.#looking ??= this.#openSight().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #openSight(): Promise<void> {
    const { qmp, runDir, hasNetwork, milestones } = this.#parts;
    if (!hasNetwork || this.#sight !== undefined) return;
    const sight = await NetworkSight.open(qmp, runDir, (fact) => {
      const facts = this.#sight?.facts;
      if (fact === 'dhcp given') milestones.reach('network', 'DHCP lease');
      else if (facts?.addressUsed) milestones.reach('network');
      if (fact === 'ssh accepts') milestones.reach('ssh port');
      if (facts !== undefined && !ORDINARY.includes(fact)) this.#waiter?.onNetwork?.(facts);
    });
    if (this.#over) sight?.close();
    else this.#sight = sight;
  }

  async #closeSight(): Promise<void> {
    const sight = this.#sight;
    this.#sight = undefined;
    this.#counted.frames += sight?.facts.frames ?? 0;
    this.#counted.work += sight?.facts.work ?? 0;
    await sight?.[Symbol.asyncDispose]();
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
        await this.#closeSight();
      },
    };
  }

  follow(follower: Follower): Following {
    const follow = new Follow(this.#parts.budgets, follower);
    this.#follow = follow;
    // Nobody may have waited for this guest yet.
    if (this.#timer === undefined) this.#next();
    return {
      moved: () => follow.moved(),
      [Symbol.dispose]: () => {
        if (this.#follow !== follow) return;
        this.#follow = undefined;
        if (this.#waiter === undefined) void this.#closeSight();
      },
    };
  }

  /** The guest was reset. */
  restart(): void {
    this.#parts.milestones.restart();
    this.#parts.serial.restart();
    this.#sight?.restart();
    this.#meter.restart();
    this.#follow?.moved();
  }

  #next(): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const after = this.#waiter === undefined ? this.#parts.budgets.beatMs : SAMPLE_MS;
    this.#timer = setTimeout(() => void this.#look(), after);
  }

  async #look(): Promise<void> {
    const { budgets, serial, fail, name, milestones } = this.#parts;
    const answerMs = this.#waiter === undefined ? budgets.unattendedAnswerMs : budgets.answerMs;
    let idleness: Idleness;
    try {
      const sample = await this.#sample(answerMs / 2);
      await this.#followed(sample);
      // What a guest does that nobody waits for is its own affair.
      if (this.#waiter === undefined) return this.#next();
      idleness = this.#meter.take(sample);
    } catch (error) {
      if ((error as { code?: string }).code !== 'qmp.timeout' || this.#over) return;
      const seconds = Math.round(answerMs / 1000);
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
    fail(stalled(this.#parts, still));
  }

  /**
   * Passes a sample on to who follows the guest. A guest that seems to do nothing is looked at on its network as well: at all
   * times that would fill the capture's room.
   */
  async #followed(sample: Activity): Promise<void> {
    const follow = this.#follow;
    if (follow === undefined) return;
    const idleMs = follow.take({ ...sample, network: this.#count('work') }, (ms) => this.#still('quiet', ms));
    if (this.#waiter !== undefined || this.#follow !== follow) return;
    if (idleMs >= this.#parts.budgets.stepQuietMs * CLOSER) await this.look();
    else await this.#closeSight();
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

const LAST_LINES = 'Nothing was read, written or said meanwhile; the last lines tell what it was about to do.';
/** A kernel of SUSE was seen to hang at its start this way on two emulated processors; none was seen on one. */
const ONE_PROCESSOR = `${LAST_LINES} Build it with --cpus 1: a kernel may hang on several emulated processors.`;

function stalled({ name, emulatedCpus = 0 }: WatchParts, still: Stillness): MachineError {
  const seconds = Math.round(still.ms / 1000);
  const { evidence } = still;
  if (still.kind === 'spinning') {
    return new MachineError(
      'boot.livelock',
      `Cannot boot ${name}: its processors have run for ${seconds} s to no effect`,
      {
        hint: emulatedCpus > 1 ? ONE_PROCESSOR : LAST_LINES,
        evidence,
      },
    );
  }
  return new MachineError('boot.stalled', `Cannot boot ${name}: it has done nothing for ${seconds} s`, {
    hint: 'No disk, network, console or processor was at work. It waits for input, or its console is another: console=ttyS0.',
    evidence,
  });
}
