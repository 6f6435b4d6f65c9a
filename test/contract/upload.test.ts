import { execFile } from 'node:child_process';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeMaasOptions, fakeMaas } from '../../fixtures/fake-maas.ts';
import { KEY, KEY_TEXT } from '../../fixtures/fake-maas-auth.ts';
import { plannedFaults } from '../../fixtures/fake-maas-faults.ts';
import { serveProxy } from '../../fixtures/http-servers.ts';
import { gzipLike, QUICK, type UploadPlace, uploadPlace } from '../../fixtures/upload-place.ts';
import { type ComposeEvent, quietContext } from '../../src/events.ts';
import { listImages } from '../../src/publish/images.ts';
import { upload } from '../../src/publish/upload.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;

let place: UploadPlace;
beforeAll(async () => {
  place = await uploadPlace();
});
afterAll(() => place[Symbol.asyncDispose]());
beforeEach(() => {
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'])
    vi.stubEnv(name, '');
});

/** Fields of the one image of a fake. */
const held = (maas: { state: () => unknown[] }): unknown => maas.state()[0];

test.each(['3.3.9', '3.5.4', '3.8.0'])('an artifact and its record become an image of MAAS %s', async (version) => {
  await using maas = await fakeMaas({ version });
  const report = await upload(place.options(maas.url), quietContext());
  expect(report.maas).toEqual({ url: `${maas.url}/api/2.0/`, version });
  expect(report.images).toMatchObject([{ name: 'web-amd64', state: 'uploaded', sha256: place.sha256, size: 4500 }]);
  expect(held(maas)).toMatchObject({
    name: 'web-amd64',
    architecture: 'amd64/generic',
    title: 'Web node',
    baseImage: 'ubuntu/noble',
    sets: [
      {
        filetype: 'root-tgz',
        filename: version === '3.3.9' ? 'root-tgz' : 'root.tgz',
        sha256: place.sha256,
        whole: true,
      },
    ],
  });
});

test('chunks are 4 MiB, octet streams with a length, in order on one connection, each with a nonce of its own', async () => {
  await using maas = await fakeMaas();
  const bytes = gzipLike(9 * MIB, 3);
  const path = await place.add('large.tar.gz', bytes, { name: 'large' });
  const { chunkSize: _small, ...pace } = QUICK;
  await upload(place.options(maas.url, { artifacts: [path], limits: pace }), quietContext());
  const puts = maas.requests.filter(({ method }) => method === 'PUT');
  expect(puts.map(({ length }) => length)).toEqual([4 * MIB, 4 * MIB, MIB]);
  for (const { headers } of puts) {
    expect(headers['content-type']).toBe('application/octet-stream');
    expect(headers['transfer-encoding']).toBeUndefined();
  }
  expect(puts.map(({ headers }) => headers['content-length'])).toEqual([4 * MIB, 4 * MIB, MIB].map(String));
  expect(new Set(maas.requests.map(({ connection }) => connection)).size).toBe(1);
  const nonces = maas.requests.map(({ headers }) => /oauth_nonce="(\w+)"/.exec(headers.authorization ?? '')?.[1]);
  expect(new Set(nonces).size).toBe(maas.requests.length);
});

test('a file of exactly two chunks has no empty third', async () => {
  await using maas = await fakeMaas();
  const path = await place.add('even.tar.gz', gzipLike(2000, 4), { name: 'even' });
  await upload(place.options(maas.url, { artifacts: [path] }), quietContext());
  expect(maas.requests.filter(({ method }) => method === 'PUT').map(({ length }) => length)).toEqual([1000, 1000]);
});

test('a proxy that takes less than a chunk gets smaller ones, and what it refused is not sent twice', async () => {
  await using maas = await fakeMaas({ bodyLimit: 70_000 });
  const path = await place.add('half.tar.gz', gzipLike(200_000, 5), { name: 'half' });
  const limits = { ...QUICK, chunkSize: 128 * 1024 };
  await upload(place.options(maas.url, { artifacts: [path], limits }), quietContext());
  const puts = maas.requests.filter(({ method }) => method === 'PUT');
  expect(puts.map(({ status }) => status)).toEqual([413, 200, 200, 200, 200]);
});

test('one region after another: the image is deployable when all have it, and that is waited for', async () => {
  await using maas = await fakeMaas({ regions: 3, syncReads: 4 });
  const events: ComposeEvent[] = [];
  await upload(place.options(maas.url), { ...quietContext(), emit: (event) => events.push(event) });
  const shared = events.flatMap((event) =>
    event.type === 'progress' && event.phase === 'regions' ? [event.done] : [],
  );
  expect(shared.length).toBeGreaterThan(1);
  expect(shared).toEqual([...shared].sort((a, b) => a - b));
  expect(events).toContainEqual(expect.objectContaining({ type: 'phase', phase: 'regions', state: 'done' }));
});

