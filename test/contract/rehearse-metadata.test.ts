import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { quietContext } from '../../src/events.ts';
import { type MetadataService, serveMetadata } from '../../src/rehearse/metadata-server.ts';
import type { StatusEvent } from '../../src/rehearse/status-event.ts';

const METADATA = {
  instanceId: 'x7ab3q',
  hostname: 'node.maas',
  publicKeys: ['ssh-ed25519 AAAA one', 'ssh-ed25519 BBBB two'],
  userData: '#cloud-config\n{}\n',
  vendorData: 'cloud-init: "#cloud-config"\n',
};

let service: MetadataService;
const told: StatusEvent[] = [];
beforeEach(async () => {
  told.length = 0;
  service = await serveMetadata(METADATA, quietContext(), (event) => told.push(event));
});
afterEach(() => service[Symbol.asyncDispose]());

/** The header as oauthlib 3.2 writes it for cloud-init: PLAINTEXT, no consumer secret. */
function signature(change: Readonly<Record<string, string>> = {}): string {
  const { consumerKey, tokenKey, tokenSecret } = service.token;
  const fields = {
    oauth_nonce: '13245768970123456789',
    oauth_timestamp: '1764000000',
    oauth_version: '1.0',
    oauth_signature_method: 'PLAINTEXT',
    oauth_consumer_key: consumerKey,
    oauth_token: tokenKey,
    oauth_signature: `%26${tokenSecret}`,
    ...change,
  };
  const text = Object.entries(fields).filter(([, value]) => value !== '');
  return `OAuth ${text.map(([key, value]) => `${key}="${value}"`).join(', ')}`;
}

const ask = (path: string, authorization: string | undefined = signature()): Promise<Response> =>
  fetch(`${service.hostUrl}${path}`, { headers: authorization === '' ? {} : { authorization } });

describe('what a machine asks', () => {
  test.each([
    ['2012-03-01/meta-data/instance-id', 'x7ab3q'],
    ['/2012-03-01/meta-data/local-hostname', 'node.maas'],
    ['2012-03-01/meta-data/public-keys', 'ssh-ed25519 AAAA one\nssh-ed25519 BBBB two'],
    ['latest/meta-data/vendor-data', 'cloud-init: "#cloud-config"\n'],
    ['2012-03-01/user-data', '#cloud-config\n{}\n'],
    ['', '2012-03-01\nlatest'],
    ['2012-03-01/', 'maas-commissioning-scripts\nmeta-data\nuser-data'],
    ['latest/meta-data/', 'instance-id\nlocal-hostname\npublic-keys\nvendor-data\nx509'],
  ])('is answered as MAAS answers it: %s', async (path, text) => {
    const answer = await ask(`/MAAS/metadata/${path}`);
    expect([answer.status, await answer.text()]).toEqual([200, text]);
    expect(answer.headers.get('date'), 'a client with a wrong clock needs it').not.toBeNull();
  });

  test.each(['2011-01-01/user-data', 'latest/meta-data/nothing', 'latest/meta-data/instance-id/more'])(
    'is 404 where MAAS has nothing: %s',
    async (path) => {
      expect((await ask(`/MAAS/metadata/${path}`)).status).toBe(404);
    },
  );

  test('is refused to whoever does not sign, or signs by another token', async () => {
    const path = '/MAAS/metadata/2012-03-01/meta-data/instance-id';
    const refused = [
      '',
      'Basic eDp5',
      signature({ oauth_token: 'another' }),
      signature({ oauth_consumer_key: 'another' }),
      signature({ oauth_signature: '%26another' }),
      signature({ oauth_signature: '' }),
      signature({ oauth_nonce: '' }),
      signature({ oauth_timestamp: 'noon' }),
      signature({ oauth_signature_method: 'HMAC-SHA1' }),
    ];
    for (const header of refused) expect((await ask(path, header)).status, header).toBe(401);
    expect((await ask(path)).status).toBe(200);
    expect(service.requests.map(({ status }) => status)).toEqual([...refused.map(() => 401), 200]);
    expect(service.requests[0]).toMatchObject({ item: 'meta-data/instance-id', signed: 'unsigned' });
  });

  test('is taken with a realm before it, as older clients send it', async () => {
    const header = signature().replace('OAuth ', 'OAuth realm="", ');
    expect((await ask('/MAAS/metadata/latest/user-data', header)).status).toBe(200);
  });
});

