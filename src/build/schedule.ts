/** What a piece of work takes while it runs: memory in bytes, and processors. */
export interface Cost {
  readonly memory: number;
  readonly cpus: number;
}

/** What all that runs at once may take together. */
export interface Budget extends Cost {
  /** Pieces of work at once. */
  readonly jobs: number;
}

/**
 * Starts one piece of work for each of `costs`, in their order, as soon as the budget allows, and waits for all. None
 * overtakes another, so a large one is not put off for ever. One that alone is beyond the budget runs by itself.
 * @param start never rejects
 * @param ended when it answers true nothing more is started
 */
export async function schedule(
  costs: readonly Cost[],
  budget: Budget,
  start: (at: number) => Promise<void>,
  ended: () => boolean,
): Promise<void> {
  const running = new Map<Promise<void>, Cost>();
  for (const [at, cost] of costs.entries()) {
    while (!ended() && !fits(cost, [...running.values()], budget)) await Promise.race(running.keys());
    if (ended()) break;
    const work = start(at).finally(() => running.delete(work));
    running.set(work, cost);
  }
  await Promise.all(running.keys());
}

function fits(cost: Cost, running: readonly Cost[], budget: Budget): boolean {
  if (running.length === 0) return true;
  const sum = (of: keyof Cost): number => running.reduce((total, one) => total + one[of], cost[of]);
  return running.length < budget.jobs && sum('memory') <= budget.memory && sum('cpus') <= budget.cpus;
}
