import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import {
  answer,
  event,
  type FakeQmp,
  type FakeQmpServer,
  failure,
  fakeQmp,
  GREETING,
} from '../../fixtures/fake-qmp.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { closed, errorOf, onStop, qmpSessions, stop } from '../../fixtures/qmp-sessions.ts';
import { isComposeError } from '../../src/errors.ts';
import { MAX_LINE } from '../../src/formats/qmp.ts';
import type { QmpSession } from '../../src/machine/qmp.ts';

useRunningTime();

const sessions = qmpSessions();
const { connect, log, withPeer } = sessions;

/** What a peer may take to be found out; each limit below is far under it. */
const QUICK = 5000;

interface Row {
  readonly peer: string;
  readonly fake: FakeQmp;
  /** What is done with a session that stands; left out where none comes to be. */
  readonly use?: (session: QmpSession, server: FakeQmpServer) => Promise<unknown>;
  /** Of the error that connecting, or `use`, ends in. */
  readonly error?: Readonly<Record<string, unknown>>;
  readonly log?: RegExp;
}

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
