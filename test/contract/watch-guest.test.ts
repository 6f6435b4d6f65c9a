import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, type FakeQmp, fakeQmp } from '../../fixtures/fake-qmp.ts';
import { Milestones } from '../../src/machine/milestones.ts';
import { QmpSession } from '../../src/machine/qmp.ts';
import type { SerialConsole } from '../../src/machine/serial.ts';
import { Watch, type WatchBudgets, watchBudgets } from '../../src/machine/watch-guest.ts';

useRunningTime();

/** A console of a system that has come up, and says nothing more. */
const UP = { up: true, read: 0, cloudInitRuns: false, unknownUser: undefined, tail: () => ['login:'] };

const ANSWERS = { answerMs: 400, unattendedAnswerMs: 1_000 };

/** A console on which nothing has come up. */
const DOWN = { ...UP, up: false, tail: () => ['Booting the kernel.'] };

interface Processors {
  /** Process whose only thread is the guest's processors. */
  readonly pid: number;
  readonly emulatedCpus: number;
}

/** The watch of a guest that does nothing, on a QEMU that answers no look from the `silentFrom`th on; or of one that computes. */
async function watchOf(silentFrom: number, over: Partial<WatchBudgets> = {}, computes?: Processors) {
  let looks = 0;
  const threads = computes === undefined ? [] : [{ 'thread-id': computes.pid }];
  const onCommand: FakeQmp['onCommand'] = ({ execute, id }) => {
    if (execute !== 'query-blockstats') return execute === 'query-cpus-fast' ? answer(id, threads) : undefined;
    looks++;
    return looks < silentFrom ? answer(id, []) : '';
  };
  const server = await fakeQmp({ onCommand });
  const qmp = await QmpSession.connect(server.path, { signal: new AbortController().signal });
  let fail = (_: unknown): void => {};
  const failure = new Promise<unknown>((resolve) => {
    fail = resolve;
  });
  const budgets = { ...watchBudgets(1), beatMs: 20, ...ANSWERS, quietMs: 1, stallMs: 1, spinMs: 1, ...over };
  const serial = (computes === undefined ? UP : DOWN) as unknown as SerialConsole;
  const common = { name: 'guest', runDir: '', hasNetwork: false, pid: process.pid, ...computes };
  const watch = new Watch({ ...common, qmp, serial, budgets, milestones: new Milestones(() => {}), fail });
  return {
    watch,
    failure,
    looks: () => looks,
    [Symbol.asyncDispose]: async () => {
      await watch[Symbol.asyncDispose]();
      await qmp[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test('a QEMU that falls silent when nobody waits for its guest any more is noticed all the same', async () => {
  await using watched = await watchOf(20);
  await (await watched.watch.attend({}))[Symbol.asyncDispose]();
  // Idle as it is: that nobody waits for.
  expect(await watched.failure).toMatchObject({
    code: 'qemu.unresponsive',
    // Longer than where somebody waits.
    message: expect.stringContaining('for 1 s'),
    evidence: { serial: ['login:'] },
  });
  // Asked twice before it was given up.
  expect(watched.looks()).toBe(21);
});

test.each([
  [2, /Build it with --cpus 1/],
  [1, /what it was about to do\.$/],
  [0, /what it was about to do\.$/],
])('a guest that computes to no effect on %i emulated processors', async (emulatedCpus, hint) => {
  const busy = spawn('sh', ['-c', 'echo begun; while :; do :; done'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    await once(busy.stdout, 'data');
    const computes = { pid: busy.pid ?? 0, emulatedCpus };
    await using watched = await watchOf(Number.POSITIVE_INFINITY, { stallMs: 600_000, spinMs: 200 }, computes);
    await watched.watch.attend({});
    expect(await watched.failure).toMatchObject({
      code: 'boot.livelock',
      message: expect.stringMatching(/have run for \d+ s to no effect/),
      hint: expect.stringMatching(hint),
      evidence: { serial: ['Booting the kernel.'] },
    });
  } finally {
    busy.kill('SIGKILL');
  }
});

test('once the watch is over nothing more is asked', async () => {
  await using watched = await watchOf(Number.POSITIVE_INFINITY);
  await (await watched.watch.attend({}))[Symbol.asyncDispose]();
  await expect.poll(watched.looks, { interval: 5 }).toBeGreaterThan(3);
  await watched.watch[Symbol.asyncDispose]();
  const { looks } = watched;
  // One may be under way.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const after = looks();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(looks()).toBe(after);
});

test('a QEMU that falls silent while somebody waits for its guest is given up sooner', async () => {
  await using watched = await watchOf(1, { ...ANSWERS, unattendedAnswerMs: 600_000 });
  await watched.watch.attend({});
  expect(await watched.failure).toMatchObject({
    code: 'qemu.unresponsive',
    message: expect.stringContaining('for 0 s'),
  });
});

test('who follows a guest is told once that it is quiet, and once that nothing goes on any more', async () => {
  await using watched = await watchOf(Number.POSITIVE_INFINITY, { stepQuietMs: 200, stepStallMs: 400 });
  const told: string[] = [];
  using _following = watched.watch.follow({
    onQuiet: ({ ms }) => told.push(`quiet ${ms >= 200}`),
    onStall: ({ ms, evidence }) => told.push(`stalled ${ms >= 400} ${evidence.serial}`),
  });
  await expect.poll(() => told.length, { interval: 5 }).toBe(2);
  const { looks } = watched;
  const now = looks();
  await expect.poll(looks, { interval: 5 }).toBeGreaterThan(now + 30);
  expect(told).toEqual(['quiet true', 'stalled true login:']);
});

test('progress the machine does not show begins the count anew, and the end of following ends it', async () => {
  await using watched = await watchOf(Number.POSITIVE_INFINITY, { stepQuietMs: 150, stepStallMs: 400 });
  const { looks } = watched;
  const told: string[] = [];
  const following = watched.watch.follow({ onQuiet: () => told.push('quiet'), onStall: () => told.push('stalled') });
  await expect.poll(() => told, { interval: 5 }).toEqual(['quiet']);
  for (const until of [looks() + 10, looks() + 20, looks() + 30]) {
    following.moved();
    await expect.poll(looks, { interval: 5 }).toBeGreaterThan(until);
  }
  expect(told).not.toContain('stalled');
  following[Symbol.dispose]();
  const [before, now] = [told.length, looks()];
  await expect.poll(looks, { interval: 5 }).toBeGreaterThan(now + 40);
  expect(told.length).toBe(before);
});