describe('what a machine reports', () => {
  const post = (body: string | Uint8Array, authorization = signature(), path = `status/${METADATA.instanceId}`) =>
    fetch(`${service.hostUrl}/MAAS/metadata/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
      body: body as string,
    });
  const event = { event_type: 'finish', origin: 'cloudinit', name: 'modules-final', description: 'running modules' };

  test('is kept in order, results and files read', async () => {
    const content = Buffer.from('a log\n').toString('base64');
    const files = [{ path: '/var/log/x', encoding: 'base64', content }];
    expect((await post(JSON.stringify({ ...event, event_type: 'start' }))).status).toBe(204);
    expect((await post(JSON.stringify({ ...event, result: 'FAILURE', timestamp: 1.5, files }))).status).toBe(204);
    expect(told).toEqual(service.events);
    expect(service.events.map(({ type, result }) => [type, result])).toEqual([
      ['start', undefined],
      ['finish', 'FAIL'],
    ]);
    expect(service.events[1]?.files).toEqual([{ path: '/var/log/x', text: 'a log\n' }]);
  });

  test.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['bytes beyond ASCII', Buffer.from(JSON.stringify({ ...event, description: 'é' }))],
    ['no name', JSON.stringify({ ...event, name: undefined })],
  ])('is 400 for %s', async (_, body) => {
    expect((await post(body)).status).toBe(400);
    expect(service.events).toEqual([]);
  });

  test('needs a signature, and its own address', async () => {
    expect((await post(JSON.stringify(event), '')).status).toBe(401);
    expect((await post(JSON.stringify(event), signature(), 'status/another')).status).toBe(404);
    expect(service.events).toEqual([]);
  });

  test('takes netboot_off without a signature, as curtin sends it', async () => {
    const path = `latest/by-id/${METADATA.instanceId}/`;
    expect((await post('op=netboot_off', '', path)).status).toBe(200);
    expect((await post('op=netboot_off', '', 'latest/by-id/another/')).status).toBe(401);
  });

  test('takes the signal of older clients', async () => {
    expect((await post('op=signal&status=OK', signature(), 'latest/')).status).toBe(200);
  });

  test('too long a body is refused', async () => {
    expect((await post(`{"x": "${'y'.repeat(9 * 1024 * 1024)}"}`)).status).toBe(413);
  });
});

test('a wait ends with the request it waits for, or with its signal', async () => {
  const asked = (): true | undefined => service.requests.some(({ item }) => item === 'user-data') || undefined;
  const seen = service.until(asked, new AbortController().signal);
  await ask('/MAAS/metadata/latest/user-data');
  expect(await seen).toBe(true);
  const controller = new AbortController();
  const never = service.until(() => undefined, controller.signal);
  controller.abort(new Error('enough'));
  await expect(never).rejects.toThrow('enough');
});

test('an image is sent with its length to whoever knows its address', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'compose-metadata-'));
  try {
    const file = join(folder, 'root.tgz');
    await writeFile(file, 'tree'.repeat(100_000));
    const url = service.offer('root.tgz', file).replace(service.guestUrl, service.hostUrl);
    const answer = await fetch(url);
    expect(answer.headers.get('content-length')).toBe('400000');
    expect((await answer.arrayBuffer()).byteLength).toBe(400_000);
    expect((await fetch(`${service.hostUrl}/images/root.tgz`)).status).toBe(404);
    expect((await fetch(`${service.hostUrl}/images/../etc/passwd`)).status).toBe(404);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('nothing listens on any address but loopback', async () => {
  const others = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  for (const { address } of others) {
    const refused = new Promise((resolve) => {
      const socket = connect(service.port, address, () => {
        socket.destroy();
        resolve(false);
      }).on('error', () => resolve(true));
    });
    expect(await refused, address).toBe(true);
  }
});
