import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import {
  answer,
  event,
  type FakeQmp,
  type FakeQmpServer,
  failure,
  fakeQmp,
  GREETING,
  KNOWN,
} from '../../fixtures/fake-qmp.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { isComposeError, type MachineError } from '../../src/errors.ts';
import { MAX_LINE, type QmpEvent } from '../../src/formats/qmp.ts';
import { QmpSession } from '../../src/machine/qmp.ts';
import { MAX_QUEUED } from '../../src/machine/qmp-event-queue.ts';

useRunningTime();

/** What a peer may take to be found out; each limit below is far under it. */
const QUICK = 5000;

let folder = '';
let before: Map<string, number>;
/** Sockets, servers and timers that keep the process alive, how many of each. */
function handles(): Map<string, number> {
  const names = process.getActiveResourcesInfo().filter((name) => /Pipe|Socket|Timeout|Server/.test(name));
  return new Map(names.map((name) => [name, names.filter((other) => other === name).length]));
}
/** The test runner has a timer of its own now and then, so fewer are no fault, and more only when they stay. */
const left = (): string[] => {
  const more = [...handles()].filter(([name, count]) => count > (before.get(name) ?? 0));
  return [...more.map(String), ...Array.from({ length: vi.getTimerCount() }, () => 'a timer')];
};
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qmp-'));
  before = handles();
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
  await expect.poll(left).toEqual([]);
});

const live = new AbortController().signal;
const connect = (server: FakeQmpServer, options: object = {}): Promise<QmpSession> =>
  QmpSession.connect(server.path, { signal: live, greetingMs: 300, log: join(folder, 'qmp.log'), ...options });
const log = (): Promise<string> => readFile(join(folder, 'qmp.log'), 'utf8');

async function withPeer<T>(fake: FakeQmp, use: (session: QmpSession, server: FakeQmpServer) => Promise<T>): Promise<T> {
  await using server = await fakeQmp(fake);
  await using session = await connect(server);
  return await use(session, server);
}

const errorOf = async (promise: Promise<unknown>): Promise<MachineError> => {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason) => reason,
  );
  return error as MachineError;
};

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

// --- peers that misbehave: how each ends ---

interface Row {
  readonly peer: string;
  readonly fake: FakeQmp;
  /** What is done with a session that stands; left out where none comes to be. */
  readonly use?: (session: QmpSession, server: FakeQmpServer) => Promise<unknown>;
  /** Of the error that connecting, or `use`, ends in. */
  readonly error?: Readonly<Record<string, unknown>>;
  readonly log?: RegExp;
}

const stop = (session: QmpSession): Promise<unknown> => session.command('stop', {}, { timeoutMs: 200 });
const onStop = (reply: NonNullable<FakeQmp['onCommand']>): FakeQmp => ({
  onCommand: (asked, peer) => (asked.execute === 'stop' ? reply(asked, peer) : undefined),
});
const closed = { code: 'qmp.closed', exitCode: 5 };

