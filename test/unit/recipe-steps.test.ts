import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ComposeError } from '../../src/errors.ts';
import { parseDuration } from '../../src/recipe/duration.ts';
import { plan } from '../../src/recipe/plan.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-steps-'));
  await writeFile(join(folder, 'harden.sh'), '');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function stepsOf(text: string): Promise<readonly unknown[]> {
  const path = join(folder, 'r.yaml');
  const lines = text.split('\n').map((line) => `    ${line}`);
  await writeFile(path, `extends: debian-12\nname: x\nprovision:\n  -\n${lines.join('\n')}\n`);
  return plan({ recipe: path, source: 'packages' }).steps;
}

const STEPS: readonly [text: string, step: unknown][] = [
  ['shell: [a, b]', { kind: 'shell', script: 'a\nb\n' }],
  ['shell: { inline: [a, b], exitCodes: [0, 3010] }', { kind: 'shell', script: 'a\nb\n', exitCodes: [0, 3010] }],
  [
    'shell: { script: x, user: www-data, cwd: /srv, interpreter: python3 -u, args: [a b], env: { A: "1" } }',
    {
      kind: 'shell',
      script: 'x',
      user: 'www-data',
      cwd: '/srv',
      interpreter: 'python3 -u',
      args: ['a b'],
      env: { A: '1' },
    },
  ],
  ['shell: { script: x, expectDisconnect: true }', { kind: 'shell', script: 'x', expectDisconnect: true }],
  [
    'name: n\nretries: 3\ntimeout: 1h30m\nallowFailure: true\nshell: x',
    { kind: 'shell', name: 'n', retries: 3, timeoutMs: 5_400_000, allowFailure: true, script: 'x' },
  ],
  [
    'upload: { from: ., to: /srv, owner: "www-data:33", mode: "0640", exclude: [.git] }',
    { kind: 'upload', to: '/srv', owner: 'www-data:33', mode: 0o640, exclude: ['.git'] },
  ],
  ['download: { from: /var/log/x }', { kind: 'download', from: '/var/log/x', to: './' }],
  ['write: { path: /a, content: "", owner: root }', { kind: 'write', path: '/a', content: '', owner: 'root' }],
  ['timeout: 5m\nreboot: true', { kind: 'reboot', timeoutMs: 300_000 }],
  ['breakpoint: true', { kind: 'breakpoint' }],
  ['breakpoint: look at /etc', { kind: 'breakpoint', note: 'look at /etc' }],
  [
    'packages: { install: [nginx=1.22.1-9], update: true, upgrade: true }',
    { kind: 'packages', install: ['nginx=1.22.1-9'], update: true, upgrade: true },
  ],
  ['packages: { upgrade: true }', { kind: 'packages', install: [], upgrade: true }],
];
test.each(STEPS)('%s', async (text, expected) => {
  const step = (await stepsOf(text)).at(-1) as Record<string, unknown>;
  const { from, ...rest } = step;
  expect(step.kind === 'upload' ? rest : step).toEqual(expected);
  if (step.kind === 'upload') expect(from).toBe(folder);
});

const WRONG: readonly [text: string, says: RegExp][] = [
  ['shel: x', /unknown key "shel"; did you mean "shell"\?/],
  ['shell: x\nretrys: 3', /r\.yaml:\d+:5: unknown key "retrys"; did you mean "retries"\?/],
  ['shell: { scrpt: x }', /unknown key "scrpt"; did you mean "script"\?/],
  ['upload: { from: ., too: /x }', /unknown key "too"; did you mean "to"\?/],
  ['shell: x\ntimeout: 10', /timeout: /],
  ['shell: x\ntimeout: soon', /a duration is a number with s, m or h/],
  ['shell: x\nretries: -1', /retries/],
  ['shell: x\npauseBefore: 10s', /never for a time/],
  ['shell: { script: x, inline: [y] }', /one of script, inline and file/],
  ['shell: { script: x, cwd: srv }', /begins with a slash/],
  ['shell: { script: x, env: { "a b": "1" } }', /environment variable|Invalid key/],
  ['shell: { script: x, user: "a b" }', /an account has/],
  ['upload: { from: ., to: srv }', /begins with a slash/],
  ['write: { path: /a, content: x, owner: "a b" }', /an owner is user, or user:group/],
  ['download: { from: var }', /begins with a slash/],
];
test.each(WRONG)('%s is refused with its reason', async (text, says) => {
  const error = await stepsOf(text).then(
    () => new Error('it was not refused'),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(ComposeError);
  expect(`${(error as Error).message} ${JSON.stringify((error as ComposeError).evidence)}`).toMatch(says);
});

test.each([
  ['90s', 90_000],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['500ms', 500],
  ['0s', undefined],
  ['10', undefined],
  ['-5s', undefined],
  ['10m later', undefined],
  ['9999999h', undefined],
])('the duration %s is %s ms', (text, ms) => expect(parseDuration(text)).toBe(ms));
