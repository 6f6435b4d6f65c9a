import { type Activity, IdleMeter } from './activity.ts';
import type { Stillness } from './stillness.ts';
import type { WatchBudgets } from './watch-budgets.ts';

/** Who has something done in a guest, and is told when nothing goes on in it. */
export interface Follower {
  /** Nothing has gone on for `WatchBudgets.stepQuietMs`; told once each time the guest falls still. */
  readonly onQuiet: (still: Stillness) => void;
  /** Nothing has gone on for `WatchBudgets.stepStallMs`; told once. */
  readonly onStall: (still: Stillness) => void;
}

export interface Following extends Disposable {
  /** Something goes on that the machine does not show: output, bytes of a transfer. */
  moved(): void;
}

/** From the samples of a guest at work to what its follower is told. */
export class Follow {
  readonly #budgets: WatchBudgets;
  readonly #follower: Follower;
  readonly #meter = new IdleMeter();
  #quiet = false;
  #stalled = false;

  constructor(budgets: WatchBudgets, follower: Follower) {
    this.#budgets = budgets;
    this.#follower = follower;
  }

  /** Takes a sample and answers how long nothing has gone on, ms; `seen` is what is seen of the guest now. */
  take(sample: Activity, seen: (ms: number) => Stillness): number {
    const { stepQuietMs, stepStallMs } = this.#budgets;
    const { idleMs } = this.#meter.take(sample);
    const quiet = idleMs >= stepQuietMs;
    if (quiet && !this.#quiet) this.#follower.onQuiet(seen(idleMs));
    this.#quiet = quiet;
    if (idleMs >= stepStallMs && !this.#stalled) {
      this.#stalled = true;
      this.#follower.onStall(seen(idleMs));
    }
    return idleMs;
  }

  /** The count begins anew. */
  moved(): void {
    this.#quiet = false;
    this.#meter.restart();
  }
}