test('regions that never share an image end the waiting; the image stays, for its bytes are all there', async () => {
  await using maas = await fakeMaas({ regions: 2, syncReads: 1_000_000 });
  const failure = upload(place.options(maas.url, { limits: { ...QUICK, stallMs: 30 } }), quietContext());
  await expect(failure).rejects.toMatchObject({ code: 'publish.stalled', exitCode: 9 });
  expect(held(maas)).toMatchObject({ sets: [{ whole: true }] });
  await using other = await fakeMaas({ regions: 2, syncReads: 1_000_000 });
  const report = await upload(place.options(other.url, { wait: false }), quietContext());
  expect(report.images[0]?.state).toBe('uploaded');
});

test('bytes that MAAS 3.4 knows by their digest are not sent again', async () => {
  await using maas = await fakeMaas({ version: '3.4.5' });
  await upload(place.options(maas.url), quietContext());
  const before = maas.requests.filter(({ method }) => method === 'PUT').length;
  await upload(place.options(maas.url, { overrides: { name: 'again-amd64' } }), quietContext());
  expect(maas.requests.filter(({ method }) => method === 'PUT')).toHaveLength(before);
  expect(maas.state()).toHaveLength(2);
});

test('MAAS 3.8 would lose bytes it has under another name: it is not given them twice', async () => {
  await using maas = await fakeMaas({ version: '3.8.0' });
  await upload(place.options(maas.url), quietContext());
  const failure = upload(place.options(maas.url, { overrides: { name: 'again-amd64' } }), quietContext());
  await expect(failure).rejects.toMatchObject({
    code: 'publish.shared-bytes',
    hint: expect.stringContaining('web-amd64'),
  });
  expect(maas.state()).toHaveLength(1);
});

test.each<[string, FakeMaasOptions, object, string]>([
  ['a key that is wrong', {}, { env: { MAAS_API_KEY: 'a1b2c3d4:e5f6g7h8:i9j0k1l2' } }, 'publish.unauthorized'],
  ['a user who is no administrator', { administrator: false }, {}, 'publish.forbidden'],
  ['a right that a user of 3.8 lacks', { administrator: false, version: '3.8.0' }, {}, 'publish.forbidden'],
])('%s ends before anything is sent', async (_, options, login, code) => {
  await using maas = await fakeMaas(options);
  const access = { ...place.options(maas.url).maas, ...login };
  await expect(upload(place.options(maas.url, { maas: access }), quietContext())).rejects.toMatchObject({
    code,
    exitCode: 9,
  });
  expect(maas.state()).toEqual([]);
});