const ROWS: readonly Row[] = [
  { peer: 'closes before the greeting', fake: { greeting: '', onConnect: (peer) => peer.end() }, error: closed },
  { peer: 'says nothing', fake: { greeting: '' }, error: { code: 'qmp.no-greeting' } },
  { peer: 'sends half a greeting', fake: { greeting: GREETING.slice(0, 40) }, error: { code: 'qmp.no-greeting' } },
  {
    peer: 'closes in the middle of the greeting',
    fake: { greeting: GREETING.slice(0, 40), onConnect: (peer) => peer.end() },
    error: closed,
  },
  {
    peer: 'greets in another language',
    fake: { greeting: 'SSH-2.0-x\r\n' },
    error: { code: 'qmp.damaged', message: expect.stringContaining('"SSH-2.0-x"') },
    log: /< SSH-2\.0-x/,
  },
  { peer: 'greets with noise', fake: { greeting: '\u0000\u00ff\u001b\n' }, error: { code: 'qmp.damaged' } },
  { peer: 'greets with an event', fake: { greeting: event('STOP') }, error: { code: 'qmp.no-greeting' } },
  {
    peer: 'greets without a version',
    fake: { greeting: '{"QMP": {}}\n' },
    use: async (session) => expect(session.version).toBe('?.?.?'),
  },
  { peer: 'greets twice', fake: { greeting: GREETING + GREETING }, use: stop, log: /! a second greeting, ignored/ },
  {
    peer: 'answers before it is asked',
    fake: { greeting: answer(1) + answer(2) + GREETING },
    use: async (session, server) => {
      await stop(session);
      expect(server.asked).toHaveLength(2);
    },
    log: /! an answer to no command, ignored/,
  },
  {
    peer: 'refuses the negotiation',
    fake: { onCommand: ({ id }) => failure(id, 'Capability is unknown') },
    error: { code: 'qmp.refused', message: 'Cannot qmp_capabilities in QEMU: Capability is unknown (GenericError)' },
  },
  {
    peer: 'goes silent after the greeting',
    fake: { onCommand: () => '' },
    error: { code: 'qmp.timeout', message: 'Cannot qmp_capabilities in QEMU: no answer within 300 ms' },
  },
  {
    peer: 'goes silent in the middle of a command',
    fake: onStop(() => ''),
    use: stop,
    error: { code: 'qmp.timeout', message: 'Cannot stop in QEMU: no answer within 200 ms' },
  },
  {
    peer: 'goes silent in the middle of an answer',
    fake: onStop(({ id }) => answer(id).slice(0, -6)),
    use: stop,
    error: { code: 'qmp.timeout' },
  },
  {
    peer: 'closes in the middle of a command',
    fake: onStop((_, peer) => {
      peer.end();
      return '';
    }),
    use: stop,
    error: { ...closed, message: 'Cannot stop in QEMU: it closed the QMP socket' },
  },
  {
    peer: 'closes in the middle of an answer',
    fake: onStop(({ id }, peer) => {
      peer.send(answer(id).slice(0, 9));
      peer.end();
      return '';
    }),
    use: stop,
    error: closed,
  },
  {
    peer: 'resets the connection',
    fake: {},
    use: async (session, server) => {
      server.peers[0]!.deafen();
      const stopped = stop(session);
      server.peers[0]!.socket.destroy();
      return stopped;
    },
    error: { ...closed, cause: expect.objectContaining({ code: 'ECONNRESET' }) },
  },
  {
    peer: 'answers with an error',
    fake: onStop(({ id }) => failure(id, 'it is locked', 'DeviceNotActive')),
    use: stop,
    error: {
      code: 'qmp.refused',
      exitCode: 5,
      message: 'Cannot stop in QEMU: it is locked (DeviceNotActive)',
      evidence: { command: 'stop', class: 'DeviceNotActive', description: 'it is locked' },
    },
  },
  {
    peer: 'answers with an error that says nothing',
    fake: onStop(({ id }) => `{"error": {}, "id": ${id}}\n`),
    use: stop,
    error: { code: 'qmp.refused', message: 'Cannot stop in QEMU: no reason (unknown)' },
  },
  {
    peer: 'could not read the line',
    fake: onStop(() => '{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n'),
    use: stop,
    error: { code: 'qmp.refused', message: 'Cannot stop in QEMU: JSON parse error (GenericError)' },
  },
  {
    peer: 'answers to an unknown id',
    fake: onStop(({ id }) => answer(id + 1000) + answer('x') + answer(null) + answer(undefined) + answer(id)),
    use: stop,
    log: /(! an answer to no command, ignored\n[^!]*){4}/,
  },
  {
    peer: 'answers twice',
    fake: onStop(({ id }) => answer(id, 'one') + answer(id, 'two')),
    use: async (session) => {
      expect(await stop(session)).toBe('one');
      expect(await session.command('query-name')).toEqual({ name: 'fake' });
    },
    log: /"two"[^\n]*\n[^\n]*! an answer to no command, ignored/,
  },
  {
    peer: 'answers too late',
    fake: onStop(({ id }, peer) => {
      setTimeout(() => peer.send(answer(id, 'late')), 100);
      return '';
    }),
    use: async (session) => {
      await expect(session.command('stop', {}, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'qmp.timeout' });
      await expect.poll(log).toMatch(/! a late answer, ignored/);
      expect(await session.command('query-name')).toEqual({ name: 'fake' });
    },
  },
  {
    peer: 'answers in another language',
    fake: onStop(() => 'what?\n'),
    use: stop,
    error: { code: 'qmp.damaged', message: expect.stringContaining('what?') },
  },
  {
    peer: 'floods without a newline',
    fake: onStop(() => 'x'.repeat(MAX_LINE + 1)),
    use: (session) => session.command('stop'),
    error: { code: 'qmp.too-long', exitCode: 5 },
  },
  {
    peer: 'sends empty lines and spaces',
    fake: onStop(({ id }) => `\r\n\n   \r\n${answer(id)}`),
    use: stop,
  },
  {
    peer: 'nests without end',
    fake: onStop(() => `{"return": ${'['.repeat(100_000)}\n`),
    use: stop,
    error: { code: 'qmp.damaged' },
  },
  {
    peer: 'sends its schema without a wanted command',
    fake: { schema: { qmp_capabilities: {}, 'query-qmp-schema': {}, cont: {} } },
    use: async (session, server) => {
      expect(await session.has('stop')).toBe(false);
      const asked = server.asked.length;
      const error = await errorOf(stop(session));
      expect(server.asked).toHaveLength(asked);
      throw error;
    },
    error: {
      code: 'qmp.unsupported',
      message: 'Cannot stop in QEMU: QEMU 7.2.22 does not know the command',
      hint: 'Install a newer QEMU.',
    },
  },
  {
    peer: 'has a schema that is none',
    fake: { onCommand: ({ execute, id }) => (execute === 'query-qmp-schema' ? answer(id, { x: 1 }) : undefined) },
    use: (session) => session.has('stop'),
    error: { code: 'qmp.schema' },
  },
  {
    peer: 'has a schema without end',
    fake: {
      onCommand: ({ execute, id }) =>
        execute === 'query-qmp-schema'
          ? answer(
              id,
              Array.from({ length: 30_000 }, () => ({ name: 'a' })),
            )
          : undefined,
    },
    use: (session) => session.has('stop'),
    error: { code: 'qmp.schema', message: expect.stringContaining('30000 entries') },
  },
];

