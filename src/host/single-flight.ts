import type { Context, Emit } from '../events.ts';

interface Flight<T> {
  readonly variant: string;
  readonly controller: AbortController;
  readonly passengers: Set<{ readonly emit: Emit }>;
  readonly result: Promise<T>;
}

/**
 * Work that several want at once and that is done once in this process: whoever comes later shares its result, its error and
 * its events. It is ended when all who wait for it were aborted; the last of them stays until it has cleaned up.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /**
   * Does `work`, or waits for the one under way with the same `key` and `variant`. Of one key at most one variant is under
   * way: the key names what two of them may not touch at once, a file for one.
   */
  async run(
    key: string,
    variant: string,
    work: (shared: Context) => Promise<T>,
    { emit, signal }: Context,
  ): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const flight = this.#flights.get(key) ?? this.#start(key, variant, work);
      if (flight.variant === variant && !flight.controller.signal.aborted) return this.#join(flight, { emit, signal });
      await unlessAborted(
        flight.result.catch(() => {}),
        signal,
      );
    }
  }

  #start(key: string, variant: string, work: (shared: Context) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const passengers: Flight<T>['passengers'] = new Set();
    const emit: Emit = (event) => {
      for (const passenger of passengers) passenger.emit(event);
    };
    // Begins a moment later: by then the flight is in the map and its first passenger hears its events.
    const result = Promise.resolve()
      .then(() => work({ emit, signal: controller.signal }))
      .finally(() => this.#flights.delete(key));
    result.catch(() => {});
    const flight = { variant, controller, passengers, result };
    this.#flights.set(key, flight);
    return flight;
  }

  async #join(flight: Flight<T>, { emit, signal }: Context): Promise<T> {
    const passenger = { emit };
    flight.passengers.add(passenger);
    try {
      return await unlessAborted(flight.result, signal);
    } finally {
      flight.passengers.delete(passenger);
      if (signal.aborted && flight.passengers.size === 0) {
        flight.controller.abort(signal.reason);
        await flight.result.catch(() => {});
      }
    }
  }
}

/** What `work` answers, or the reason of `signal` when that comes first. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
