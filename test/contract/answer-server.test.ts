import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { scrub } from '../../src/errors.ts';
import { type ComposeEvent, quietContext } from '../../src/events.ts';
import { parseRange } from '../../src/host/answer-range.ts';
import { type AnswerServer, serveAnswers } from '../../src/host/answer-server.ts';

const MIB = 1024 * 1024;
const BIG = Buffer.alloc(8 * MIB).map((_, at) => (at >> 8) ^ at);

let folder = '';
let server: AnswerServer;
let events: ComposeEvent[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-answers-'));
  await writeFile(join(folder, 'big'), BIG);
  await writeFile(join(folder, 'secret'), 'not served');
  events = [];
  const context = { signal: new AbortController().signal, emit: (event: ComposeEvent) => void events.push(event) };
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  server = await serveAnswers(
    [
      { name: 'ks.cfg', content: text('kickstart\n') },
      { name: 'sub/a name+ž', content: text('encoded') },
      { name: 'big', content: { file: join(folder, 'big') } },
      { name: 'empty', content: text('') },
    ],
    context,
  );
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** One request, its target as it is: no URL parser in between. */
function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {} } = options;
    const outgoing = request(
      { host: '127.0.0.1', port: server.port, path, method, headers, agent: false },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part)).on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }),
        );
      },
    );
    outgoing.on('error', reject).end(options.body);
  });
}

const base = (): string => new URL(server.hostUrl).pathname;
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const messages = (): string[] =>
  events.flatMap((event) => (event.type === 'log' ? [`${event.level}: ${event.message}`] : []));

test('files are served whole, by GET and HEAD, and the address is the one a guest sees', async () => {
  expect(server.guestUrl).toBe(`http://10.0.2.2:${server.port}${base()}`);
  expect(base()).toMatch(/^\/[0-9a-f]{32}\/$/);
  expect(await ask(`${base()}ks.cfg`)).toMatchObject({ status: 200, body: Buffer.from('kickstart\n') });
  const big = await ask(`${base()}big`);
  expect(digest(big.body)).toBe(digest(BIG));
  const head = await ask(`${base()}big`, { method: 'HEAD' });
  expect(head).toMatchObject({
    status: 200,
    headers: { 'content-length': String(BIG.length), 'accept-ranges': 'bytes' },
  });
  expect(head.body.length).toBe(0);
  expect(await ask(`${base()}empty`)).toMatchObject({ status: 200, headers: { 'content-length': '0' } });
  for (const path of ['sub/a%20name+%C5%BE', 'sub/a%20name%2B%c5%be', 'sub/a%20name+%C5%BE?x=1']) {
    expect((await ask(base() + path)).body.toString()).toBe('encoded');
  }
  expect(Object.fromEntries(server.asked)).toEqual({ 'ks.cfg': 1, big: 2, empty: 1, 'sub/a name+ž': 3 });
  expect(server.refused).toBe(0);
  expect(() => server.assertAsked()).not.toThrow();
  expect(messages()).toContain('info: answers: GET ks.cfg: 200, 10 bytes');
});

