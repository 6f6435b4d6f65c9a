import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gzipLike, type UploadPlace, uploadPlace } from '../../fixtures/upload-place.ts';
import { type ComposeEvent, quietContext } from '../../src/events.ts';
import { resolveAccess } from '../../src/publish/access.ts';
import { readCandidates } from '../../src/publish/candidate.ts';

const run = promisify(execFile);
const CREDENTIALS = ['CCCCcccc11', 'TTTTtttt22', 'SSSSssss33'];

let home = '';
let place: UploadPlace;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'compose-home-'));
  place = await uploadPlace();
});
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
  await place[Symbol.asyncDispose]();
});

/** A store as the MAAS command line makes it, made by SQLite itself. */
async function store(path: string, profiles: Record<string, unknown>): Promise<void> {
  const make = [
    'import json, sqlite3, sys',
    'with sqlite3.connect(sys.argv[1]) as db:',
    '  db.execute("CREATE TABLE profiles (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name != \'\'), data BLOB)")',
    '  for name, data in json.load(open(sys.argv[2])).items():',
    "    db.execute('INSERT INTO profiles (name, data) VALUES (?, ?)', (name, json.dumps(data)))",
  ].join('\n');
  await writeFile(`${path}.json`, JSON.stringify(profiles));
  await run('python3', ['-c', make, path, `${path}.json`]);
}

/** The description of the API that a login keeps makes a profile longer than a page. */
const profile = (more: object = {}) => ({
  credentials: CREDENTIALS,
  description: { doc: "it's long ".repeat(30_000) },
  name: 'admin',
  url: 'http://maas.example:5240/MAAS/api/2.0/',
  ...more,
});

describe('a login of the maas command', () => {
  const login = (name: string, env = { HOME: home }) => resolveAccess({ profile: name, env }, quietContext());

  beforeAll(async () => {
    await store(join(home, '.maascli.db'), {
      admin: profile(),
      secure: profile({ url: 'https://maas/MAAS/api/2.0/', cacerts: '-----BEGIN CERTIFICATE-----\nx' }),
      nobody: profile({ credentials: null }),
    });
    await mkdir(join(home, 'snap/maas/current'), { recursive: true });
    await store(join(home, 'snap/maas/current/.maascli.db'), { snapped: profile({ url: 'http://snap:5240/MAAS/' }) });
  });

  test('is read with its address, its key and its certificates', async () => {
    expect(await login('admin')).toMatchObject({
      base: new URL('http://maas.example:5240/MAAS/api/2.0/'),
      key: { consumer: CREDENTIALS[0], token: CREDENTIALS[1], secret: CREDENTIALS[2] },
      certificates: [],
      profile: 'admin',
    });
    expect((await login('secure')).certificates).toEqual(['-----BEGIN CERTIFICATE-----\nx']);
  });

  test("of the snap is found in the snap's home", async () => {
    expect((await login('snapped')).base.href).toBe('http://snap:5240/MAAS/api/2.0/');
  });

  test('that is not there is told with those that are', async () => {
    await expect(login('amdin')).rejects.toMatchObject({
      code: 'publish.profile',
      hint: expect.stringMatching(/admin, secure, nobody, snapped\. Did you mean admin\?/),
    });
    await expect(login('nobody')).rejects.toMatchObject({
      code: 'publish.profile',
      message: expect.stringContaining('no API key'),
    });
    await expect(login('admin', { HOME: join(home, 'nowhere') })).rejects.toMatchObject({
      code: 'publish.no-profiles',
    });
  });

  test('in a store that is damaged is told by its path', async () => {
    const other = join(home, 'other');
    await mkdir(other);
    await writeFile(join(other, '.maascli.db'), 'SQLite format 3\0 and nothing else');
    await expect(login('admin', { HOME: other })).rejects.toMatchObject({
      code: 'publish.profiles-unreadable',
      hint: expect.not.stringContaining('rpm'),
    });
  });
});