test.each<[string, FakeMaasOptions, Record<string, string>, RegExp, RegExp]>([
  [
    'an architecture without images',
    { architectures: ['amd64/generic'] },
    { architecture: 'arm64/generic' },
    /architecture:.*not a valid/,
    /import/,
  ],
  ['a series it does not know', {}, { baseImage: 'ubuntu/wily' }, /base_image:.*not supported/, /--base-image/],
])("MAAS's refusal of %s is told with what to do", async (_, options, overrides, message, hint) => {
  await using maas = await fakeMaas(options);
  await expect(upload(place.options(maas.url, { overrides }), quietContext())).rejects.toMatchObject({
    code: 'publish.refused',
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
  expect(maas.state()).toEqual([]);
});

test('a name of the streams of this MAAS is refused before it is sent', async () => {
  await using maas = await fakeMaas({ synced: ['ubuntu/noble', 'rhel/rocky9'] });
  for (const name of ['noble', 'rhel/rocky9', 'rocky9']) {
    const failure = upload(place.options(maas.url, { overrides: { name } }), quietContext());
    await expect(failure, name).rejects.toMatchObject({ code: 'publish.reserved' });
  }
  expect(maas.requests.every(({ method }) => method === 'GET')).toBe(true);
});

test('a base image that is not imported is warned of', async () => {
  await using maas = await fakeMaas({ synced: ['ubuntu/jammy'] });
  const events: ComposeEvent[] = [];
  await upload(place.options(maas.url), { ...quietContext(), emit: (event) => events.push(event) });
  const warnings = events.flatMap((event) => (event.type === 'log' && event.level === 'warn' ? [event.message] : []));
  expect(warnings).toEqual(['ubuntu/noble is not imported for amd64: MAAS deploys web-amd64 once it is']);
});

test('clocks that differ are named as the cause', async () => {
  await using maas = await fakeMaas({ ahead: 1200 });
  const access = { url: maas.url, env: { MAAS_API_KEY: `${KEY.consumer}:${KEY.token}:wrongsecret` } };
  await expect(upload(place.options(maas.url, { maas: access }), quietContext())).rejects.toMatchObject({
    hint: expect.stringMatching(/clocks differ by (1199|1200|1201) s/),
  });
});

test('a server that is no MAAS, one that points elsewhere and none at all are told apart', async () => {
  await using maas = await fakeMaas();
  const wrong = (url: string) => upload(place.options(url, { limits: { ...QUICK, tries: 2 } }), quietContext());
  await expect(wrong(`${maas.url}/elsewhere`)).rejects.toMatchObject({ code: 'publish.not-found' });
  await expect(wrong('http://127.0.0.1:1/MAAS')).rejects.toMatchObject({ code: 'publish.unreachable' });
  await expect(wrong(maas.url.replace('http:', 'https:'))).rejects.toMatchObject({ code: 'publish.unreachable' });
  await expect(wrong('ftp://maas/MAAS')).rejects.toMatchObject({ code: 'publish.url' });
});

test('the key goes to the named address only, whatever MAAS says', async () => {
  await using elsewhere = await fakeMaas();
  await using maas = await fakeMaas();
  const { json } = maas.store;
  maas.store.json = (resource, sets) => {
    const text = JSON.stringify(json.call(maas.store, resource, sets));
    return JSON.parse(text.replaceAll('"upload_uri":"', `"upload_uri":"${new URL(elsewhere.url).origin}`)) as Record<
      string,
      unknown
    >;
  };
  await expect(upload(place.options(maas.url), quietContext())).rejects.toMatchObject({ code: 'publish.redirect' });
  expect(elsewhere.requests).toEqual([]);
  expect(maas.state()).toEqual([]);
});

describe('on the way to MAAS', () => {
  test('a proxy of the environment is used, and not where no_proxy says so', async () => {
    await using maas = await fakeMaas();
    await using proxy = await serveProxy();
    vi.stubEnv('http_proxy', proxy.url);
    await upload(place.options(maas.url), quietContext());
    expect(proxy.requests.length).toBe(maas.requests.length);
    expect(proxy.requests.every((url) => url.startsWith(maas.url))).toBe(true);
    vi.stubEnv('no_proxy', '127.0.0.1');
    await listImages({ maas: place.options(maas.url).maas }, quietContext());
    expect(proxy.requests.length).toBeLessThan(maas.requests.length);
  });

  test('a certificate of the site is trusted once its file is named, also through a proxy', async () => {
    const [cert, key] = [join(place.folder, 'cert.pem'), join(place.folder, 'key.pem')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    await run('openssl', ['req', '-x509', ...curve, '-nodes', '-days', '2', ...subject, '-keyout', key, '-out', cert]);
    await using maas = await fakeMaas({ tls: { cert, key } });
    const { maas: access } = place.options(maas.url);
    await expect(upload(place.options(maas.url), quietContext())).rejects.toMatchObject({
      code: 'publish.certificate',
    });
    await upload(place.options(maas.url, { maas: { ...access, ca: cert } }), quietContext());
    await using proxy = await serveProxy();
    vi.stubEnv('https_proxy', proxy.url);
    await listImages({ maas: { ...access, ca: cert } }, quietContext());
    expect(proxy.requests).toEqual([new URL(maas.url).host]);
    const key64 = await readFile(key, 'utf8');
    await writeFile(join(place.folder, 'no.pem'), key64);
    const failure = listImages({ maas: { ...access, ca: join(place.folder, 'no.pem') } }, quietContext());
    await expect(failure).rejects.toMatchObject({ code: 'publish.ca' });
  });
});

test('a file that is cut while it is sent leaves nothing', async () => {
  const path = await place.add('cut.tar.gz', gzipLike(5000, 6), { name: 'cut' });
  let puts = 0;
  const faults = (method: string): undefined => {
    if (method === 'PUT' && ++puts === 2) void truncate(path, 2100);
  };
  await using maas = await fakeMaas({ faults });
  await expect(upload(place.options(maas.url, { artifacts: [path] }), quietContext())).rejects.toMatchObject({
    code: 'publish.changed',
  });
  expect(maas.state()).toEqual([]);
});

test('the key is in no message, however it fails', async () => {
  await using maas = await fakeMaas({ faults: plannedFaults([[/POST/, 'error']]) });
  const events: ComposeEvent[] = [];
  const access = { url: maas.url, env: { MAAS_API_KEY: KEY_TEXT } };
  await upload(place.options(maas.url, { maas: access }), { ...quietContext(), emit: (event) => events.push(event) });
  expect(JSON.stringify(events)).not.toContain(KEY.secret);
});
