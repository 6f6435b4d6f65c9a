import { expect, test } from 'vitest';
import type { ComposeEvent, Context } from '../../src/events.ts';
import { SingleFlight } from '../../src/host/single-flight.ts';

function caller(): { context: Context; heard: string[]; abort: (reason: Error) => void } {
  const heard: string[] = [];
  const controller = new AbortController();
  const emit = (event: ComposeEvent): void => {
    if (event.type === 'log') heard.push(event.message);
  };
  return { context: { emit, signal: controller.signal }, heard, abort: (reason) => controller.abort(reason) };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('several that want the same share one result and its events; later it is done anew', async () => {
  const flights = new SingleFlight<number>();
  const [a, b] = [caller(), caller()];
  let count = 0;
  const work = async ({ emit }: Context): Promise<number> => {
    emit({ type: 'log', level: 'info', message: 'begun' });
    await settle();
    return ++count;
  };
  expect(await Promise.all([a, b].map(({ context }) => flights.run('k', '', work, context)))).toEqual([1, 1]);
  expect([a.heard, b.heard]).toEqual([['begun'], ['begun']]);
  expect(await flights.run('k', '', work, a.context)).toBe(2);
});

test('a failure is that of all who wait, and is not kept', async () => {
  const flights = new SingleFlight<number>();
  const fail = (): Promise<number> => Promise.reject(new Error('why'));
  const both = [caller(), caller()].map(({ context }) => flights.run('k', '', fail, context));
  for (const one of await Promise.allSettled(both)) expect(one).toMatchObject({ reason: { message: 'why' } });
  expect(await flights.run('k', '', async () => 3, caller().context)).toBe(3);
});

test('variants of one key come one after the other', async () => {
  const flights = new SingleFlight<string>();
  let under = 0;
  const work = (name: string) => async (): Promise<string> => {
    expect(++under).toBe(1);
    await settle();
    under--;
    return name;
  };
  const all = ['a', 'b', 'a', 'b'].map((name) => flights.run('k', name, work(name), caller().context));
  expect(await Promise.all(all)).toEqual(['a', 'b', 'a', 'b']);
});

test('who is aborted leaves; the work ends with the last one, who waits until it has cleaned up', async () => {
  const flights = new SingleFlight<number>();
  const [a, b, c] = [caller(), caller(), caller()];
  let state = '';
  const work = ({ signal }: Context): Promise<number> => {
    state = 'running';
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', async () => {
        state = 'ending';
        await settle();
        state = 'clean';
        reject(signal.reason);
      });
    });
  };
  const [first, second] = [a, b].map(({ context }) => flights.run('k', '', work, context));
  await settle();
  a.abort(new Error('a left'));
  await expect(first).rejects.toThrow('a left');
  expect(state).toBe('running');
  b.abort(new Error('b left'));
  const left = expect(second).rejects.toThrow('b left');
  while (state !== 'ending') await Promise.resolve();
  // One who comes while it ends does not share its end.
  const third = flights.run('k', '', async () => 7, c.context);
  await left;
  expect(state).toBe('clean');
  expect(await third).toBe(7);
});

test('who was aborted before does not begin', async () => {
  const { context, abort } = caller();
  abort(new Error('before'));
  await expect(new SingleFlight<number>().run('k', '', async () => 1, context)).rejects.toThrow('before');
});
