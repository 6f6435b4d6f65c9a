import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, type FakeQmp, failure, fakeQmp, KNOWN } from '../../fixtures/fake-qmp.ts';
import { errorOf, onStop, qmpSessions, stop } from '../../fixtures/qmp-sessions.ts';
import { QmpSession } from '../../src/machine/qmp.ts';

useRunningTime();

const sessions = qmpSessions();
const { connect, log, withPeer } = sessions;

test('a session negotiates, answers by id, and logs both directions with their times', async () => {
  await withPeer({}, async (session, server) => {
    expect(session.version).toBe('7.2.22');
    expect(await session.command('query-status')).toEqual({ status: 'running', running: true });
    expect(server.asked.map((one) => [one.id, one.execute])).toEqual([
      [1, 'qmp_capabilities'],
      [2, 'query-status'],
    ]);
  });
  const text = await log();
  expect(text).toMatch(/^ +\d+\.\d ! session began 20[^\n]*\n/);
  expect(text).toMatch(/^ +\d+\.\d > \{"execute":"qmp_capabilities","arguments":\{\},"id":1\}$/m);
  expect(text).toMatch(/^ +\d+\.\d < \{"return":\{"status":"running","running":true\},"id":2\}$/m);
  expect(text.trimEnd()).toMatch(/! session ended$/);
});

test.each([1, 2, 3, 7, 64])('a peer that writes in pieces of %i bytes is understood', async (piece) => {
  await withPeer({ piece }, async (session) => {
    expect(await session.command('query-name')).toEqual({ name: 'fake' });
  });
});

test('answers out of order reach the commands they belong to', async () => {
  const held: string[] = [];
  const onCommand: FakeQmp['onCommand'] = ({ execute, id }) => {
    if (!/stop|reset|powerdown/.test(execute)) return undefined;
    held.unshift(answer(id, execute));
    return held.length === 3 ? held.join('') : '';
  };
  await withPeer({ onCommand }, async (session) => {
    const all = [session.command('stop'), session.command('system_reset'), session.command('system_powerdown')];
    expect(await Promise.all(all)).toEqual(['stop', 'system_reset', 'system_powerdown']);
  });
});

test.each([
  ['is not there', '/nonexistent/qmp', 'ENOENT'],
  ['has a path no socket can have', `/tmp/${'x'.repeat(200)}`, ''],
])('a socket that %s is told from one that QEMU closed', async (_, path, why) => {
  const error = await errorOf(QmpSession.connect(path, { signal: new AbortController().signal }));
  expect(error).toMatchObject({ code: 'qmp.unreachable', message: expect.stringContaining(why) });
});

// --- ends ---

