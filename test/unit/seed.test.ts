import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { isoContent } from '../../fixtures/iso-tree.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { scrub } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { openIso9660 } from '../../src/formats/iso9660-reader.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import { makeSeed } from '../../src/seed/make.ts';
import { buildSeedFiles, noCloudImage } from '../../src/seed/nocloud.ts';
import { checkUserData } from '../../src/seed/user-data.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-seed-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const hostKey = generateKeys('compose-guest');
const userKey = generateKeys('compose');

function seedFor(user: string): { userData: string; metaData: string; config: Record<string, unknown> } {
  const files = buildSeedFiles({
    instanceId: 'i-1',
    hostname: 'guest',
    user,
    authorizedKey: userKey.publicKey,
    hostKey,
  });
  return { ...files, config: parse(files.userData) as Record<string, unknown> };
}

/** The documents in an image, as cloud-init would find them. */
async function documents(image: Uint8Array): Promise<Record<string, string>> {
  const source = memorySource(image);
  const found: Record<string, string> = {};
  for (const prefer of ['rock-ridge', 'joliet'] as const) {
    const iso = await openIso9660(source, { prefer });
    expect(iso.volumeId).toBe('cidata');
    for (const entry of await iso.list('/')) {
      const content = new TextDecoder().decode(await isoContent(source, entry));
      expect(found[new TextDecoder().decode(entry.path)] ?? content, 'both trees say the same').toBe(content);
      found[new TextDecoder().decode(entry.path)] = content;
    }
  }
  return found;
}

test('the seed of a build delivers the host key, lets one key in, and no password', () => {
  const { userData, metaData, config } = seedFor('root');
  expect(userData.startsWith('#cloud-config\n')).toBe(true);
  expect(config.ssh_keys).toEqual({ ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey });
  expect(config).toMatchObject({
    ssh_pwauth: false,
    disable_root: false,
    ssh_authorized_keys: [userKey.publicKey],
    users: [],
  });
  expect(parse(metaData)).toEqual({ 'instance-id': 'i-1', 'local-hostname': 'guest' });
});

test('an account other than root is locked, has sudo without a password, and is the only one', () => {
  const { config } = seedFor('builder');
  expect(config.users).toEqual([
    {
      name: 'builder',
      lock_passwd: true,
      shell: '/bin/bash',
      sudo: 'ALL=(ALL) NOPASSWD:ALL',
      ssh_authorized_keys: [userKey.publicKey],
    },
  ]);
  expect(config.ssh_authorized_keys).toBeUndefined();
});

test('user data has nothing the schemas of cloud-init 22 to 26 refuse: a refusal is a warning, and "degraded" since 23.4', () => {
  const { config } = seedFor('root');
  // schema-cloud-config-v1.json, cc_ssh: minItems 1. With ssh_keys given no key is generated anyway.
  expect(config.ssh_genkeytypes).toBeUndefined();
  // cc_locale: only a string until 24.1. The text "false" turns the module off in every version (util.is_false).
  expect(config.locale).toBe('false');
});

test('no line of a private key is shown in errors and events', () => {
  const { userData } = seedFor('root');
  const [, firstLine = ''] = hostKey.privateKey.split('\n');
  expect(firstLine.length).toBeGreaterThan(20);
  expect(scrub(userData)).not.toContain(firstLine);
});

test('the image holds the documents under the names NoCloud reads', async () => {
  const { userData, metaData } = seedFor('root');
  const image = noCloudImage({ userData, metaData, networkConfig: 'version: 2\n' });
  expect(await documents(image)).toEqual({
    'user-data': userData,
    'meta-data': metaData,
    'network-config': 'version: 2\n',
  });
  expect(noCloudImage({ userData, metaData, networkConfig: 'version: 2\n' })).toEqual(image);
});

const GOOD: readonly (readonly [text: string, reason: string])[] = [
  ['#cloud-config\npackages: [nginx]\n', 'a mapping'],
  ['#cloud-config\n', 'nothing at all is allowed'],
  ['#cloud-config\n# only a comment\n', 'comments'],
  ['#!/bin/sh\necho hello: [\n', 'a script is not YAML'],
  ['#include\nfile:///x\n', 'an include list'],
  ['#cloud-boothook\n#!/bin/sh\n', 'a boot hook'],
  ['## template: jinja\n#cloud-config\n{% if x %}a: b{% endif %}\n', 'a template is YAML only once it is rendered'],
  ['#cloud-config-archive\n- type: text/cloud-config\n', 'an archive is a list'],
  ['Content-Type: multipart/mixed; boundary="x"\nMIME-Version: 1.0\n\n--x--\n', 'MIME'],
  ['#cloud-config\r\na: b\r\n', 'line ends of Windows'],
];
test.each(GOOD)('user-data that cloud-init takes %#', (text, reason) => {
  expect(() => checkUserData(text), reason).not.toThrow();
});