test('nothing else is served: no listing, no other name, no way out, no other method', async () => {
  const token = base().slice(1, -1);
  const other = token.replace(/^./, (first) => (first === '0' ? '1' : '0'));
  const wrong = [
    '/',
    '/ks.cfg',
    `/${token}`,
    base(),
    `/${other}/ks.cfg`,
    `/${token.toUpperCase().replace(/^/, 'X')}/ks.cfg`,
    `/${token}x/ks.cfg`,
    `/${token.slice(1)}/ks.cfg`,
    `${base()}secret`,
    `${base()}sub`,
    `${base()}sub/`,
    `${base()}/ks.cfg`,
    `${base()}./ks.cfg`,
    `${base()}sub/../ks.cfg`,
    `${base()}..%2fsecret`,
    `${base()}sub%2fa%20name+%C5%BE`,
    `${base()}sub%2Fa%20name+%C5%BE`,
    `${base()}sub%5ca`,
    `${base()}../secret`,
    `${base()}../../../../../../etc/passwd`,
    `${base()}%2e%2e/secret`,
    `${base()}ks.cfg%00`,
    `${base()}ks.cfg/`,
    `${base()}%zz`,
    `${base()}KS.CFG`,
    `http://127.0.0.1/${token}/ks.cfg`,
  ];
  for (const path of wrong) expect(await ask(path), path).toMatchObject({ status: 404, body: Buffer.alloc(0) });
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const refused = await ask(`${base()}ks.cfg`, { method, ...(method.startsWith('P') ? { body: 'x' } : {}) });
    expect(refused, method).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  }
  expect(server.refused).toBe(wrong.length + 5);
  expect(server.asked.size).toBe(0);
  expect(messages().join('\n')).not.toContain(token);
  expect(scrub(server.guestUrl)).not.toContain(token);
  expect(() => server.assertAsked()).toThrow(
    expect.objectContaining({
      code: 'installer.never-asked',
      exitCode: 5,
      evidence: expect.objectContaining({ refusedRequests: wrong.length + 5 }),
    }),
  );
});

const RANGES: readonly (readonly [range: string, status: number, start: number, end: number])[] = [
  ['bytes=0-9', 206, 0, 10],
  ['bytes=100-', 206, 100, BIG.length],
  ['bytes=-5', 206, BIG.length - 5, BIG.length],
  [`bytes=${BIG.length - 1}-${BIG.length + 100}`, 206, BIG.length - 1, BIG.length],
  ['bytes=-99999999999', 206, 0, BIG.length],
  ['bytes=0-0,5-6', 200, 0, BIG.length],
  ['bytes=9-0', 200, 0, BIG.length],
  ['lines=1-2', 200, 0, BIG.length],
  ['bytes=-', 200, 0, BIG.length],
  ['bytes=99999999999999999999-', 200, 0, BIG.length],
  [`bytes=${BIG.length}-`, 416, 0, 0],
  ['bytes=-0', 416, 0, 0],
];
test.each(RANGES)('Range: %s is answered by %i', async (range, status, start, end) => {
  const answer = await ask(`${base()}big`, { headers: { range } });
  expect(answer.status).toBe(status);
  expect(digest(answer.body)).toBe(digest(BIG.subarray(start, end)));
  const shown = { 200: undefined, 206: `bytes ${start}-${end - 1}/${BIG.length}`, 416: `bytes */${BIG.length}` }[
    status
  ];
  expect(answer.headers['content-range']).toBe(shown);
  const conditional = await ask(`${base()}ks.cfg`, { headers: { range: 'bytes=0-1', 'if-range': '"x"' } });
  expect(conditional.status).toBe(200);
});

test('ranges of an empty file', () => {
  expect(parseRange('bytes=0-', 0)).toBe('none');
  expect(parseRange('bytes=-1', 0)).toBe('none');
  expect(parseRange(undefined, 0)).toBeUndefined();
});