test('commands under way are rejected when the session is disposed, later ones at once, and twice does no harm', async () => {
  await withPeer(
    onStop(() => ''),
    async (session) => {
      const under = errorOf(session.command('stop'));
      await Promise.all([session[Symbol.asyncDispose](), session[Symbol.asyncDispose]()]);
      expect(await under).toMatchObject({
        code: 'qmp.closed',
        message: 'Cannot stop in QEMU: the QMP session is over',
      });
      expect(await errorOf(session.command('cont'))).toMatchObject({ code: 'qmp.closed' });
      expect(await errorOf(session.has('stop'))).toMatchObject({ code: 'qmp.closed' });
      expect(await session.events()[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
      await session[Symbol.asyncDispose]();
    },
  );
});

test('the signal ends the connecting with its reason, before and in the middle', async () => {
  await using server = await fakeQmp({ greeting: '' });
  const reason = new Error('enough');
  expect(await errorOf(connect(server, { signal: AbortSignal.abort(reason) }))).toBe(reason);
  expect(server.peers).toHaveLength(0);
  const controller = new AbortController();
  const connecting = errorOf(connect(server, { signal: controller.signal, greetingMs: 60_000 }));
  await expect.poll(() => server.peers.length).toBe(1);
  controller.abort(reason);
  expect(await connecting).toBe(reason);
});

test('a session that stands outlives the signal it was connected under', async () => {
  await using server = await fakeQmp();
  const controller = new AbortController();
  await using session = await connect(server, { signal: controller.signal });
  controller.abort();
  expect(await session.command('query-name')).toEqual({ name: 'fake' });
});

test("a command's signal gives its answer up, and only its", async () => {
  const held: string[] = [];
  const onCommand: FakeQmp['onCommand'] = ({ execute, id }, peer) => {
    if (execute === 'stop') held.push(answer(id));
    if (execute === 'system_reset') peer.send(held.splice(0).join(''));
    return execute === 'stop' ? '' : undefined;
  };
  await withPeer({ onCommand }, async (session, server) => {
    const reason = new Error('no more');
    expect(await errorOf(session.command('stop', {}, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(server.asked).toHaveLength(1);
    const controller = new AbortController();
    const given = errorOf(session.command('stop', {}, { signal: controller.signal }));
    const kept = session.command('stop');
    controller.abort(reason);
    expect(await given).toBe(reason);
    await session.command('system_reset');
    expect(await kept).toEqual({});
  });
});

test('a QEMU that answers nothing is not sent commands without end', async () => {
  await withPeer(
    onStop(() => ''),
    async (session, server) => {
      const all = Array.from({ length: 64 }, () => errorOf(session.command('stop', {}, { timeoutMs: 20 })));
      expect((await Promise.all(all)).map(({ code }) => code)).toEqual(Array(64).fill('qmp.timeout'));
      // Given up by us, still owed by QEMU.
      expect(await errorOf(session.command('query-name'))).toMatchObject({ code: 'qmp.busy' });
      server.peers[0]!.send(answer(2));
      await expect.poll(log).toMatch(/late answer/);
      expect(await session.command('query-name')).toEqual({ name: 'fake' });
    },
  );
});

// --- the schema ---

test('the schema is asked once, behind the first cont, and commands after it are checked before they are sent', async () => {
  const schema = { ...KNOWN, screendump: { filename: 'str', 'device?': 'str' } };
  await withPeer({ schema }, async (session, server) => {
    await session.command('human-monitor-command', { 'command-line': 'info usernet' });
    await session.command('cont');
    await session.command('cont');
    expect(await session.has('screendump')).toBe(true);
    expect(await session.has('screendump', 'device')).toBe(true);
    expect(await session.has('screendump', 'format')).toBe(false);
    expect(await session.has('screendump', 'format', 'png')).toBe(false);
    expect(await session.has('no-such-command', 'x')).toBe(false);
    const names = server.asked.map(({ execute }) => execute);
    expect(names).toEqual(['qmp_capabilities', 'human-monitor-command', 'cont', 'query-qmp-schema', 'cont']);
    const png = session.command('screendump', { filename: 'a', format: 'png' });
    expect(await errorOf(png)).toMatchObject({
      code: 'qmp.unsupported',
      message: 'Cannot screendump in QEMU: QEMU 7.2.22 does not know the argument format',
    });
    expect(server.asked).toHaveLength(names.length);
    await session.command('screendump', { filename: 'a', device: undefined as unknown as string });
  });
  expect(await log()).not.toContain('"json-type"'.repeat(2));
});

test('a refusal before the schema is known is explained from it', async () => {
  const schema = { ...KNOWN, screendump: { filename: 'str', 'format?': ['ppm'] } };
  const onCommand: FakeQmp['onCommand'] = ({ execute, id, arguments: args }) =>
    execute === 'screendump' && args.format === 'png' ? failure(id, "'format' does not accept value 'png'") : undefined;
  await withPeer({ schema, onCommand }, async (session) => {
    const error = await errorOf(session.command('screendump', { filename: 'a', format: 'png' }));
    expect(error).toMatchObject({
      code: 'qmp.unsupported',
      message: 'Cannot screendump in QEMU: QEMU 7.2.22 does not know the value "png" of format',
      cause: expect.objectContaining({ code: 'qmp.refused' }),
    });
  });
  // QEMU says this of a command by the class of the error alone.
  await withPeer({}, async (session) => {
    expect(await errorOf(session.command('query-tpm'))).toMatchObject({ code: 'qmp.unsupported' });
  });
});

test('a refusal that the schema does not explain, or that comes without a schema, stays what it is', async () => {
  const onCommand: FakeQmp['onCommand'] = ({ execute, id }) => {
    if (execute === 'query-qmp-schema') return '';
    return execute === 'stop' ? failure(id, 'locked') : undefined;
  };
  await withPeer(
    onStop(({ id }) => failure(id, 'locked')),
    async (session) => expect(await errorOf(stop(session))).toMatchObject({ code: 'qmp.refused' }),
  );
  await withPeer({ onCommand }, async (session) => {
    const start = performance.now();
    expect(await errorOf(stop(session))).toMatchObject({ code: 'qmp.refused' });
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