const BAD: readonly (readonly [text: string, message: RegExp, reason: string])[] = [
  ['packages: [nginx]\n', /first line/, 'the header is missing'],
  ['', /first line/, 'empty'],
  ['# cloud-config\na: b\n', /first line/, 'a space too many'],
  ['#cloud-config\na: [b\n', /line [23]/, 'not YAML'],
  ['#cloud-config\n\ta: b\n', /line 2/, 'a tab'],
  ['#cloud-config\n- a\n', /mapping/, 'a list'],
  ['#cloud-config\njust words\n', /mapping/, 'a sentence'],
  ['#cloud-config\na: b\n---\nc: d\n', /line/, 'two documents'],
  ['#cloud-config\na: *nowhere\n', /user-data/, 'an alias of nothing'],
  ['#cloud-config  # mine\na: [b\n', /line/, 'cloud-init looks at the beginning of the line only'],
  [
    `#cloud-config\na: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'.replace(/./g, (c, i: number) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(',')}]\n`)}`,
    /user-data/,
    'aliases of aliases that would unfold to a billion values',
  ],
];
test.each(BAD)('user-data that cloud-init would ignore or choke on %#', (text, message, reason) => {
  expect(() => checkUserData(text), reason).toThrow(
    expect.objectContaining({ code: 'seed.user-data', message: expect.stringMatching(message) }),
  );
});

async function files(entries: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(entries)) await writeFile(join(folder, name), text);
}

test('makeSeed writes a whole seed its owner alone can read, whatever the umask', async () => {
  await files({ user: '#cloud-config\n', meta: 'instance-id: mine\n', net: 'version: 2\n' });
  const before = process.umask(0);
  try {
    const made = await makeSeed(
      {
        out: join(folder, 'seed.iso'),
        userData: join(folder, 'user'),
        metaData: join(folder, 'meta'),
        networkConfig: join(folder, 'net'),
      },
      quietContext(),
    );
    expect(made).toEqual({
      kind: 'nocloud',
      size: (await stat(join(folder, 'seed.iso'))).size,
      path: join(folder, 'seed.iso'),
      label: 'cidata',
      files: ['meta-data', 'user-data', 'network-config'],
    });
  } finally {
    process.umask(before);
  }
  expect((await stat(join(folder, 'seed.iso'))).mode & 0o777).toBe(0o600);
  expect(await documents(await readFile(join(folder, 'seed.iso')))).toMatchObject({
    'meta-data': 'instance-id: mine\n',
  });
  expect((await readdir(folder)).filter((name) => name.includes('partial'))).toEqual([]);
});

test('without meta-data an instance id is made, or the given one used', async () => {
  await files({ user: '#cloud-config\n' });
  const make = async (instanceId?: string): Promise<string> => {
    const out = join(folder, 'seed.iso');
    await makeSeed({ out, userData: join(folder, 'user'), instanceId }, quietContext());
    return (await documents(await readFile(out)))['meta-data'] ?? '';
  };
  expect(await make('given')).toBe('instance-id: given\n');
  expect(await make()).toMatch(/^instance-id: [0-9a-f-]{36}\n$/);
  expect(parse(await make('a: b'))).toEqual({ 'instance-id': 'a: b' });
});

const WRONG: readonly (readonly [entries: Record<string, string>, code: string, why: string])[] = [
  [{ user: 'a: b\n' }, 'seed.user-data', 'no header'],
  [{}, 'seed.file', 'no user data'],
  [{ user: '#cloud-config\n', meta: '' }, 'seed.meta-data', 'no instance id: no seed'],
  [{ user: '#cloud-config\n', meta: 'instance-id: [\n' }, 'seed.meta-data', 'not YAML'],
  [{ user: '#cloud-config\n', meta: '- list\n' }, 'seed.meta-data', 'not a mapping'],
  [{ user: '#cloud-config\n', net: 'version: [\n' }, 'seed.network-config', 'not YAML'],
  [{ user: '#cloud-config\n', net: 'words\n' }, 'seed.network-config', 'not a mapping'],
];
test.each(WRONG)('refused, and nothing is written %#', async (entries, code, why) => {
  await files(entries);
  const options = {
    out: join(folder, 'seed.iso'),
    userData: join(folder, 'user'),
    ...('meta' in entries ? { metaData: join(folder, 'meta') } : {}),
    ...('net' in entries ? { networkConfig: join(folder, 'net') } : {}),
  };
  await expect(makeSeed(options, quietContext()), why).rejects.toMatchObject({ code, exitCode: 2 });
  expect((await readdir(folder)).sort()).toEqual(Object.keys(entries).sort());
});

test('a folder that is not there is one clear error', async () => {
  await files({ user: '#cloud-config\n' });
  const out = join(folder, 'nowhere', 'seed.iso');
  await expect(makeSeed({ out, userData: join(folder, 'user') }, quietContext())).rejects.toMatchObject({
    code: 'seed.write',
    exitCode: 3,
  });
});

test.skipIf(process.getuid?.() === 0)(
  'an existing seed survives when the new one cannot be written (root may write all)',
  async () => {
    await files({ user: '#cloud-config\n' });
    await mkdir(join(folder, 'closed'));
    await writeFile(join(folder, 'closed', 'seed.iso'), 'old');
    await chmod(join(folder, 'closed'), 0o555);
    const out = join(folder, 'closed', 'seed.iso');
    await expect(makeSeed({ out, userData: join(folder, 'user') }, quietContext())).rejects.toMatchObject({
      code: 'seed.write',
    });
    expect(await readFile(out, 'utf8')).toBe('old');
    await chmod(join(folder, 'closed'), 0o755);
  },
);

test('an abort before the work ends it with nothing written', async () => {
  await files({ user: '#cloud-config\n' });
  const options = { out: join(folder, 'seed.iso'), userData: join(folder, 'user') };
  await expect(makeSeed(options, quietContext(AbortSignal.abort(new Error('stop'))))).rejects.toThrow('stop');
  expect(await readdir(folder)).toEqual(['user']);
});
