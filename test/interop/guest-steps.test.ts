import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { quote } from '../../src/guest/session.ts';
import { packagesCommand, type Step, stepTitle } from '../../src/guest/steps.ts';

const folder = mkdtempSync(join(tmpdir(), 'compose-steps-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Packages = Extract<Step, { kind: 'packages' }>;

/** What the command calls in a guest that has only these package managers: a line each, words in brackets. */
function calls(step: Packages, tools: readonly string[], failing = '', update = true): { log: string; status: number } {
  const bin = mkdtempSync(join(folder, 'bin-'));
  const log = join(bin, 'log');
  writeFileSync(log, '');
  for (const tool of tools) {
    const fail = failing === '' ? '' : `case "$*" in *${failing}*) exit 100;; esac`;
    writeFileSync(
      join(bin, tool),
      `#!/bin/sh\nprintf '%s' ${tool} >>${log}; printf ' [%s]' "$@" >>${log}; echo >>${log}\n${fail}\n`,
    );
    chmodSync(join(bin, tool), 0o755);
  }
  symlinkSync('/bin/sh', join(bin, 'sh'));
  try {
    execFileSync('/bin/sh', ['-c', packagesCommand(step, update)], { env: { PATH: bin }, stdio: 'pipe' });
    return { log: readFileSync(log, 'utf8'), status: 0 };
  } catch (error) {
    return { log: readFileSync(log, 'utf8'), status: (error as { status: number }).status };
  }
}

const install = (...names: string[]): Packages => ({ kind: 'packages', install: names });

test('apt-get: update, then install, without questions', () => {
  const { log, status } = calls(install('nginx', 'curl=7.88.*'), ['apt-get']);
  expect(status).toBe(0);
  const lines = log.trim().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/\[update\]$/);
  expect(lines[1]).toMatch(/\[-y\].*\[install\].*\[nginx\] \[curl=7\.88\.\*\]$/);
});

test('apt-get: indexes are fetched when asked for only', () => {
  expect(calls(install('nginx'), ['apt-get'], '', false).log).not.toContain('[update]');
});

test('apt-get: packages are removed with their configuration', () => {
  const { log } = calls({ kind: 'packages', install: [], remove: ['snapd'] }, ['apt-get'], '', false);
  expect(log.trim().split('\n')).toHaveLength(1);
  expect(log).toMatch(/\[purge\] (\[--\] )?\[snapd\]/);
});

test('apt-get: recommends are left out unless they are asked for', () => {
  expect(calls(install('a'), ['apt-get']).log).toContain('[--no-install-recommends]');
  expect(calls({ ...install('a'), recommends: true }, ['apt-get']).log).not.toContain('no-install-recommends');
});

const FAILURES: readonly [what: string, needle: string, lines: number][] = [
  ['update', 'update', 1],
  ['install', 'install', 2],
];
test.each(FAILURES)('apt-get: a failed %s is a failed step, and nothing follows it', (_what, needle, lines) => {
  const step: Packages = { kind: 'packages', install: ['a'], remove: ['b'] };
  const { log, status } = calls(step, ['apt-get'], needle);
  expect(status).toBe(100);
  expect(log.trim().split('\n')).toHaveLength(lines);
});

const OTHERS: readonly [tool: string, expected: RegExp][] = [
  ['dnf', /^dnf \[-y\] \[install\] \[nginx\]$/m],
  ['yum', /^yum \[-y\] \[install\] \[nginx\]$/m],
  ['zypper', /^zypper \[-n\] \[install\] \[nginx\]$/m],
];
test.each(OTHERS)('%s is used where it is the one that is there', (tool, expected) => {
  expect(calls(install('nginx'), [tool]).log).toMatch(expected);
});

test('a guest without a package manager that is known fails, and says so', () => {
  expect(calls(install('nginx'), []).status).toBe(127);
});

test('a package name cannot become an option', () => {
  const { log, status } = calls(install('-oAPT::Update::Pre-Invoke::=touch /tmp/x'), ['apt-get']);
  expect(status !== 0 || / \[--\] /.test(log)).toBe(true);
});

test('a package name is one word whatever is in it', () => {
  expect(calls(install("a b;touch 'x'$(id)"), ['apt-get']).log).toContain("[a b;touch 'x'$(id)]");
});

test('a step is called by its name, or by its kind', () => {
  expect(stepTitle({ kind: 'reboot' }, 0)).toBe('step 1: reboot');
  expect(stepTitle({ kind: 'reboot', name: 'new kernel' }, 4)).toBe('step 5: new kernel');
});

test.each(['', 'a', "it's", '$(id)`id`$HOME', 'a\nb', "'\\''", '-n', 'ü 日本'])(
  'quote(%j) is that one word',
  (text) => {
    expect(execFileSync('/bin/sh', ['-c', `printf %s ${quote(text)}`], { encoding: 'utf8' })).toBe(text);
  },
);
