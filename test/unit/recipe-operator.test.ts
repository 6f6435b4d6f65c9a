import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type PlanOptions, plan } from '../../src/recipe/plan.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-operator-'));
  await writeFile(join(folder, 'ops.pub'), '# of ops\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ops@example\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function planned(text: string, options: Partial<PlanOptions> = {}): Promise<ReturnType<typeof plan>> {
  const path = join(folder, 'own.yaml');
  await writeFile(path, `extends: ubuntu-24.04\nname: own\n${text}`);
  return plan({ recipe: path, mediumLater: true, ...options });
}

test('a recipe sets values of variables, and the command line has the last word', async () => {
  const text = 'set: { timezone: Europe/Berlin, packages: [vim, tmux], iso_base: http://mirror.example/iso }\n';
  expect((await planned(text)).variables).toMatchObject({ timezone: 'Europe/Berlin', packages: 'vim,tmux' });
  const flat = await planned(text, { layout: 'flat', set: ['timezone=Asia/Tokyo'] });
  expect(flat.variables.timezone).toBe('Asia/Tokyo');
  expect(flat.source).toMatchObject({ iso: 'http://mirror.example/iso/ubuntu-24.04*-live-server-amd64.iso' });
  await expect(planned('set: { timezon: x }\n')).rejects.toMatchObject({ code: 'variable.unknown' });
});

test('an account gets its keys from lines and files, and no password', async () => {
  const { steps } = await planned('users: [{ name: ops, keys: [./ops.pub], groups: [adm, docker], sudo: true }]\n');
  const step = steps.find(({ name }) => name === 'user ops');
  expect(step).toMatchObject({
    kind: 'shell',
    env: {
      ACCOUNT: 'ops',
      KEYS: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ops@example',
      MEMBER_OF: 'adm docker',
      SUDO: 'true',
    },
    script: expect.stringContaining('passwd -l'),
  });
});

test('accounts and scripts of the command line come after those of the recipe', async () => {
  const users = [{ name: 'dev', keys: [join(folder, 'ops.pub')] }];
  const harden = join(folder, 'harden.sh');
  await writeFile(harden, 'true\n');
  const { steps } = await planned('users: [{ name: ops }]\n', { users, scripts: [relative(process.cwd(), harden)] });
  const names = steps.map(({ name }) => name);
  expect(names.filter((name) => name?.startsWith('user '))).toEqual(['user ops', 'user dev']);
  expect(steps.at(-1)).toEqual({ kind: 'shell', name: 'harden.sh', file: harden });
  await expect(planned('', { scripts: ['./gone.sh'] })).rejects.toMatchObject({
    code: 'recipe.script',
    message: 'Cannot run ./gone.sh in the guest: there is no such file',
  });
});

test.each([
  ['a key that is none', 'users: [{ name: ops, keys: ["-----BEGIN OPENSSH PRIVATE KEY-----"] }]\n', 'recipe.key'],
  ['a file that is not there', 'users: [{ name: ops, keys: [./gone.pub] }]\n', 'recipe.invalid'],
  ['root', 'users: [{ name: root }]\n', 'recipe.invalid'],
])('%s is refused', async (_, text, code) => {
  await expect(planned(text)).rejects.toMatchObject({ code });
});

test('a kernel, a mirror and repositories are steps only where they are wanted', async () => {
  const names = async (set: string[]): Promise<(string | undefined)[]> =>
    (await planned('', { set })).steps.map(({ name }) => name);
  const plain = await names([]);
  expect(plain).not.toContain('kernel');
  expect(plain).not.toContain('mirror');
  const all = await names(['kernel=linux-generic-hwe', 'mirror=http://m.example/ubuntu', 'extra_repositories=ppa:a/b']);
  expect(all).toEqual(expect.arrayContaining(['mirror', 'more repositories', 'kernel']));
  // Packages come from what the mirror and the repositories have.
  expect(all.indexOf('more repositories')).toBeLessThan(all.indexOf(undefined));
});

test('the kernel of a cloud image may be files that an early step has put there; an installer takes packages alone', async () => {
  const set = ['kernel=/var/tmp/modules.deb,/var/tmp/image.deb'];
  const { steps } = await planned('provision: [{ upload: { from: ./, to: /var/tmp }, early: true }]\n', { set });
  const at = steps.findIndex(({ name }) => name === 'kernel');
  expect(steps[at]).toMatchObject({ kind: 'packages', install: ['/var/tmp/modules.deb', '/var/tmp/image.deb'] });
  expect(steps.findIndex(({ kind }) => kind === 'upload')).toBeLessThan(at);
  await expect(planned('', { layout: 'flat', set })).rejects.toMatchObject({ code: 'ubuntu.kernel', exitCode: 2 });
});

