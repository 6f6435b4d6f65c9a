import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);
const script = join(packageRoot(), 'recipes/el/subscription.sh');
const LEFT = ['etc/pki/consumer/cert.pem', 'etc/pki/entitlement/1.pem', 'etc/yum.repos.d/redhat.repo'];

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-rhsm-'));
  await mkdir(join(folder, 'bin'));
  // Stand for Red Hat's tools: what they are asked is written down, and a registration leaves its files.
  const tools = {
    'subscription-manager': LEFT.map(
      (path) => `[ "$1" != register ] || { mkdir -p "$(dirname "${folder}/${path}")"; : > "${folder}/${path}"; }`,
    ),
    dnf: [],
  };
  for (const [name, lines] of Object.entries(tools)) {
    const path = join(folder, 'bin', name);
    const fails = `case "${name} $*" in $FAIL_ON) exit 4 ;; esac`;
    await writeFile(path, ['#!/bin/sh', `echo "${name} $*" >> "${folder}/calls"`, ...lines, fails, ''].join('\n'));
    await chmod(path, 0o755);
  }
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function subscribe(given: Record<string, string>): Promise<{ calls: string[]; code: number; stderr: string }> {
  const none = { RHSM_ORGANIZATION: '', RHSM_ACTIVATION_KEY: '', RHSM_PACKAGES: '', RHSM_UPDATE: 'false' };
  const env = {
    ...none,
    FAIL_ON: 'nothing',
    COMPOSE_ROOT: folder,
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    ...given,
  };
  const ended = await run(script, [], { env }).then(
    ({ stderr }) => ({ code: 0, stderr }),
    (error: { code: number; stderr: string }) => ({ code: error.code, stderr: error.stderr }),
  );
  const calls = await readFile(join(folder, 'calls'), 'utf8').catch(() => '');
  return { ...ended, calls: calls.split('\n').filter(Boolean) };
}

const KEY = { RHSM_ORGANIZATION: 'acme', RHSM_ACTIVATION_KEY: 'k' };
const left = async (): Promise<string[]> =>
  (await readdir(folder, { recursive: true })).filter((path) => LEFT.includes(path));

test('without an organization nothing happens, and packages that would need one are refused', async () => {
  expect(await subscribe({})).toMatchObject({ code: 0, calls: [] });
  const refused = await subscribe({ RHSM_PACKAGES: 'gcc' });
  expect(refused).toMatchObject({ code: 1, calls: [] });
  expect(refused.stderr).toContain('needs rhsm_organization');
});

test('packages come while the guest is registered, and nothing of the registration stays', async () => {
  const { calls, code } = await subscribe({ ...KEY, RHSM_PACKAGES: 'gcc,make', RHSM_UPDATE: 'true' });
  expect(code).toBe(0);
  expect(calls).toEqual([
    'subscription-manager register --org=acme --activationkey=k',
    'dnf -y --exclude=kernel* upgrade',
    'dnf -y install gcc make',
    'subscription-manager unregister',
    'subscription-manager clean',
  ]);
  expect(await left()).toEqual([]);
});

for (const [what, FAIL_ON] of [
  ['an update', 'dnf*'],
  ['the registration itself', 'subscription-manager?register*'],
] as const) {
  test(`${what} that fails fails the step, and the registration ends all the same`, async () => {
    const { calls, code } = await subscribe({ ...KEY, RHSM_UPDATE: 'true', FAIL_ON });
    expect(code).not.toBe(0);
    expect(calls.slice(-2)).toEqual(['subscription-manager unregister', 'subscription-manager clean']);
    expect(await left()).toEqual([]);
  });
}

test('a guest that cannot be unregistered is no image', async () => {
  const { code } = await subscribe({ ...KEY, FAIL_ON: 'subscription-manager?unregister' });
  expect(code).not.toBe(0);
  expect(await left()).toEqual([]);
});
