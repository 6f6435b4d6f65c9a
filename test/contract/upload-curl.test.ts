import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { fakeMaas } from '../../fixtures/fake-maas.ts';
import { KEY, KEY_TEXT } from '../../fixtures/fake-maas-auth.ts';
import { plannedFaults } from '../../fixtures/fake-maas-faults.ts';
import { digestOf, gzipLike, type UploadPlace, uploadPlace } from '../../fixtures/upload-place.ts';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);
const page = readFileSync(join(packageRoot(), 'docs/maas.md'), 'utf8');
const script = /```bash\n([\s\S]*?)```/.exec(page)?.[1] ?? '';

let place: UploadPlace;
let large = '';
let home = '';
beforeAll(async () => {
  place = await uploadPlace();
  large = await place.add('large.tar.gz', gzipLike(5 * 1024 * 1024 + 17, 7), { name: 'large-amd64', title: 'Large' });
  home = await mkdtemp(join(tmpdir(), 'compose-home-'));
});
afterAll(async () => {
  await place[Symbol.asyncDispose]();
  await rm(home, { recursive: true, force: true });
});

const noProxy = { http_proxy: '', https_proxy: '', HTTP_PROXY: '', HTTPS_PROXY: '' };
const env = (url: string): NodeJS.ProcessEnv => ({ ...noProxy, HOME: home, MAAS_URL: url, MAAS_API_KEY: KEY_TEXT });

test('the commands of the page give a MAAS the same state as compose does', async () => {
  await using byCurl = await fakeMaas();
  await using byCompose = await fakeMaas();
  const names = { FILE: large, NAME: 'large-amd64', TITLE: 'Large' };
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
    env: { ...process.env, ...env(byCurl.url), ...names },
    maxBuffer: 1024 * 1024,
  });
  expect(stdout).toContain('"complete":true');
  const { status, stderr } = await compose(['upload', large], { env: env(byCompose.url) });
  expect({ status, said: status === 0 ? '' : stderr }).toEqual({ status: 0, said: '' });
  expect(byCompose.state()).toEqual(byCurl.state());
  const requests = (maas: typeof byCurl): string[] =>
    maas.requests
      .filter(({ method }) => method !== 'GET')
      .map(({ method, path, status: code }) => `${method} ${path} ${code}`);
  expect(requests(byCompose)).toEqual(requests(byCurl));
}, 60_000);

test('the command tells what it did, as text and as JSON, without the key', async () => {
  await using maas = await fakeMaas();
  const first = await compose(['upload', place.artifact, '--log', 'ndjson'], { env: env(maas.url) });
  expect(first.status).toBe(0);
  expect(first.stdout).toContain(`sha256 ${place.sha256}  web-amd64`);
  const again = await compose(['upload', place.artifact, '--json'], { env: env(maas.url) });
  expect(JSON.parse(again.stdout)).toMatchObject({
    maas: { version: '3.5.4' },
    images: [{ state: 'same', sha256: place.sha256 }],
  });
  const list = await compose(['upload', '--list'], { env: env(maas.url) });
  expect(list.stdout).toMatch(
    /web-amd64 +amd64\/generic +root-tgz +4\.39 KiB +20260101 +complete +Web node +ubuntu\/noble/,
  );
  const gone = await compose(['upload', '--delete', 'web-amd64'], { env: env(maas.url) });
  expect(gone.stdout).toBe('deleted web-amd64 (amd64/generic)\n');
  expect(maas.state()).toEqual([]);
  for (const { stdout, stderr } of [first, again, list, gone]) expect(stdout + stderr).not.toContain(KEY.secret);
});

test('a failure ends with status 9, the code and what to do; the key is in none of it, not even with the stack', async () => {
  await using maas = await fakeMaas({ administrator: false });
  const { status, stderr } = await compose(['upload', place.artifact, '--debug'], { env: env(maas.url) });
  expect(status).toBe(9);
  expect(stderr).toContain('publish.forbidden');
  expect(stderr).not.toContain(KEY.secret);
  expect(stderr).not.toContain(KEY.token);
});

test('a dry run sends nothing and prints the maas command', async () => {
  const { status, stdout } = await compose(['upload', place.artifact, '--dry-run', '--profile', 'admin'], {
    env: noProxy,
  });
  expect(status).toBe(0);
  expect(stdout).toBe(
    `maas admin boot-resources create name=web-amd64 'title=Web node' architecture=amd64/generic filetype=tgz base_image=ubuntu/noble sha256=${place.sha256} size=4500 content@=${place.artifact}\n`,
  );
  const refused = await compose(['upload', place.artifact, '--dry-run', '--base-image', 'suse/15'], { env: noProxy });
  expect(refused.status).toBe(9);
  expect(refused.stderr).toContain('publish.base-image');
});

test('an interrupted command leaves nothing in MAAS and ends with status 130', async () => {
  let puts = 0;
  const stop = new AbortController();
  const faults = (method: string): undefined => {
    if (method === 'PUT' && ++puts === 2) stop.abort();
  };
  await using maas = await fakeMaas({ faults });
  const file = join(home, 'pid');
  await writeFile(file, '');
  const command = `echo $$ > ${file}; exec "$@"`;
  const main = join(packageRoot(), 'dist/src/cli/main.js');
  const running = run('sh', ['-c', command, 'sh', process.execPath, main, 'upload', large], {
    env: { ...process.env, ...env(maas.url) },
  });
  stop.signal.addEventListener('abort', () => process.kill(Number(readFileSync(file, 'utf8')), 'SIGINT'));
  await expect(running).rejects.toMatchObject({ code: 130 });
  expect(maas.state()).toEqual([]);
});

test('what MAAS has after a break is what was sent', async () => {
  await using maas = await fakeMaas({ faults: plannedFaults([[/^PUT/, 'drop-within']]) });
  const { status, stderr } = await compose(['upload', large], { env: env(maas.url) });
  expect(status).toBe(0);
  expect(stderr).toContain('going on at 0');
  const [image] = maas.state() as { sets: { bytes: string }[] }[];
  expect(digestOf(Buffer.from(image?.sets[0]?.bytes ?? '', 'base64'))).toBe(
    digestOf(gzipLike(5 * 1024 * 1024 + 17, 7)),
  );
});

test.each([
  [['upload'], 'upload.what'],
  [['upload', '--list', '--delete', 'x'], 'upload.what'],
  [['upload', '--list'], 'publish.login'],
])('%j is told what it lacks', async (args, code) => {
  const { status, stderr } = await compose(args, { env: { ...noProxy, HOME: home, MAAS_URL: '', MAAS_API_KEY: '' } });
  expect(status).toBe(2);
  expect(stderr).toContain(code);
});