test('a client that reads slowly gets all of it, in order, while others are served', async () => {
  const socket = await opened();
  socket.write(`GET ${base()}big HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  const parts: Buffer[] = [];
  let quick = 0;
  for await (const part of socket) {
    parts.push(part as Buffer);
    if (parts.length % 16 === 0) {
      quick += (await ask(`${base()}ks.cfg`)).status === 200 ? 1 : 0;
      socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 5));
      socket.resume();
    }
  }
  const whole = Buffer.concat(parts);
  expect(digest(whole.subarray(whole.indexOf('\r\n\r\n') + 4))).toBe(digest(BIG));
  expect(quick).toBeGreaterThan(3);
});

async function opened(): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

test('clients that go away in the middle leave nothing open', async () => {
  const before = (await readdir('/proc/self/fd')).length;
  for (let round = 0; round < 20; round++) {
    await new Promise<void>((resolve) => {
      const outgoing = get({ host: '127.0.0.1', port: server.port, path: `${base()}big`, agent: false }, (response) => {
        response.once('data', () => response.destroy());
        response.once('close', resolve);
      });
      outgoing.on('error', () => resolve());
    });
  }
  expect((await ask(`${base()}ks.cfg`)).status).toBe(200);
  await expect.poll(async () => (await readdir('/proc/self/fd')).length).toBeLessThanOrEqual(before + 2);
});

test('ten thousand bytes of headers are taken, more are refused, and so is what is no HTTP', async () => {
  expect((await ask(`${base()}ks.cfg`, { headers: { 'x-long': 'x'.repeat(10_000) } })).status).toBe(200);
  for (const text of [
    `GET ${base()}ks.cfg HTTP/1.1\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`,
    '\0\x01\x02 nonsense\r\n\r\n',
    'GET\r\n\r\n',
  ]) {
    const socket = await opened();
    socket.on('error', () => {});
    socket.write(text, 'latin1');
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
  }
  expect((await ask(`${base()}ks.cfg`)).status).toBe(200);
  expect(server.refused).toBe(3);
});

test('it ends with the build: open connections are closed, also idle and stuck ones', async () => {
  const idle = await opened();
  const stuck = await opened();
  for (const socket of [idle, stuck]) socket.on('error', () => {});
  stuck.write(`GET ${base()}big HTTP/1.1\r\nhost: x\r\n\r\n`);
  await new Promise((resolve) => stuck.once('readable', resolve));
  const closed = Promise.all(
    [idle, stuck].map(
      (socket) =>
        new Promise((resolve) => {
          socket.once('close', resolve);
        }),
    ),
  );
  await server[Symbol.asyncDispose]();
  idle.resume();
  stuck.resume();
  await closed;
  await expect(ask('/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('an abort ends it as well', async () => {
  const abort = new AbortController();
  const own = await serveAnswers([{ name: 'a', content: new Uint8Array(1) }], quietContext(abort.signal));
  abort.abort();
  await new Promise((resolve) => setImmediate(resolve));
  await expect(fetch(own.hostUrl)).rejects.toThrow();
  await own[Symbol.asyncDispose]();
  await expect(serveAnswers([], quietContext(abort.signal))).rejects.toThrow();
});

test('a file that becomes shorter ends the connection, not the server', async () => {
  await truncate(join(folder, 'big'), MIB);
  await expect(ask(`${base()}big`)).rejects.toThrow();
  expect((await ask(`${base()}ks.cfg`)).status).toBe(200);
});

test('it listens on the loopback address alone', async () => {
  const others = Object.values(networkInterfaces())
    .flat()
    .filter((address) => address !== undefined && !address.internal && address.family === 'IPv4');
  for (const address of others) {
    const refused = new Promise((resolve) => {
      const socket = connect(server.port, address?.address ?? '');
      socket.once('error', () => resolve(true)).once('connect', () => resolve(socket.destroy() && false));
    });
    expect(await refused).toBe(true);
  }
});

test('files that cannot be served are refused before anything listens', async () => {
  const none = serveAnswers([{ name: 'a', content: { file: join(folder, 'none') } }], quietContext());
  await expect(none).rejects.toMatchObject({ code: 'answers.file', exitCode: 2 });
  const directory = serveAnswers([{ name: 'a', content: { file: folder } }], quietContext());
  await expect(directory).rejects.toMatchObject({ code: 'answers.file' });
  for (const name of ['', '/a', 'a/', 'a/../b', '.', 'a//b']) {
    const wrong = serveAnswers([{ name, content: new Uint8Array(0) }], quietContext());
    await expect(wrong, name).rejects.toMatchObject({ code: 'answers.name' });
  }
  const twice = { name: 'a', content: new Uint8Array(0) };
  await expect(serveAnswers([twice, twice], quietContext())).rejects.toMatchObject({ code: 'answers.name' });
});
