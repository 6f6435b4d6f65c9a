import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { deadline } from '../../src/host/within.ts';

/** A collection of all garbage, now. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
}

const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }));

test('a deadline among other signals holds although the collector runs before it', async () => {
  const outer = new AbortController();
  const reason = aborted(AbortSignal.any([outer.signal, deadline(200)]));
  // Not in the turn that made them: what a turn has touched is kept to its end.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(await reason).toMatchObject({ name: 'TimeoutError' });
}, 5_000);

test('a budget that is no whole number, none at all, or longer than a timer is a deadline too', async () => {
  expect(await aborted(deadline(0.5))).toMatchObject({ name: 'TimeoutError' });
  expect(await aborted(deadline(-1))).toMatchObject({ name: 'TimeoutError' });
  const long = deadline(1e12);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(long.aborted).toBe(false);
});
