import type { Emit } from '../events.ts';

/** The phases a guest passes on its way to being ready, in their usual order; each is seen, none is assumed. */
export const MILESTONES = [
  'qemu',
  'firmware',
  'boot loader',
  'kernel',
  'userspace',
  'network',
  'login prompt',
  'ssh port',
  'ssh banner',
  'key exchange',
  'login',
  'cloud-init',
] as const;

export type Milestone = (typeof MILESTONES)[number];

export interface Reached {
  readonly milestone: Milestone;
  /** Since QEMU was started. */
  readonly ms: number;
  /** 1 for the first start of the guest, more after each reset. */
  readonly boot: number;
  readonly detail?: string;
}

/** Notes when a guest reaches each phase, once for each of its starts, and tells it as an event. */
export class Milestones {
  readonly #emit: Emit;
  readonly #start = performance.now();
  readonly #reached: Reached[] = [];
  #boot = 1;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  reach(milestone: Milestone, detail?: string): void {
    if (this.has(milestone)) return;
    const ms = performance.now() - this.#start;
    const said = detail === undefined ? {} : { detail };
    this.#reached.push({ milestone, ms, boot: this.#boot, ...said });
    this.#emit({ type: 'milestone', milestone, ms, boot: this.#boot, ...said });
  }

  /** Whether the running start of the guest has come this far. */
  has(milestone: Milestone): boolean {
    return this.#reached.some((one) => one.milestone === milestone && one.boot === this.#boot);
  }

  /** The guest was reset: what it reaches from now on is another start's. */
  restart(): void {
    this.#boot++;
  }

  /** How many times the guest has started. */
  get boot(): number {
    return this.#boot;
  }

  get reached(): readonly Reached[] {
    return this.#reached;
  }

  /** For an error's evidence: a line for each phase, with its time. */
  text(): string[] {
    return this.#reached.map(({ milestone, ms, boot, detail }) => {
      const again = boot > 1 ? `, start ${boot}` : '';
      return `${milestone} after ${(ms / 1000).toFixed(1)} s${again}${detail === undefined ? '' : ` (${detail})`}`;
    });
  }
}