function answersOf(planned: ReturnType<typeof plan>): { text: string; autoinstall: Record<string, unknown> } {
  if (planned.source.kind !== 'installer') throw new Error('another source');
  const text = planned.source.answers[0]?.files.find(({ path }) => path === 'user-data')?.content ?? '';
  return { text, autoinstall: (parse(text) as { autoinstall: Record<string, unknown> }).autoinstall };
}

test('the answers of the live server quote every text, so that no YAML reads it otherwise', async () => {
  const set = ['keyboard=no', 'packages=on,0755', 'locale=de_DE.UTF-8', 'kernel=linux-generic-hwe'];
  const { text, autoinstall } = answersOf(await planned('', { layout: 'lvm', set }));
  expect(text.startsWith('#cloud-config\n')).toBe(true);
  expect(text).toContain('layout: "no"');
  expect(text).toContain('- "on"\n');
  expect(text).toContain('- "0755"\n');
  expect(autoinstall).toMatchObject({
    version: 1,
    locale: 'de_DE.UTF-8',
    kernel: { package: 'linux-generic-hwe' },
    storage: { layout: { name: 'lvm', 'sizing-policy': 'all' }, swap: { size: 0 } },
    shutdown: 'poweroff',
  });
  expect(autoinstall).not.toHaveProperty('identity');
});

test('additions of the operator are merged: mappings by key, lists one after the other', async () => {
  const file = join(folder, 'mine.yaml');
  await writeFile(
    file,
    'storage: { swap: { size: 1024 } }\nlate-commands: [[touch, /target/mine]]\npackages: [fips]\n',
  );
  const custom = { language: 'autoinstall', file } as const;
  const { autoinstall } = answersOf(await planned('', { layout: 'flat', custom, set: ['packages=vim'] }));
  expect(autoinstall.storage).toEqual({ layout: { name: 'direct' }, swap: { size: 1024 } });
  expect((autoinstall['late-commands'] as unknown[]).at(-1)).toEqual(['touch', '/target/mine']);
  expect(autoinstall.packages).toContain('vim');
  expect((autoinstall.packages as string[]).at(-1)).toBe('fips');
  await writeFile(file, '#cloud-config\nautoinstall: { locale: fr_FR.UTF-8 }\n');
  expect(answersOf(await planned('', { layout: 'flat', custom })).autoinstall.locale).toBe('fr_FR.UTF-8');
  await expect(planned('', { layout: 'flat', custom: { language: 'kickstart', file } })).rejects.toMatchObject({
    code: 'recipe.custom',
    hint: 'Use --custom-autoinstall FILE.',
  });
});

test.each([
  ['debian-12', 'preseed', 'no installer runs where its source is cloudimg', 'Add --source installer.'],
  ['ubuntu-24.04', 'autoinstall', 'no installer runs in the layout cloudimg', 'Add --layout flat or --layout lvm.'],
  [
    'sles-12',
    'autoyast',
    'no installer runs',
    'A recipe file has packages and steps for what is built from an image or from packages.',
  ],
] as const)(
  'additions for the installer of %s, where none runs, are refused with what makes one run',
  (recipe, language, why, hint) => {
    const custom = { language, file: 'x' } as const;
    const message = `Cannot use --custom-${language} with ${recipe}: ${why}`;
    expect(() => plan({ recipe, custom, mediumLater: true })).toThrow(
      expect.objectContaining({ code: 'recipe.custom', message, hint }),
    );
  },
);

