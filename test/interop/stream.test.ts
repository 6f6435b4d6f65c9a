import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { digestOf } from '../../fixtures/upload-place.ts';
import { quietContext } from '../../src/events.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { which } from '../../src/host/tools.ts';
import { type StreamOptions, type StreamReport, stream } from '../../src/publish/stream.ts';

const run = promisify(execFile);
const READER = join(packageRoot(), 'fixtures/read-stream.py');

let folder = '';
let key = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-stream-'));
  key = await secretKey('signer', '');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A secret key made by gpg, in a file. */
async function secretKey(name: string, passphrase: string): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'compose-gpg-test-'));
  // The agent would measure for seconds how hard it can make a passphrase.
  await writeFile(join(home, 'gpg-agent.conf'), 's2k-count 65536\n');
  const gpg = ['--homedir', home, '--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', passphrase];
  try {
    await run('gpg', [...gpg, '--quick-gen-key', `${name}@example`, 'ed25519', 'sign', 'never']);
    const path = join(folder, `${name}.key`);
    await run('gpg', [...gpg, '--output', path, '--armor', '--export-secret-keys']);
    return path;
  } finally {
    await run('gpgconf', ['--homedir', home, '--kill', 'all']);
    await rm(home, { recursive: true, force: true });
  }
}

/** A tgz with a Debian package database, and its record. */
async function artifact(name: string, mark: string, record: Record<string, unknown> = {}): Promise<string> {
  const tree = join(folder, `${name}-tree`);
  await mkdir(join(tree, 'etc'), { recursive: true });
  await mkdir(join(tree, 'var/lib/dpkg'), { recursive: true });
  await writeFile(join(tree, 'etc/os-release'), `ID=rocky\nVERSION_ID=9\nMARK=${mark}\n`);
  const status = 'Package: base-files\nStatus: install ok installed\nVersion: 12.4\nArchitecture: amd64\n\n';
  await writeFile(join(tree, 'var/lib/dpkg/status'), status);
  const { stdout } = await run('tar', ['-C', tree, '--sort=name', '-c', '.'], { encoding: 'buffer' });
  const bytes = gzipSync(stdout);
  const path = join(folder, `${name}.tar.gz`);
  await rm(path, { force: true });
  await writeFile(path, bytes);
  const told = {
    filetype: 'tgz',
    architecture: 'amd64/generic',
    name: 'rhel/rocky9',
    title: 'Rocky 9',
    base_image: '',
  };
  await writeFile(
    `${path}.maas.json`,
    JSON.stringify({ ...told, size: bytes.length, sha256: digestOf(bytes), ...record }),
  );
  return path;
}

const put = (out: string, artifacts: string[], more: Partial<StreamOptions> = {}): Promise<StreamReport> =>
  stream({ artifacts, out: join(folder, out), date: new Date('2026-11-21T12:00:00Z'), ...more }, quietContext());

type Found = Record<string, string | number>[];

async function read(out: string, index: string, ...keyring: string[]): Promise<Found> {
  const { stdout } = await run('python3', [READER, join(folder, out), index, ...keyring]);
  return JSON.parse(stdout) as Found;
}

test('an artifact becomes a tree in which another reader finds it, with all that MAAS 3.8 asks for', async () => {
  const path = await artifact('one', 'a');
  const report = await put('plain', [path]);
  expect(report).toMatchObject({
    signed: false,
    index: 'streams/v1/index.json',
    products: [{ state: 'added', version: '20261121' }],
  });
  const found = await read('plain', report.index);
  const [manifest, image, product] = found;
  expect(manifest).toMatchObject({ key: 'manifest', ftype: 'manifest' });
  const place = 'rhel/amd64/generic/rocky9/20261121';
  expect(image).toMatchObject({ key: 'root-tgz', ftype: 'root-tgz', path: `${place}/root-tgz` });
  expect(product).toMatchObject({
    arch: 'amd64',
    os: 'rhel',
    release: 'rocky9',
    release_title: 'Rocky 9',
    version: '9',
    label: 'stable',
    subarch: 'generic',
    subarches: 'generic',
    newest: '20261121',
  });
  // MAAS takes names with :v2: and :v3: for its Ubuntu images, and :1: for boot loaders.
  expect(product?.product).toBe('image-compose:stable:rhel:rocky9:amd64');
  expect(await readFile(join(folder, 'plain', place, 'manifest'), 'utf8')).toBe('base-files 12.4 amd64\n');
  const [own, linked] = await Promise.all([stat(path), stat(join(folder, 'plain', place, 'root-tgz'))]);
  expect(linked.ino).toBe(own.ino);
});

test('adding keeps what is there; what is there already is not added again', async () => {
  const first = await artifact('first', 'a');
  await put('grown', [first]);
  expect((await put('grown', [first])).products[0]).toMatchObject({ state: 'same', version: '20261121' });
  const second = await artifact('second', 'b');
  expect((await put('grown', [second])).products[0]).toMatchObject({ state: 'added', version: '20261121.01' });
  const arm = await artifact('arm', 'c', { architecture: 'arm64/generic' });
  const suse = await artifact('suse', 'd', { name: 'suse/sles15', title: 'SLES 15' });
  await put('grown', [arm, suse], { date: new Date('2026-11-22T12:00:00Z') });
  const products = (await read('grown', 'streams/v1/index.json')).filter(({ newest }) => newest !== undefined);
  expect(products.map(({ product, newest }) => [product, newest])).toEqual([
    ['image-compose:stable:rhel:rocky9:amd64', '20261121.01'],
    ['image-compose:stable:rhel:rocky9:arm64', '20261122'],
    ['image-compose:stable:suse:sles15:amd64', '20261122'],
  ]);
  expect(existsSync(join(folder, 'grown/rhel/amd64/generic/rocky9/20261121/root-tgz'))).toBe(true);
});

