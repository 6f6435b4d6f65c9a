import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LineSplitter, MAX_LINE, parseQmp } from '../../src/formats/qmp.ts';
import { QmpSession } from '../../src/machine/qmp.ts';

const GREETING = '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}}, "capabilities": []}}\n';

let folder = '';
let server: Server;
let onConnect: (socket: Socket) => void;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qmp-'));
  server = createServer((socket) => {
    socket.on('error', () => {});
    onConnect(socket);
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 's'), resolve));
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

const signal = new AbortController().signal;
const connect = (options: object = {}): Promise<QmpSession> =>
  QmpSession.connect(join(folder, 's'), { signal, greetingMs: 400, log: join(folder, 'log'), ...options });

/** Answers each command by `reply`, as soon as its line is whole. */
function serve(socket: Socket, reply: (command: { execute: string; id: number }) => string): void {
  socket.write(GREETING);
  const splitter = new LineSplitter();
  socket.on('data', (data) => {
    for (const line of splitter.push(data)) socket.write(reply(JSON.parse(line)));
  });
}

test('a session negotiates, answers by id, and logs both directions', async () => {
  onConnect = (socket) => serve(socket, ({ id, execute }) => `{"return": {"did": "${execute}"}, "id": ${id}}\n`);
  await using session = await connect();
  expect(session.version).toBe('7.2.22');
  expect(await session.command('query-status', {})).toEqual({ did: 'query-status' });
  const log = await readFile(join(folder, 'log'), 'utf8');
  expect(log).toMatch(/> .*qmp_capabilities[\s\S]*< .*did/);
});

test('answers out of order reach the commands they belong to', async () => {
  const held: string[] = [];
  onConnect = (socket) =>
    serve(socket, ({ id, execute }) => {
      const answer = `{"return": "${execute}", "id": ${id}}\n`;
      if (execute === 'qmp_capabilities') return answer;
      held.unshift(answer);
      return held.length === 2 ? held.join('') : '';
    });
  await using session = await connect();
  expect(await Promise.all([session.command('stop', {}), session.command('cont', {})])).toEqual(['stop', 'cont']);
});

test('an error of QEMU names the command and the reason', async () => {
  onConnect = (socket) =>
    serve(socket, ({ id, execute }) =>
      execute === 'stop'
        ? `{"error": {"class": "GenericError", "desc": "no"}, "id": ${id}}\n`
        : `{"return": {}, "id": ${id}}\n`,
    );
  await using session = await connect();
  await expect(session.command('stop', {})).rejects.toThrow('Cannot stop in QEMU: no (GenericError)');
});

test.each([
  ['closes before the greeting', (socket: Socket) => void socket.end(), 'qmp.closed'],
  ['says nothing', () => {}, 'qmp.no-greeting'],
])('a peer that %s is an error, not a hang', async (_, peer, code) => {
  onConnect = peer;
  await expect(connect()).rejects.toMatchObject({ code });
});

test('a peer that speaks another language is refused', async () => {
  onConnect = (socket) => void socket.write('SSH-2.0-x\r\n');
  await expect(connect()).rejects.toThrow('not a message of it');
});

test('commands under way are rejected when the peer goes, and later ones at once', async () => {
  onConnect = (socket) =>
    serve(socket, ({ id, execute }) => {
      if (execute !== 'stop') return `{"return": {}, "id": ${id}}\n`;
      socket.destroy();
      return '';
    });
  await using session = await connect();
  await expect(session.command('stop', {})).rejects.toMatchObject({ code: 'qmp.closed' });
  await expect(session.command('cont', {})).rejects.toMatchObject({ code: 'qmp.closed' });
});

test('a command without an answer ends by its own limit', async () => {
  onConnect = (socket) =>
    serve(socket, ({ id, execute }) => (execute === 'stop' ? '' : `{"return": {}, "id": ${id}}\n`));
  await using session = await connect();
  await expect(session.command('stop', {}, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'qmp.timeout' });
});

test('events reach their listeners until they are disposed', async () => {
  let peer: Socket | undefined;
  onConnect = (socket) => {
    peer = socket;
    serve(
      socket,
      ({ id }) =>
        `{"event": "RESET", "data": {"guest": true}, "timestamp": {"seconds": 1, "microseconds": 2}}\n{"return": {}, "id": ${id}}\n`,
    );
  };
  await using session = await connect();
  const seen: string[] = [];
  const listening = session.onEvent((event) => seen.push(`${event.event} ${event.data.guest} ${event.at}`));
  await session.command('cont', {});
  listening[Symbol.dispose]();
  await session.command('cont', {});
  expect(peer).toBeDefined();
  expect(seen).toEqual(['RESET true 1000002']);
});

test('lines arrive whole however they were cut', () => {
  const bytes = Buffer.from(`${GREETING}{"return": "ü"}\n`);
  for (let size = 1; size < bytes.length; size++) {
    const splitter = new LineSplitter();
    const lines: string[] = [];
    for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)));
    expect(lines).toEqual([GREETING.trim(), '{"return": "ü"}']);
  }
});

test('a line without an end is cut off before it fills the memory', () => {
  const splitter = new LineSplitter();
  const megabyte = new Uint8Array(1024 * 1024).fill(0x20);
  expect(() => {
    for (let i = 0; i <= MAX_LINE / megabyte.length; i++) splitter.push(megabyte);
  }).toThrow('longer than');
});

test.each(['[]', '3', '{"x": 1}', '{', 'null'])('%s is no message', (line) =>
  expect(() => parseQmp(line)).toThrow('not a message'),
);
