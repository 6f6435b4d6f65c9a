import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, event, type FakeQmp, failure, fakeQmp, KNOWN } from '../../fixtures/fake-qmp.ts';
import { errorOf, onStop, qmpSessions } from '../../fixtures/qmp-sessions.ts';

useRunningTime();

const sessions = qmpSessions();
const { connect, log, withPeer } = sessions;

test('a password is in no log and in no error, however it comes back', async () => {
  const password = 'Tr0ub"dör\\3';
  const ascii = 'Tr0ub\\"d\\u00F6r\\\\3';
  const onCommand: FakeQmp['onCommand'] = ({ execute, id }) => {
    if (execute === 'set_password') {
      return `{"id": ${id}, "error": {"class": "GenericError", "desc": "Bad password '${ascii}'"}}\n`;
    }
    return execute === 'human-monitor-command' ? answer(id, 'set to hunter22, keep') : undefined;
  };
  await withPeer({ onCommand }, async (session, server) => {
    const error = await errorOf(session.command('set_password', { protocol: 'vnc', password }));
    expect(error.message).toBe("Cannot set_password in QEMU: Bad password '***' (GenericError)");
    await session.command('human-monitor-command', { 'command-line': 'set_password vnc hunter22 keep' });
    await errorOf(session.command('set_password', { protocol: 'vnc', password: 'abc' }));
    expect(JSON.parse(server.received().trim().split('\n')[1] ?? '').arguments.password).toBe(password);
    for (const text of [JSON.stringify(error.toJSON()), await log()]) {
      expect(text).not.toMatch(/Tr0ub|hunter22|"abc"/);
    }
  });
  expect(await log()).toMatch(/> .*"command-line":"set_password vnc \*\*\*"/);
});

test('a routine command and its answer are left out of the log, what went wrong with it is not', async () => {
  let asked = 0;
  const onCommand: FakeQmp['onCommand'] = ({ execute, id }, peer) => {
    if (execute !== 'query-blockstats') return undefined;
    asked++;
    if (asked <= 3) return answer(id, [{ mark: `answer-${asked}` }]);
    if (asked === 4) return failure(id, 'not at this hour');
    setTimeout(() => peer.send(answer(id, [{ mark: 'answer-late' }])), 60);
    return '';
  };
  const schema = { ...KNOWN, 'query-blockstats': { 'query-nodes?': 'bool' } };
  await withPeer({ onCommand, schema }, async (session, server) => {
    const ask = (): Promise<unknown> =>
      session.command('query-blockstats', {}, { routine: true, timeoutMs: asked < 4 ? 3000 : 30 });
    for (const mark of ['answer-1', 'answer-2', 'answer-3']) expect(await ask()).toEqual([{ mark }]);
    await session.command('query-name');
    await expect.poll(log).toContain('"name":"fake"');
    expect(await log()).not.toMatch(/blockstats|answer-/);
    expect(await errorOf(ask())).toMatchObject({ code: 'qmp.refused' });
    expect(await errorOf(ask())).toMatchObject({ code: 'qmp.timeout' });
    await expect.poll(log).toMatch(/< .*answer-late.*\n.*! a late answer/);
    // Nor does it hold up what comes after it with a question of its own.
    expect(server.asked.map(({ execute }) => execute)).not.toContain('query-qmp-schema');
  });
  const text = await log();
  expect(text).toMatch(/< .*not at this hour/);
  expect(text).toMatch(/! id \d+ failed: .*Cannot query-blockstats in QEMU: no answer within 30 ms/);
  expect(text).not.toMatch(/answer-[123]/);
});

test('a secret command shows neither its arguments nor its answer, late or not', async () => {
  const onCommand: FakeQmp['onCommand'] = ({ execute, id, arguments: args }, peer) => {
    if (execute !== 'human-monitor-command') return undefined;
    if (args['command-line'] === 'typed-a') return failure(id, 'no such key typed-a');
    setTimeout(() => peer.send(answer(id, 'typed-b')), 60);
    return '';
  };
  await withPeer({ onCommand }, async (session) => {
    const type = (line: string): Promise<unknown> =>
      session.command('human-monitor-command', { 'command-line': line }, { secret: true, timeoutMs: 30 });
    expect((await errorOf(type('typed-a'))).message).not.toContain('typed');
    expect(await errorOf(type('typed-b'))).toMatchObject({ code: 'qmp.timeout' });
    await expect.poll(log).toMatch(/! a late answer/);
  });
  expect(await log()).not.toContain('typed');
});

test('the log is bounded, for a line and for the whole, and one that cannot be written is no error', async () => {
  const big = 'y'.repeat(2_000_000);
  const small = 'z'.repeat(10_000);
  await withPeer(
    onStop(({ id }) => answer(id, big)),
    async (session) => expect(await session.command('stop')).toBe(big),
  );
  expect((await log()).length).toBeLessThan(3000);
  expect(await log()).toMatch(/y … \(2000\d+ characters\)/);
  await withPeer(
    onStop(({ id }) => event('X', { small }).repeat(2000) + answer(id)),
    async (session) => {
      await session.command('stop');
    },
  );
  expect((await log()).length).toBeLessThan(17 * 1024 * 1024);
  expect((await log()).trimEnd()).toMatch(/! the log is full$/);
  await using server = await fakeQmp();
  await using session = await connect(server, { log: join(sessions.folder, 'no/such/folder/qmp.log') });
  expect(await session.command('query-name')).toEqual({ name: 'fake' });
});
