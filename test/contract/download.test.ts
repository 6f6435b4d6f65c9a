import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { quietContext } from '../../src/events.ts';
import { fetchMedia, findDigest } from '../../src/host/download.ts';

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31) & 0xff));
const SHA512 = createHash('sha512').update(CONTENT).digest('hex');

let store = '';
let server: Server;
let requests: { url: string; range: string | undefined }[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  for (const name of ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY']) vi.stubEnv(name, '');
  store = await mkdtemp(join(tmpdir(), 'compose-store-'));
  requests = [];
  server = createServer((request, response) => {
    requests.push({ url: request.url ?? '', range: request.headers.range });
    if (request.url === '/SHA512SUMS') response.end(`${SHA512}  disk.qcow2\n`);
    else answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(store, { recursive: true, force: true });
});

const url = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
const fetchDisk = (value?: string): ReturnType<typeof fetchMedia> =>
  fetchMedia(
    { url: url('/disk.qcow2'), digest: { algorithm: 'sha512', ...(value ? { value } : { sums: url('/SHA512SUMS') }) } },
    quietContext(),
    store,
  );

test('a file is checked by its list, kept by its digest, and not fetched twice', async () => {
  answer = (_, response) => response.end(CONTENT);
  const first = await fetchDisk();
  expect(first).toMatchObject({ digest: SHA512, size: CONTENT.length, fromCache: false });
  expect(await readFile(first.path)).toEqual(CONTENT);
  expect(await fetchDisk()).toMatchObject({ fromCache: true, path: first.path });
  expect(requests.filter((request) => request.url === '/disk.qcow2')).toHaveLength(1);
});

test('a broken transfer goes on where it stopped', async () => {
  answer = (request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, { etag: '"v1"', 'content-length': CONTENT.length - start });
    if (start === 0) response.write(CONTENT.subarray(0, 100_000), () => response.socket?.end());
    else response.end(CONTENT.subarray(start));
  };
  const media = await fetchDisk();
  expect(await readFile(media.path)).toEqual(CONTENT);
  expect(requests.at(-1)?.range).toMatch(/^bytes=[1-9]\d*-$/);
});

test('a server that always stops early is called truncated, not a wrong checksum', async () => {
  answer = (_, response) => {
    response.writeHead(200, { 'content-length': CONTENT.length });
    response.write(CONTENT.subarray(0, 10), () => response.destroy());
  };
  await expect(fetchDisk()).rejects.toMatchObject({ code: 'download.truncated', exitCode: 4 });
});

test('a page that says 404 is no image', async () => {
  answer = (_, response) => response.writeHead(404).end('<html>not here</html>');
  await expect(fetchDisk()).rejects.toMatchObject({ code: 'download.http', exitCode: 4 });
});

test('a wrong checksum keeps the file, so that mending the expectation needs no second download', async () => {
  answer = (_, response) => response.end(CONTENT);
  await expect(fetchDisk('0'.repeat(128))).rejects.toMatchObject({ code: 'download.checksum', exitCode: 4 });
  expect(await readdir(store)).toEqual([`sha512-${SHA512}`]);
  expect(await fetchDisk(SHA512)).toMatchObject({ fromCache: true });
});

test('a list without the file is said so', async () => {
  answer = (_, response) => response.end(CONTENT);
  const request = { url: url('/other.qcow2'), digest: { algorithm: 'sha512', sums: url('/SHA512SUMS') } } as const;
  await expect(fetchMedia(request, quietContext(), store)).rejects.toMatchObject({ code: 'sums.missing' });
});

test('a list beside its one file may call that by the name of its build', async () => {
  const answers: Record<string, string | Buffer> = {
    '/x-DVD-Media.iso': CONTENT,
    '/x-DVD-Media.iso.sha512': `${SHA512}  x-DVD-Build710.3-Media.iso\n`,
    '/two.iso.sha512': `${SHA512}  a.iso\n${SHA512}  b.iso\n`,
  };
  answer = (request, response) => response.end(answers[request.url ?? '']);
  const fetched = (path: string, sums: string): ReturnType<typeof fetchMedia> =>
    fetchMedia({ url: url(path), digest: { algorithm: 'sha512', sums: url(sums) } }, quietContext(), store);
  await expect(fetched('/two.iso', '/two.iso.sha512')).rejects.toMatchObject({ code: 'sums.missing' });
  expect(await fetched('/x-DVD-Media.iso', '/x-DVD-Media.iso.sha512')).toMatchObject({ digest: SHA512 });
});

test('a server that cannot be reached is said so', async () => {
  const request = { url: 'http://127.0.0.1:1/x', digest: { algorithm: 'sha256', value: '0'.repeat(64) } } as const;
  await expect(fetchMedia(request, quietContext(), store)).rejects.toMatchObject({ code: 'download.transport' });
});

test.each([
  [`${'a'.repeat(64)}  x.img`, 'GNU text'],
  [`${'a'.repeat(64)} *x.img`, 'GNU binary'],
  [`SHA256 (x.img) = ${'a'.repeat(64)}`, 'BSD'],
  [`${'A'.repeat(64)}  ./x.img`, 'upper case and a folder'],
])('%s is understood (%s)', (line) => expect(findDigest(`other\n${line}\n`, 'x.img')).toBe('a'.repeat(64)));

test('several that want a file at once share one download, and its end when it is another file', async () => {
  answer = (_, response) => response.end(CONTENT);
  const all = await Promise.all([fetchDisk(), fetchDisk(SHA512), fetchDisk()]);
  expect(new Set(all.map(({ path }) => path)).size).toBe(1);
  const downloads = (): number => requests.filter((request) => request.url === '/disk.qcow2').length;
  expect(downloads()).toBe(1);
  const wrong = 'ab'.repeat(64);
  const refused = await Promise.allSettled([fetchDisk(wrong), fetchDisk(wrong)]);
  for (const one of refused) expect(one).toMatchObject({ reason: { code: 'download.checksum' } });
  expect(downloads()).toBe(2);
  expect((await readdir(store)).filter((name) => name.includes('.part'))).toEqual([]);
});
