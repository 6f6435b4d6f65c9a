/**
 * Waiting that looks. Nothing here waits for time to pass: `until` ends on what it sees, and time only limits it and
 * spaces the looks at things that tell no events, such as a screen.
 */

/** Wakes whoever waits for it; serial text and failures pull it. */
export class Bell {
  #ringers = new Set<() => void>();
  #rung = 0;

  /** How often it has rung, to be given to `next`. */
  get rung(): number {
    return this.#rung;
  }

  ring(): void {
    this.#rung++;
    const woken = this.#ringers;
    this.#ringers = new Set();
    for (const wake of woken) wake();
  }

  /** Resolves at the next ring, or after `limitMs`; at once when it has rung since it had `rung` times. */
  async next(limitMs: number, rung: number): Promise<void> {
    if (this.#rung !== rung) return;
    let timer: NodeJS.Timeout | undefined;
    let wake = (): void => {};
    try {
      await new Promise<void>((resolve) => {
        wake = resolve;
        this.#ringers.add(resolve);
        timer = setTimeout(resolve, limitMs);
      });
    } finally {
      clearTimeout(timer);
      this.#ringers.delete(wake);
    }
  }
}

export interface UntilOptions {
  /** How long to go on looking, ms. */
  readonly limitMs: number;
  /** Looks are at most this far apart, ms. */
  readonly everyMs: number;
  readonly signal: AbortSignal;
  /** Rung when there is something to see. */
  readonly bell?: Bell | undefined;
}

/** What `look` saw, as soon as it is not undefined; undefined when the limit passed first. Looks at least once. */
export async function until<T>(
  look: () => T | undefined | Promise<T | undefined>,
  options: UntilOptions,
): Promise<T | undefined> {
  const bell = options.bell ?? new Bell();
  const deadline = performance.now() + options.limitMs;
  const onAbort = (): void => bell.ring();
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      options.signal.throwIfAborted();
      // A ring while `look` is still looking counts for the next look.
      const { rung } = bell;
      const seen = await look();
      if (seen !== undefined) return seen;
      const left = deadline - performance.now();
      if (left <= 0) return undefined;
      await bell.next(Math.min(left, options.everyMs), rung);
    }
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}
