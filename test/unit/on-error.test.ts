import { expect, test } from 'vitest';
import { type Choice, ErrorPolicy, type OnError, type Operator } from '../../src/build/on-error.ts';
import type { ComposeEvent } from '../../src/events.ts';
import type { GuestSession } from '../../src/guest/session.ts';

/** An operator who gives these answers in turn, and a guest that writes its data out when asked. */
function scene(mode: OnError, answers: readonly Choice[] | undefined, shellFails = false) {
  const done: string[] = [];
  const left = [...(answers ?? [])];
  const operator: Operator = {
    choose: async ({ what, about }, choices, shown) => {
      const told = shown ? '' : [what, ...about].join(', ');
      done.push(`asked about ${told || 'the same'}: ${choices.join()}`);
      return left.shift() ?? 'keep';
    },
    shell: async (_session, failed) => {
      done.push(failed === undefined ? 'shell' : `shell for ${failed.what}: ${(failed.error as Error).message}`);
      if (shellFails) throw new Error('the connection broke');
    },
    pause: async (lines) => void done.push(`pause: ${lines.join(' | ')}`),
  };
  const session = { exec: async (command: string) => void done.push(command) } as unknown as GuestSession;
  const emit = (event: ComposeEvent): void => {
    if (event.type === 'log' && event.level === 'warn') done.push(`warning: ${event.message}`);
  };
  const policy = new ErrorPolicy(mode, answers === undefined ? undefined : operator, {
    emit,
    signal: new AbortController().signal,
  });
  const failure = { step: { kind: 'reboot' }, title: 'step 1', error: new Error('why'), session } as const;
  return { policy, done, failed: () => policy.stepFailed(failure), keeps: () => policy.keeps(failure.error) };
}

test('keep: the guest writes out its data, and the run stays', async () => {
  const { done, failed, keeps } = scene('keep', undefined);
  expect([await failed(), await keeps()]).toEqual(['fail', true]);
  expect(done).toEqual(['sync']);
});

test('clean: nothing is asked of the guest, and the run goes', async () => {
  const { done, failed, keeps } = scene('clean', []);
  expect([await failed(), await keeps()]).toEqual(['fail', false]);
  expect(done).toEqual([]);
});

test('shell: opens once, then the run is kept', async () => {
  const { done, failed, keeps } = scene('shell', []);
  expect([await failed(), await keeps()]).toEqual(['fail', true]);
  expect(done).toEqual(['shell for step 1: why', 'sync']);
});

test.each(['shell', 'ask'] as const)('%s without a terminal is as keep, and says so', async (mode) => {
  const { done, failed, keeps } = scene(mode, undefined);
  expect([await failed(), await keeps()]).toEqual(['fail', true]);
  expect(done.filter((line) => line.startsWith('warning: '))).toHaveLength(1);
  expect(done).toContain('sync');
});

test('ask: until an answer ends it; it is not asked again for the build', async () => {
  const { done, failed, keeps } = scene('ask', ['shell', 'shell', 'clean']);
  expect([await failed(), await keeps()]).toEqual(['fail', false]);
  const choices = 'retry,shell,keep,clean';
  const again = `asked about the same: ${choices}`;
  expect(done).toEqual([`asked about step 1: ${choices}`, 'shell', again, 'shell', again]);
});

test('ask: retry runs the step again', async () => {
  const { failed, keeps } = scene('ask', ['retry', 'keep']);
  expect(await failed()).toBe('retry');
  expect(await failed()).toBe('fail');
  expect(await keeps()).toBe(true);
});

test('ask: a failure outside the steps is asked about too, with fewer answers', async () => {
  const { done, keeps } = scene('ask', ['clean']);
  expect(await keeps()).toBe(false);
  expect(done).toEqual(['asked about the build: keep,clean']);
});

test('a guest that has gone has no shell, which does not hide why the step failed', async () => {
  const { done, failed } = scene('shell', [], true);
  expect(await failed()).toBe('fail');
  expect(done).toContain('warning: no shell: the connection broke');
});

test('who is asked is told how to get at the run', async () => {
  const { policy, done } = scene('ask', []);
  const step = { step: { kind: 'reboot' }, title: 'step 1', error: new Error('why'), session: {} } as never;
  await policy.stepFailed(step, { ssh: 'ssh -p 1 root@h', runDir: '/r' }).catch(() => {});
  const [asked] = done;
  expect(asked).toContain('asked about step 1, log in: ssh -p 1 root@h, key: /r/id_ed25519, run folder: /r: retry');
  const later = scene('ask', ['clean']);
  expect(await later.policy.keeps(new Error('why'), '/r')).toBe(false);
  expect(later.done).toEqual(['asked about the build, run folder: /r: keep,clean']);
});

test('a breakpoint shows how to get in', async () => {
  const { policy, done } = scene('keep', []);
  await policy.breakpoint('step 3', 'look', { ssh: 'ssh -p 1 root@h', runDir: '/r' });
  expect(done).toEqual(['pause: step 3: look | log in: ssh -p 1 root@h | key: /r/id_ed25519 | run folder: /r']);
  const nobody = scene('keep', undefined);
  await nobody.policy.breakpoint('step 3', undefined, { ssh: 'ssh', runDir: '/r' });
  expect(nobody.done[0]).toContain('passed by');
});