test('a key is read from a file or the environment, and one that others may read is warned of', async () => {
  const file = join(home, 'key');
  await writeFile(file, `${CREDENTIALS.join(':')}\n`, { mode: 0o600 });
  const events: ComposeEvent[] = [];
  const context = { ...quietContext(), emit: (event: ComposeEvent) => events.push(event) };
  const url = 'http://maas/MAAS';
  expect((await resolveAccess({ url, apiKeyFile: file }, context)).key.secret).toBe(CREDENTIALS[2]);
  expect(events).toEqual([]);
  await chmod(file, 0o644);
  await resolveAccess({ url, apiKeyFile: file }, context);
  expect(events).toMatchObject([{ level: 'warn', message: expect.stringContaining('chmod 600') }]);
  const env = { MAAS_URL: url, MAAS_API_KEY: CREDENTIALS.join(':') };
  expect((await resolveAccess({ env }, context)).base.href).toBe('http://maas/MAAS/api/2.0/');
  for (const login of [{ env: {} }, { url, env: {} }, { profile: 'x', url, env: {} }]) {
    await expect(resolveAccess(login, context)).rejects.toMatchObject({ code: 'publish.login', exitCode: 2 });
  }
  await expect(resolveAccess({ url, apiKeyFile: join(home, 'no') }, context)).rejects.toMatchObject({
    code: 'publish.api-key',
  });
});

describe('what is uploaded', () => {
  const codeOf = async (paths: string[], overrides = {}): Promise<string> =>
    readCandidates(paths, overrides).then(
      (found) => found.map(({ name, filetype }) => `${name} ${filetype}`).join(', '),
      (error: { code: string }) => error.code,
    );

  test('is what the record says, unless the caller says otherwise', async () => {
    expect(await codeOf([place.artifact])).toBe('web-amd64 tgz');
    expect(await codeOf([`${place.artifact}.maas.json`])).toBe('web-amd64 tgz');
    expect(await codeOf([place.artifact], { name: 'mine', filetypes: ['ddgz'] })).toBe('mine ddgz');
  });

  test('of a folder are the artifacts with a record, by their kind where there are several of a name', async () => {
    await using other = await uploadPlace();
    expect(await codeOf([other.folder])).toBe('web-amd64 tgz');
    await other.add('web.dd.gz', gzipLike(100), { filetype: 'ddgz' });
    expect(await codeOf([other.folder])).toBe('publish.same-name');
    expect(await codeOf([other.folder], { filetypes: ['ddgz'] })).toBe('web-amd64 ddgz');
    expect(await codeOf([other.folder], { filetypes: ['txz'] })).toBe('publish.no-artifact');
    await other.add('db.tar.gz', gzipLike(100), { name: 'db' });
    expect(await codeOf([other.folder], { filetypes: ['tgz'] })).toBe('db tgz, web-amd64 tgz');
    expect(await codeOf([other.folder], { filetypes: ['tgz'], name: 'x' })).toBe('publish.one-name');
  });

  test('without a record needs a name and, for a custom image, a base_image; its kind is in its suffix', async () => {
    const path = join(home, 'plain.dd.tar.gz');
    await writeFile(path, gzipLike(50));
    expect(await codeOf([path])).toBe('publish.name');
    expect(await codeOf([path], { name: 'plain' })).toBe('publish.base-image');
    expect(await codeOf([path], { name: 'plain', baseImage: 'ubuntu/noble' })).toBe('plain ddtgz');
    await writeFile(join(home, 'plain.img'), gzipLike(50));
    expect(await codeOf([join(home, 'plain.img')], { name: 'plain' })).toBe('publish.filetype');
  });

  test('is a file with something in it, of the kind that is said', async () => {
    const empty = join(home, 'empty.tar.gz');
    await writeFile(empty, '');
    expect(await codeOf([empty], { name: 'x' })).toBe('publish.no-artifact');
    expect(await codeOf([join(home, 'gone')])).toBe('publish.no-artifact');
    expect(await codeOf([home])).toBe('publish.no-artifact');
    const plain = join(home, 'plain.tar.xz');
    await writeFile(plain, gzipLike(50));
    expect(await codeOf([plain], { name: 'x', baseImage: 'ubuntu/noble' })).toBe('publish.content');
    expect(await codeOf([plain], { name: 'x', baseImage: 'ubuntu/noble', filetypes: ['zst'] })).toBe(
      'filetype.unknown',
    );
  });

  test('is the file its record tells of', async () => {
    const path = await place.add('short.tar.gz', gzipLike(100), { name: 'short', size: 99 });
    expect(await codeOf([path])).toBe('publish.changed');
    await writeFile(`${path}.maas.json`, '{');
    expect(await codeOf([path])).toBe('publish.record');
  });
});
