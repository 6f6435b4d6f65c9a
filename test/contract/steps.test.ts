/** Steps in a guest: their order, their output, their ends. */
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, type FakeExec, type FakeSsh } from '../../fixtures/fake-ssh.ts';
import { guestOf, logIn, runIn } from '../../fixtures/guest-script.ts';
import { runSteps, type Step } from '../../src/guest/steps.ts';

useRunningTime();

test('a step that fails stops the ones after it, and its phase ends as failed', async () => {
  await using guest = await guestOf([[/apt-get/, ({ channel }) => answer(channel, 100, '', 'E: no such package\n')]]);
  const steps: readonly Step[] = [
    { kind: 'packages', name: 'tools', install: ['nosuch'] },
    { kind: 'shell', script: 'echo never' },
  ];
  const { ended, events } = await runIn(guest, steps);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'step.failed', exitCode: 6 } });
  expect(JSON.stringify((ended as { error: unknown }).error)).toContain('no such package');
  expect(guest.commands).toHaveLength(1);
  expect(events.filter((event) => event.type === 'phase').map((event) => event.state)).toEqual(['start', 'failed']);
});

test('output is told while the step runs, each stream by itself', async () => {
  await using guest = await guestOf([
    [/apt-get/, ({ channel }) => answer(channel, 0, 'Reading package lists\n', 'W: careful\n')],
  ]);
  const { events } = await runIn(guest, [{ kind: 'packages', install: ['x'] }]);
  const output = events.filter((event) => event.type === 'output');
  expect(output).toContainEqual(expect.objectContaining({ stream: 'stdout', text: 'Reading package lists\n' }));
  expect(output).toContainEqual(expect.objectContaining({ stream: 'stderr', text: 'W: careful\n' }));
});

test('indexes are fetched once for packages steps in a row', async () => {
  await using guest = await guestOf([]);
  await runIn(guest, [
    { kind: 'packages', install: ['a'] },
    { kind: 'packages', install: ['b'] },
  ]);
  expect(guest.commands.map((command) => / update/.test(command))).toEqual([true, false]);
});

test('indexes are fetched again after a step that may have added a package source', async () => {
  await using guest = await guestOf([[/mktemp/, ({ channel }) => answer(channel, 0, '/tmp/x\n')]]);
  await runIn(guest, [
    { kind: 'packages', install: ['a'] },
    { kind: 'shell', script: 'add a source' },
    { kind: 'packages', install: ['b'] },
  ]);
  const apt = guest.commands.filter((command) => /apt-get/.test(command));
  expect(apt.map((command) => / update/.test(command))).toEqual([true, true]);
});

const SHELL = { kind: 'shell', script: 'x' } as const;

/** Status of each run of the script in turn; the last one holds for all further ones. */
function scriptOf(...statuses: readonly number[]): Promise<FakeSsh> {
  let round = 0;
  return guestOf([
    [
      /exec '\/var\/tmp/,
      ({ channel }) => answer(channel, statuses[Math.min(round++, statuses.length - 1)] ?? 0, '', 'why\n'),
    ],
  ]);
}

const ENDS: readonly [
  what: string,
  statuses: readonly number[],
  step: Partial<Step>,
  code: string | undefined,
  warnings: number,
][] = [
  ['a status that the step accepts is success', [194], { exitCodes: [0, 194] } as Partial<Step>, undefined, 0],
  ['with statuses of its own 0 may be a failure', [0], { exitCodes: [3] } as Partial<Step>, 'step.failed', 0],
  ['it is tried again as often as it says, each time told', [1, 1, 0], { retries: 2 }, undefined, 2],
  ['no more often than it says', [1], { retries: 2 }, 'step.failed', 2],
  ['a failure that is allowed is told and passed over', [1], { allowFailure: true }, undefined, 1],
];
test.each(ENDS)('a shell step: %s', async (_what, statuses, step, code, warnings) => {
  await using guest = await scriptOf(...statuses);
  const { ended, events } = await runIn(guest, [{ ...SHELL, ...step } as Step]);
  if (code === undefined) expect(ended.how).toBe('resolved');
  else expect(ended).toMatchObject({ how: 'rejected', error: { code } });
  const told = events.filter((event) => event.type === 'log' && event.level === 'warn');
  expect(told).toHaveLength(warnings);
  for (const event of told) expect(JSON.stringify(event)).toContain('status 1');
});

test('a lost connection is never retried nor allowed', async () => {
  await using guest = await guestOf([[/exec '\/var\/tmp/, ({ drop }) => drop()]]);
  const { ended } = await runIn(guest, [{ ...SHELL, retries: 5, allowFailure: true }]);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'ssh.lost' } });
  expect(guest.commands.filter((command) => /exec '\/var\/tmp/.test(command))).toHaveLength(1);
});

test('a step that takes too long is its own failure, and is ended in the guest', async () => {
  let slow: FakeExec['channel'] | undefined;
  await using guest = await guestOf([
    [
      /exec '\/var\/tmp/,
      ({ channel }) => {
        slow = channel;
      },
    ],
    [
      /k 4242 TERM$/,
      ({ channel }) => {
        slow?.exit('TERM', false, '');
        slow?.end();
        answer(channel, 0);
      },
    ],
  ]);
  const { ended, events } = await runIn(guest, [{ ...SHELL, timeoutMs: 400, retries: 1 }]);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'step.timeout', exitCode: 6 } });
  expect(JSON.stringify(events)).toContain('try 1 of 2 failed: Cannot finish step 1: shell: it took longer than');
});

test('a breakpoint without anybody there is told and passed; downloads without a folder are refused', async () => {
  await using guest = await guestOf([]);
  const { ended, events } = await runIn(guest, [{ kind: 'breakpoint' }, { kind: 'download', from: '/a', to: 'a' }]);
  expect(JSON.stringify(events)).toContain('nobody is there');
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'download.no-folder' } });
});

test('whoever is asked may have a step run once more', async () => {
  await using guest = await scriptOf(1, 0);
  const session = await logIn(guest);
  const asked: string[] = [];
  const last = await runSteps(
    {
      session,
      reconnect: () => logIn(guest),
      steps: [{ ...SHELL, name: 'mine' }],
      onFailure: async ({ title, error }) => {
        asked.push(`${title} ${(error as { code: string }).code}`);
        return 'retry';
      },
    },
    { emit: () => {}, signal: new AbortController().signal },
  );
  await last[Symbol.asyncDispose]();
  expect(asked).toEqual(['step 1: mine step.failed']);
});

test('interpreter, folder, account and arguments are words of their own', async () => {
  await using guest = await guestOf([]);
  const step = { ...SHELL, interpreter: 'python3 -u', args: ["a'b", '$c'], cwd: '/srv/x y', user: 'www-data' };
  await runIn(guest, [step]);
  const ran = guest.commands.find((command) => command.includes('python3')) ?? '';
  expect(ran).toMatch(/^exec su -s \/bin\/sh -c '/);
  expect(ran).toMatch(/ 'www-data'$/);
  const inner = ran.slice(ran.indexOf("'") + 1, ran.lastIndexOf("' 'www-data'")).replaceAll("'\\''", "'");
  expect(inner).toMatch(
    /^cd '\/srv\/x y' && exec 'python3' '-u' '\/var\/tmp\/compose-[0-9a-f]{16}\/script' 'a'\\''b' '\$c'$/,
  );
});
