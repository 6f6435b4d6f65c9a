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