test.each(ROWS)('a peer that $peer', async ({ fake, use, error, log: expected }) => {
  const start = performance.now();
  const outcome = withPeer(fake, async (session, server) => use?.(session, server));
  if (error === undefined) await outcome;
  else expect(await errorOf(outcome)).toMatchObject(error);
  expect(performance.now() - start).toBeLessThan(QUICK);
  if (expected !== undefined) expect(await log()).toMatch(expected);
});

test('a stream damaged anywhere ends in an answer or in an error of our own', async () => {
  for (let seed = 0; seed < 150; seed++) {
    const next = random(seed);
    const mangle = (text: string): string => Buffer.from(mutate(Buffer.from(text), next)).toString('latin1');
    const fake: FakeQmp =
      seed % 3 === 0
        ? { greeting: mangle(GREETING) }
        : onStop(({ id }) => mangle(event('STOP') + answer(id) + event('RESUME')));
    await using server = await fakeQmp(fake);
    const outcome = await (async () => {
      await using session = await connect(server, { greetingMs: 40, log: undefined });
      return await session.command('stop', {}, { timeoutMs: 40 });
    })().catch((error) => error);
    if (outcome instanceof Error) expect(isComposeError(outcome)).toBe(true);
  }
}, 240_000);

test.each([
  ['is not there', '/nonexistent/qmp', 'ENOENT'],
  ['has a path no socket can have', `/tmp/${'x'.repeat(200)}`, ''],
])('a socket that %s is told from one that QEMU closed', async (_, path, why) => {
  const error = await errorOf(QmpSession.connect(path, { signal: live }));
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

// --- events ---

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

// --- secrets, the log ---

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
  await withPeer({ onCommand, schema }, async (session) => {
    const ask = (): Promise<unknown> =>
      session.command('query-blockstats', {}, { routine: true, timeoutMs: asked < 4 ? 3000 : 30 });
    for (const mark of ['answer-1', 'answer-2', 'answer-3']) expect(await ask()).toEqual([{ mark }]);
    await session.command('query-name');
    await expect.poll(log).toContain('"name":"fake"');
    expect(await log()).not.toMatch(/blockstats|answer-/);
    expect(await errorOf(ask())).toMatchObject({ code: 'qmp.refused' });
    expect(await errorOf(ask())).toMatchObject({ code: 'qmp.timeout' });
    await expect.poll(log).toMatch(/< .*answer-late.*\n.*! a late answer/);
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
  await using session = await connect(server, { log: join(folder, 'no/such/folder/qmp.log') });
  expect(await session.command('query-name')).toEqual({ name: 'fake' });
});
