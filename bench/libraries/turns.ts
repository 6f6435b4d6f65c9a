/** Rounds of every contest; `--rounds=` asks for another number. */
export function rounds(): number {
  const asked = process.argv.find((word) => word.startsWith('--rounds='))?.slice('--rounds='.length);
  const count = Number(asked ?? 3);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--rounds=${asked} is no number of rounds`);
  return count;
}

/** Milliseconds that `work` took, and what it answered. */
export async function timed<T>(work: () => T | Promise<T>): Promise<{ ms: number; answer: T }> {
  const start = performance.now();
  const answer = await work();
  return { ms: performance.now() - start, answer };
}

export interface Turn {
  readonly title: string;
  readonly ms: number;
}

/** Each of `ways` once a round, in order: a host that slows down slows them all. `before` and `after` are not timed. */
export async function inTurns(
  ways: ReadonlyMap<string, () => Promise<unknown>>,
  { before = () => {}, after = () => {} }: { readonly before?: () => void; readonly after?: () => void } = {},
): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (let round = 0; round < rounds(); round++) {
    for (const [title, way] of ways) {
      before();
      const { ms } = await timed(way);
      after();
      turns.push({ title, ms });
    }
  }
  return turns;
}

/** The least time of `title`. */
export function bestOf(turns: readonly Turn[], title: string): number {
  return Math.min(...turns.filter((turn) => turn.title === title).map(({ ms }) => ms));
}