test.each([
  ['rocky-9', 'timezone=Mars/Olympus', 'Cannot set "timezone" (--set): there is no time zone "Mars/Olympus"'],
  ['ubuntu-24.04', 'timezone=+01:00', 'Cannot set "timezone" (--set): there is no time zone "+01:00"'],
  ['rocky-9', 'mirror=mirror.example', 'Cannot set "mirror" (--set): it is no address, "mirror.example"'],
  ['centos-6', 'epel_mirror=/srv', 'Cannot set "epel_mirror" (--set): it is no address, "/srv"'],
  ['ubuntu-24.04', 'mirror=ftp//x', 'Cannot set "mirror" (--set): it is no address, "ftp//x"'],
  ['debian-12', 'security_mirror=x', 'Cannot set "security_mirror" (--set): it is no address, "x"'],
  ['azurelinux-3', 'mirror=x', 'Cannot set "mirror" (--set): it is no address, "x"'],
  [
    'ubuntu-24.04',
    'extra_repositories=team/tools',
    'Cannot set "extra_repositories" (--set): "team/tools" is not what it takes',
  ],
  [
    'ubuntu-22.04',
    'extra_repositories=ppa:a/b,deb http://x noble',
    'Cannot set "extra_repositories" (--set): "deb http://x noble" is not what it takes',
  ],
  [
    'debian-12',
    'extra_repositories=deb [arch=amd64,arm64] http://x bookworm main',
    'Cannot set "extra_repositories" (--set): "deb [arch=amd64" is not what it takes',
  ],
  [
    'debian-13',
    'extra_repositories=ppa:a/b',
    'Cannot set "extra_repositories" (--set): "ppa:a/b" is not what it takes',
  ],
  ['rocky-9', 'fips=2', 'Cannot write a kickstart: fips is 0 or 1, not "2"'],
  ['sles-15', 'kernel=a;b', 'Cannot install "a;b": it is no name of a package'],
  ['opensuse-16', 'kernel=a b', 'Cannot install "a b": it is no name of a package'],
])('%s: %s is refused before anything runs', (recipe, set, message) => {
  expect(() => plan({ recipe, set: [set], mediumLater: true })).toThrow(
    expect.objectContaining({ message, exitCode: 2 }),
  );
});

test.each([
  'timezone=US/Pacific',
  'timezone=UTC',
  'timezone=Asia/Calcutta',
  'mirror=',
  'mirror=http://[fd00::1]:8080/rocky',
])('rocky-9: %s is taken', (set) =>
  expect(() => plan({ recipe: 'rocky-9', set: [set], mediumLater: true })).not.toThrow(),
);

test.each([
  ['ubuntu-24.04', 'extra_repositories=ppa:a/b, cloud-archive:caracal'],
  ['ubuntu-24.04', 'extra_repositories=deb [signed-by=/etc/own.gpg] https://own.example/apt noble main extra'],
  ['debian-12', 'extra_repositories=deb http://own.example/apt ./'],
  ['debian-12', 'extra_repositories='],
])('%s: %s is taken', (recipe, set) => expect(() => plan({ recipe, set: [set], mediumLater: true })).not.toThrow());

test('the proxy of the build reaches the installer as the guest sees it', async () => {
  const env = { http_proxy: 'http://127.0.0.1:3128' };
  expect(answersOf(await planned('', { layout: 'flat', env })).autoinstall.proxy).toBe('http://10.0.2.2:3128');
});

test('an fstab goes from trees and stays on disks', async () => {
  expect((await planned('', { layout: 'flat' })).seal.map(({ path }) => path)).toEqual(['/etc/fstab']);
  expect((await planned('', { layout: 'flat', filetypes: ['tgz', 'ddgz'] })).seal).toEqual([]);
});

test('a wrong ISO is refused when the build is planned, with the right one named', async () => {
  await expect(planned('', { layout: 'flat', iso: './ubuntu-22.04.5-live-server-amd64.iso' })).rejects.toMatchObject({
    code: 'installer.file-name',
    exitCode: 2,
    hint: expect.stringContaining('ubuntu-24.04.N-live-server-amd64.iso, from ubuntu.com/download/server'),
  });
  await expect(planned('', { iso: './ubuntu-24.04.2-live-server-amd64.iso' })).rejects.toMatchObject({
    code: 'recipe.iso',
    hint: 'Add --layout flat or --layout lvm, or leave --iso out; its sources are cloudimg in the layout cloudimg.',
  });
});

test.each([
  [
    'rhel-9',
    undefined,
    'rhel-9.4-aarch64-dvd.iso',
    'Cannot plan rhel-9 for amd64: rhel-9.4-aarch64-dvd.iso is for arm64',
    'To build for arm64, add --arch arm64.',
  ],
  [
    'debian-12',
    'arm64',
    'debian-12.5.0-amd64-netinst.iso',
    'Cannot plan debian-12 for arm64: debian-12.5.0-amd64-netinst.iso is for amd64',
    'To build for amd64, leave --arch arm64 out.',
  ],
])('%s: a medium of another architecture is refused with the flag for it', (recipe, arch, iso, message, hint) => {
  const options = { recipe, iso: `/media/${iso}`, ...(arch && { arch }) };
  expect(() => plan(options)).toThrow(
    expect.objectContaining({
      code: 'installer.file-name',
      message,
      hint: expect.stringContaining(`${hint} For ${arch ?? 'amd64'}, its medium is `),
    }),
  );
});