test('with a key every document is signed, and gpgv takes them by the keyring of the tree', async () => {
  const report = await put('signed', [await artifact('sealed', 'a')], { key });
  expect(report).toMatchObject({ signed: true, index: 'streams/v1/index.sjson' });
  const keyring = join(folder, 'signed/keyring.gpg');
  const found = await read('signed', report.index, keyring);
  expect(found).toHaveLength(3);
  expect(await read('signed', 'streams/v1/index.json')).toEqual(found);
  await put('signed', [await artifact('sealed-too', 'b', { name: 'ol/9.4', title: 'OL 9.4' })], { key });
  expect(await read('signed', report.index, keyring)).toHaveLength(6);
  const path = join(folder, 'signed/streams/v1/index.sjson');
  await writeFile(path, (await readFile(path, 'utf8')).replace('rocky9', 'rocky8'));
  await expect(read('signed', report.index, keyring)).rejects.toThrow(/gpgv/);
});

test('a tree that is signed is not added to without its key', async () => {
  const path = await artifact('kept', 'a');
  await put('locked', [path], { key });
  await expect(put('locked', [path])).rejects.toMatchObject({ code: 'stream.unsigned', exitCode: 9 });
});

test('a key with a passphrase, a public key and no key are refused, and nothing is written', async () => {
  const path = await artifact('keyless', 'a');
  const locked = await secretKey('locked', 'hunter2');
  const none = join(folder, 'none.key');
  await writeFile(none, 'not a key');
  for (const file of [locked, none, join(folder, 'gone.key')]) {
    await expect(put('keyless', [path], { key: file }), file).rejects.toMatchObject({ code: 'stream.key' });
  }
  expect(existsSync(join(folder, 'keyless/streams/v1/index.json'))).toBe(false);
});

test.each([
  [
    'a custom image, which MAAS looks for among uploads',
    { name: 'web-amd64', base_image: 'ubuntu/noble' },
    'stream.system',
  ],
  ['an Ubuntu, whose streams have kernels', { name: 'ubuntu/mine' }, 'stream.system'],
  ['a dd image of RHEL', { name: 'rhel/rocky9', filetype: 'ddgz' }, 'publish.filetype'],
])('%s is refused', async (_, record, code) => {
  const path = await artifact('refused', 'a', record);
  await expect(put('refused', [path])).rejects.toMatchObject({ code });
  expect(existsSync(join(folder, 'refused'))).toBe(false);
});

test('what MAAS 3.8 does not import is in a file of its own and is warned of', async () => {
  const path = await artifact('disk', 'a', { name: 'windows/win2022', title: 'Windows', filetype: 'ddgz' });
  const warnings: string[] = [];
  const context = {
    ...quietContext(),
    emit: (event: { type: string; message?: string }) => warnings.push(event.message ?? ''),
  };
  await stream({ artifacts: [path], out: join(folder, 'mixed') }, context as never);
  await put('mixed', [await artifact('tree', 'b')]);
  expect(warnings.join()).toContain('MAAS 3.8 imports only tgz');
  const { stdout } = await run('ls', [join(folder, 'mixed/streams/v1')]);
  expect(stdout.trim().split('\n')).toEqual([
    'image-compose:stable:rhel.json',
    'image-compose:stable:windows:ddgz.json',
    'index.json',
  ]);
});

test('a tree that is damaged, or that another compose writes, is left alone', async () => {
  const path = await artifact('late', 'a');
  const documents = join(folder, 'broken/streams/v1');
  await mkdir(documents, { recursive: true });
  await writeFile(join(documents, 'index.json'), '{"format":"index:1.0"');
  await expect(put('broken', [path])).rejects.toMatchObject({ code: 'stream.damaged' });
  await writeFile(join(documents, '.lock'), '');
  await expect(put('broken', [path])).rejects.toMatchObject({
    code: 'stream.locked',
    hint: expect.stringContaining('.lock'),
  });
});

test('the command prints how MAAS is made to import from it', async () => {
  const path = await artifact('told', 'a');
  const { status, stdout, stderr } = await compose(['stream', path, '--out', join(folder, 'told'), '--key', key]);
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('boot-sources create url=$URL/ keyring_filename=$KEYRING');
  expect(stdout).toContain("create $SOURCE os=rhel release=rocky9 arches=amd64 subarches='*' labels='*'");
});

const query = which('sstream-query');
test.skipIf(query === undefined)(
  `sstream-query finds the image and takes the signature${query ? '' : ' (it is not installed)'}`,
  async () => {
    const path = await artifact('queried', 'a');
    await put('queried', [path], { key });
    const root = join(folder, 'queried');
    const args = [
      '--json',
      '--keyring',
      join(root, 'keyring.gpg'),
      join(root, 'streams/v1/index.sjson'),
      'ftype=root-tgz',
    ];
    const { stdout } = await run('sstream-query', args);
    expect(JSON.parse(stdout)).toMatchObject([
      { os: 'rhel', release: 'rocky9', sha256: digestOf(await readFile(path)) },
    ]);
  },
);
