import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { unwrapCommand } from '../../fixtures/fake-ssh-shell.ts';
import { exclusion } from '../../src/guest/host-tree.ts';
import { frame, quote, universal } from '../../src/guest/shell.ts';

const SHELLS: readonly [name: string, path: string, args: readonly string[]][] = [
  ['dash', '/bin/dash', ['-c']],
  ['bash', '/bin/bash', ['-c']],
  ['busybox', '/bin/busybox', ['sh', '-c']],
  ['csh', '/usr/bin/tcsh', ['-f', '-c']],
  ['fish', '/usr/bin/fish', ['--no-config', '-c']],
];

const VALUES = [
  '',
  'plain',
  "it's",
  '"double"',
  '$HOME `id` $(id) ${x}',
  'back\\slash \\\\ \\101 \\n',
  'new\nlines\n\nhere',
  '!history !! !$ ^a^b',
  '*?[a-z]{a,b}~ #c ; & | < > ( )',
  '%s %n %% 100%',
  '-n',
  'Grüße – 日本語 \u{1f600}',
  '\ttab\r',
  "'\\''",
];

for (const [name, path, args] of SHELLS) {
  const there = existsSync(path);
  test.skipIf(!there)(`${name} runs a command byte for byte${there ? '' : ` (skipped: needs ${path})`}`, () => {
    for (const value of VALUES) {
      const line = universal(`printf %s ${quote(value)}`);
      expect(execFileSync(path, [...args, line], { encoding: 'utf8' })).toBe(value);
    }
  });

  test.skipIf(!there)(
    `${name} passes on status, variables and the mark${there ? '' : ` (skipped: needs ${path})`}`,
    () => {
      const env = { VALUE: "a'b\n!c\\d" };
      const { line } = frame('printf %s "$VALUE"; exit 7', { mark: 'mark-9', username: 'root', env });
      try {
        execFileSync(path, [...args, line], { encoding: 'utf8', stdio: 'pipe' });
        expect.unreachable();
      } catch (error) {
        const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
        expect(status).toBe(7);
        expect(stdout).toMatch(/^mark-9 \d+\n/);
        expect(stdout.slice(stdout.indexOf('\n') + 1)).toBe(env.VALUE);
        expect(stderr).toBe('mark-9\n');
      }
    },
  );
}

test.each(VALUES)('the fake server understands what a session asks for (%j)', (value) => {
  const command = `echo ${quote(value)}`;
  for (const username of ['root', 'other']) {
    const { line } = frame(command, { mark: 'mark-1', username });
    expect(unwrapCommand(line)).toEqual({ command, stdout: 'mark-1 4242\n', stderr: 'mark-1\n' });
  }
});

test('secrets in variables are not in the command line of sudo', () => {
  const { line, head } = frame('true', { mark: 'm', username: 'other', env: { TOKEN: 'tell-nobody' } });
  expect(line).not.toContain('tell');
  expect(head).toContain('tell-nobody');
});

const PATTERNS: readonly [pattern: string, name: string, out: boolean][] = [
  ['*.pyc', 'a/b/c.pyc', true],
  ['*.pyc', 'a/b.pyc/c', false],
  ['.git', '.git', true],
  ['.git', 'x.git', false],
  ['/top', 'top', true],
  ['/top', 'a/top', false],
  ['a/*', 'a/b', true],
  ['a/*', 'a/b/c', false],
  ['a/**', 'a/b/c', true],
  ['**/x', 'x', true],
  ['**/x', 'a/b/x', true],
  ['a?c', 'abc', true],
  ['a?c', 'a/c', false],
  ['a.c', 'abc', false],
  ['build/', 'a/build', true],
  ['a+(b)[c]', 'a+(b)[c]', true],
  ['ü*', 'übung', true],
];
test.each(PATTERNS)('exclude %s: %s is left out: %s', (pattern, name, out) => {
  expect(exclusion([pattern])(Buffer.from(name))).toBe(out);
});
