import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, event } from '../../fixtures/fake-qmp.ts';
import { closed, errorOf, onStop, qmpSessions, stop } from '../../fixtures/qmp-sessions.ts';
import type { QmpEvent } from '../../src/formats/qmp.ts';
import { MAX_QUEUED } from '../../src/machine/qmp-event-queue.ts';

useRunningTime();

const sessions = qmpSessions();
const { log, withPeer } = sessions;

test('events reach their listeners until they are disposed, and one that fails keeps them from nobody', async () => {
  await withPeer({ onCommand: ({ id }) => event('RESET', { guest: true }) + answer(id) }, async (session) => {
    const seen: string[] = [];
    session.onEvent(() => {
      throw new Error('my fault');
    });
    const listening = session.onEvent(({ event, data, at }) => seen.push(`${event} ${data.guest} ${at}`));
    await session.command('cont');
    listening[Symbol.dispose]();
    await session.command('stop');
    expect(seen[0]).toBe('RESET true 1000002');
    const count = seen.length;
    await session.command('stop');
    expect(seen).toHaveLength(count);
  });
  expect(await log()).toMatch(/! a listener of RESET failed: Error: my fault/);
});

test('an iteration has the events since it was asked for, those that were asked for, and their data', async () => {
  const flow = event('STOP') + event('RESET', { guest: true, reason: 'guest-reset' }) + event('RESUME');
  await withPeer(
    onStop(({ id }) => flow + answer(id)),
    async (session) => {
      const resets = session.events('RESET');
      const some = session.events(['STOP', 'RESUME']);
      const tested = session.events((one) => one.event.startsWith('RES'));
      const all = session.events();
      await session.command('stop');
      for await (const { data } of resets) {
        expect(data.reason).toBe('guest-reset');
        break;
      }
      expect(await resets.next()).toEqual({ done: true, value: undefined });
      const take = async (events: AsyncIterator<QmpEvent>, count: number): Promise<string[]> => {
        const names: string[] = [];
        for (let i = 0; i < count; i++) names.push((await events.next()).value.event);
        return names;
      };
      expect(await take(some, 2)).toEqual(['STOP', 'RESUME']);
      expect(await take(tested, 2)).toEqual(['RESET', 'RESUME']);
      expect(await take(all, 3)).toEqual(['STOP', 'RESET', 'RESUME']);
      // Waiting before it comes, two at once.
      const waiting = [all.next(), all.next()];
      await session.command('stop');
      expect((await Promise.all(waiting)).map(({ value }) => value.event)).toEqual(['STOP', 'RESET']);
    },
  );
});

test('a flood of events does not hold up answers, and a reader too slow for it is told what it lost', async () => {
  const flood = Array.from({ length: 3 * MAX_QUEUED }, (_, at) => event('RTC_CHANGE', { offset: at })).join('');
  await withPeer(
    onStop(({ id }) => flood + event('SHUTDOWN', { guest: true }) + answer(id)),
    async (session) => {
      const slow = session.events();
      const wanted = session.events('SHUTDOWN');
      await session.command('stop');
      const read: unknown[] = [];
      const loop = (async () => {
        for await (const { data } of slow) read.push(data.offset);
      })();
      expect(await errorOf(loop)).toMatchObject({ code: 'qmp.events-lost' });
      expect(read).toEqual(Array.from({ length: MAX_QUEUED }, (_, at) => at));
      expect(await slow.next()).toEqual({ done: true, value: undefined });
      expect((await wanted.next()).value.data.guest).toBe(true);
    },
  );
});

test('an iteration ends with the session, by its signal, or with what broke the session', async () => {
  const names = async (events: AsyncIterable<QmpEvent>): Promise<string[]> => {
    const seen: string[] = [];
    for await (const one of events) seen.push(one.event);
    return seen;
  };
  const goes = onStop((_, peer) => {
    peer.send(event('SHUTDOWN'));
    peer.end();
    return '';
  });
  await withPeer(goes, async (session) => {
    const late = session.events();
    const waiting = names(session.events());
    expect(await errorOf(stop(session))).toMatchObject(closed);
    expect(await waiting).toEqual(['SHUTDOWN']);
    expect(await names(late)).toEqual(['SHUTDOWN']);
  });
  await withPeer(
    onStop(() => 'junk\n'),
    async (session) => {
      const waiting = errorOf(names(session.events()));
      await errorOf(stop(session));
      expect(await waiting).toMatchObject({ code: 'qmp.damaged' });
    },
  );
  await withPeer({}, async (session) => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const waiting = errorOf(names(session.events('STOP', controller.signal)));
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    expect(await errorOf(names(session.events(undefined, controller.signal)))).toBe(reason);
  });
});
