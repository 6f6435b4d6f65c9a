import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { deadline, within } from '../../src/host/within.ts';

test.each([[3.6e6 * 17.6], [2 ** 31], [1e12], [Number.POSITIVE_INFINITY]])(
  'a deadline of %s ms is not over at once',
  async (ms) => {
    const warned = vi.fn();
    process.on('warning', warned);
    const signal = deadline(ms);
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('warning', warned);
    expect(signal.aborted).toBe(false);
    expect(warned).not.toHaveBeenCalled();
  },
);

test.each([[0], [0.2], [-1]])('one of %s ms is over as soon as can be', async (ms) => {
  const signal = deadline(ms);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  expect(signal.reason).toMatchObject({ name: 'TimeoutError' });
});

test('whoever waits with a limit is let go when the signal is aborted, with its reason', async () => {
  const controller = new AbortController();
  const never = new Promise<number>(() => {});
  const waiting = within(never, 60_000, controller.signal);
  controller.abort(new Error('interrupted'));
  await expect(waiting).rejects.toThrow('interrupted');
  await expect(within(never, 60_000, controller.signal)).rejects.toThrow('interrupted');
  await expect(within(Promise.resolve(1), 60_000, new AbortController().signal)).resolves.toBe(1);
});

/** A collection of all garbage, now. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
}

test('a deadline among other signals holds although the collector runs before it', async () => {
  const outer = new AbortController();
  const signal = AbortSignal.any([outer.signal, deadline(200)]);
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  // Not in the turn that made them: what a turn has touched is kept to its end.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  await ended;
  expect(signal.reason).toMatchObject({ name: 'TimeoutError' });
}, 5_000);
