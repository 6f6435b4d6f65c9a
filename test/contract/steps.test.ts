import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, type FakeExec, type FakeSsh, startFakeSsh } from '../../fixtures/fake-ssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import type { ComposeEvent } from '../../src/events.ts';
import { waitForCloudInit } from '../../src/guest/cloud-init.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import type { GuestSession } from '../../src/guest/session.ts';
import { runSteps, type Step } from '../../src/guest/steps.ts';

useRunningTime();

const user = generateKeys('user');
const host = generateKeys('host');

/** A guest that answers by what the command contains; the first row that fits holds. Everything else succeeds. */
type Script = readonly (readonly [match: string | RegExp, answer: (exec: FakeExec) => void])[];

function guestOf(script: Script): Promise<FakeSsh> {
  const onExec = (exec: FakeExec): void => {
    const row = script.find(([match]) => exec.command.search(match) >= 0);
    if (row === undefined) answer(exec.channel, 0);
    else row[1](exec);
  };
  return startFakeSsh({ hostKey: host.privateKey, onExec });
}

function logIn(guest: FakeSsh, signal = new AbortController().signal, budgetMs = 60_000): Promise<GuestSession> {
  const { privateKey } = user;
  return connectGuest(
    { host: '127.0.0.1', port: guest.port, username: 'root', privateKey, hostKey: host.publicKey, budgetMs },
    { emit: () => {}, signal },
  );
}

async function run(guest: FakeSsh, steps: readonly Step[], options: { signal?: AbortSignal; budgetMs?: number } = {}) {
  const events: ComposeEvent[] = [];
  const signal = options.signal ?? new AbortController().signal;
  const login = (): Promise<GuestSession> => logIn(guest, signal);
  const session = await login();
  const ran = runSteps(
    { session, reconnect: login, steps, rebootMs: options.budgetMs ?? 60_000 },
    { emit: (event) => events.push(event), signal },
  );
  const ended = await settle(ran, 60_000);
  await (ended.how === 'resolved' ? ended.value : session)[Symbol.asyncDispose]();
  return { ended, events };
}

const REBOOT: readonly Step[] = [{ kind: 'reboot' }];

test('a reboot step logs in again and goes on when the boot id differs', async () => {
  const boots = [randomUUID(), randomUUID()];
  await using guest = await guestOf([
    [/boot_id/, ({ channel, login }) => answer(channel, 0, `${boots[Math.min(login, 1)]}\n`)],
    [/reboot/, ({ drop }) => drop()],
  ]);
  const { ended } = await run(guest, [...REBOOT, { kind: 'shell', script: 'true' }]);
  expect(ended.how).toBe('resolved');
  expect(guest.commands.findIndex((command) => /reboot/.test(command))).toBeGreaterThan(-1);
});

test('a guest that never reboots fails with a code', async () => {
  const boot = randomUUID();
  await using guest = await guestOf([
    [/boot_id/, ({ channel }) => answer(channel, 0, `${boot}\n`)],
    [/reboot/, ({ drop }) => drop()],
  ]);
  const { ended } = await run(guest, REBOOT, { budgetMs: 2000 });
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'reboot.same-boot' } });
});

test('a server that is still up for a moment after the connection broke is waited out', async () => {
  const boots = [randomUUID(), randomUUID()];
  await using guest = await guestOf([
    [
      /boot_id/,
      ({ channel, login, drop }) => {
        answer(channel, 0, `${boots[login < 2 ? 0 : 1]}\n`);
        if (login === 1) setTimeout(drop, 200);
      },
    ],
    [/reboot/, ({ drop }) => drop()],
  ]);
  const { ended } = await run(guest, REBOOT);
  expect(ended.how).toBe('resolved');
});

test('a guest that ignores the request to reboot ends in an error within its budget', async () => {
  const boot = randomUUID();
  await using guest = await guestOf([[/boot_id/, ({ channel }) => answer(channel, 0, `${boot}\n`)]]);
  const { ended } = await run(guest, REBOOT, { budgetMs: 2000 });
  expect(ended.how).toBe('rejected');
});

test('aborting ends the wait for a reboot', async () => {
  const boot = randomUUID();
  const controller = new AbortController();
  await using guest = await guestOf([
    [/boot_id/, ({ channel }) => answer(channel, 0, `${boot}\n`)],
    [
      /reboot/,
      ({ channel }) => {
        answer(channel, 0);
        setTimeout(() => controller.abort(new Error('stop')), 200);
      },
    ],
  ]);
  const { ended } = await run(guest, REBOOT, { signal: controller.signal });
  expect(ended).toMatchObject({ how: 'rejected', error: { message: 'stop' } });
});

test('a script that reboots unannounced is ssh.lost, not a status', async () => {
  await using guest = await guestOf([[/script/, ({ drop }) => drop()]]);
  const { ended } = await run(guest, [{ kind: 'shell', script: 'reboot' }]);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'ssh.lost' } });
});

test('a step that fails stops the ones after it, and its phase ends as failed', async () => {
  await using guest = await guestOf([[/apt-get/, ({ channel }) => answer(channel, 100, '', 'E: no such package\n')]]);
  const steps: readonly Step[] = [
    { kind: 'packages', name: 'tools', install: ['nosuch'] },
    { kind: 'shell', script: 'echo never' },
  ];
  const { ended, events } = await run(guest, steps);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'step.failed', exitCode: 6 } });
  expect(JSON.stringify((ended as { error: unknown }).error)).toContain('no such package');
  expect(guest.commands).toHaveLength(1);
  expect(events.filter((event) => event.type === 'phase').map((event) => event.state)).toEqual(['start', 'failed']);
});

test('output is told while the step runs, each stream by itself', async () => {
  await using guest = await guestOf([
    [/apt-get/, ({ channel }) => answer(channel, 0, 'Reading package lists\n', 'W: careful\n')],
  ]);
  const { events } = await run(guest, [{ kind: 'packages', install: ['x'] }]);
  const output = events.filter((event) => event.type === 'output');
  expect(output).toContainEqual(expect.objectContaining({ stream: 'stdout', text: 'Reading package lists\n' }));
  expect(output).toContainEqual(expect.objectContaining({ stream: 'stderr', text: 'W: careful\n' }));
});

test('indexes are fetched once for packages steps in a row', async () => {
  await using guest = await guestOf([]);
  await run(guest, [
    { kind: 'packages', install: ['a'] },
    { kind: 'packages', install: ['b'] },
  ]);
  expect(guest.commands.map((command) => / update/.test(command))).toEqual([true, false]);
});

test('indexes are fetched again after a step that may have added a package source', async () => {
  await using guest = await guestOf([[/mktemp/, ({ channel }) => answer(channel, 0, '/tmp/x\n')]]);
  await run(guest, [
    { kind: 'packages', install: ['a'] },
    { kind: 'shell', script: 'add a source' },
    { kind: 'packages', install: ['b'] },
  ]);
  const apt = guest.commands.filter((command) => /apt-get/.test(command));
  expect(apt.map((command) => / update/.test(command))).toEqual([true, true]);
});

const CLOUD_INIT: readonly [reason: string, status: number, stdout: string, expected: string][] = [
  ['it is done', 0, 'status: done\n', 'done'],
  ['dots are printed while it waits', 0, '\n.......\nstatus: done\n', 'done'],
  ['done with recoverable errors, since 23.4', 2, 'status: done\n', 'done'],
  ['it is turned off', 0, 'status: disabled\n', 'disabled'],
];

test.each(CLOUD_INIT)('cloud-init: %s', async (_reason, status, stdout, expected) => {
  await using guest = await guestOf([[/status --wait/, ({ channel }) => answer(channel, status, stdout)]]);
  await using session = await logIn(guest);
  expect(await waitForCloudInit(session)).toBe(expected);
});

/** What the shell shows when it has waited: where cloud-init is, then its status.json. */
const shown = (stages: Record<string, object>): string =>
  `/usr/bin/cloud-init\n${JSON.stringify({ v1: { datasource: 'DataSourceNoCloud', stage: null, ...stages } })}`;
const WELL = { errors: [], start: 1.5, finished: 2.5 };

const SHOWN: readonly [what: string, status: number, stdout: string, asks: boolean][] = [
  ['every stage ended well', 0, shown({ init: WELL, 'modules-final': WELL }), false],
  [
    'a stage that this release does not run',
    0,
    shown({ init: WELL, 'modules-init': { errors: [], start: null } }),
    false,
  ],
  ['a stage has errors', 0, shown({ init: WELL, 'modules-final': { ...WELL, errors: ['boom'] } }), true],
  ['a stage has not ended', 0, shown({ init: WELL, 'modules-final': { ...WELL, finished: null } }), true],
  ['no stage has begun', 0, shown({ init: { errors: [], start: null, finished: null } }), true],
  ['its state is cut short', 0, '/usr/bin/cloud-init\n{"v1": {"init"', true],
  ['it was not turned on by its generator', 3, '/usr/bin/cloud-init\n', true],
];

test.each(SHOWN)(
  'cloud-init is asked itself only when its files do not tell: %s',
  async (_what, status, stdout, asks) => {
    let asked = 0;
    await using guest = await guestOf([
      [/result\.json/, ({ channel }) => answer(channel, status, stdout)],
      [
        /status --wait/,
        ({ channel }) => {
          asked++;
          answer(channel, 2, 'status: done\n');
        },
      ],
    ]);
    await using session = await logIn(guest);
    expect(await waitForCloudInit(session)).toBe('done');
    expect(asked).toBe(asks ? 1 : 0);
  },
);

test('cloud-init: a guest without it is ready', async () => {
  await using guest = await guestOf([[/command -v/, ({ channel }) => answer(channel, 127)]]);
  await using session = await logIn(guest);
  expect(await waitForCloudInit(session)).toBe('not installed');
});

test('cloud-init: a failure has its report and the end of its log', async () => {
  await using guest = await guestOf([
    [/status --wait/, ({ channel }) => answer(channel, 1, 'status: error\n')],
    [/status --long/, ({ channel }) => answer(channel, 1, 'status: error\ndetail: module x\n')],
    [/cloud-init\.log/, ({ channel }) => answer(channel, 0, 'Traceback: boom\n')],
  ]);
  await using session = await logIn(guest);
  const ended = await settle(waitForCloudInit(session), 5000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'cloud-init.failed' } });
  const text = JSON.stringify((ended as { error: unknown }).error);
  expect(text).toContain('module x');
  expect(text).toContain('boom');
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
  const { ended, events } = await run(guest, [{ ...SHELL, ...step } as Step]);
  if (code === undefined) expect(ended.how).toBe('resolved');
  else expect(ended).toMatchObject({ how: 'rejected', error: { code } });
  const told = events.filter((event) => event.type === 'log' && event.level === 'warn');
  expect(told).toHaveLength(warnings);
  for (const event of told) expect(JSON.stringify(event)).toContain('status 1');
});

test('a lost connection is never retried nor allowed', async () => {
  await using guest = await guestOf([[/exec '\/var\/tmp/, ({ drop }) => drop()]]);
  const { ended } = await run(guest, [{ ...SHELL, retries: 5, allowFailure: true }]);
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
  const { ended, events } = await run(guest, [{ ...SHELL, timeoutMs: 400, retries: 1 }]);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'step.timeout', exitCode: 6 } });
  expect(JSON.stringify(events)).toContain('try 1 of 2 failed: Cannot finish step 1: shell: it took longer than');
});

test('a step that ends the connection logs in again', async () => {
  await using guest = await guestOf([
    [
      /exec '\/var\/tmp/,
      ({ channel, drop }) => {
        answer(channel, 0);
        setTimeout(drop, 150);
      },
    ],
  ]);
  const { ended } = await run(guest, [
    { ...SHELL, expectDisconnect: true },
    { kind: 'shell', script: 'y' },
  ]);
  expect(ended.how).toBe('resolved');
  expect(guest.connections).toBe(2);
});

test('one that says so and leaves the connection as it is fails', async () => {
  await using guest = await guestOf([]);
  const { ended } = await run(guest, [{ ...SHELL, expectDisconnect: true, retries: 3 }], { budgetMs: 600 });
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'step.no-disconnect' } });
});

test('a breakpoint without anybody there is told and passed; downloads without a folder are refused', async () => {
  await using guest = await guestOf([]);
  const { ended, events } = await run(guest, [{ kind: 'breakpoint' }, { kind: 'download', from: '/a', to: 'a' }]);
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
  await run(guest, [step]);
  const ran = guest.commands.find((command) => command.includes('python3')) ?? '';
  expect(ran).toMatch(/^exec su -s \/bin\/sh -c '/);
  expect(ran).toMatch(/ 'www-data'$/);
  const inner = ran.slice(ran.indexOf("'") + 1, ran.lastIndexOf("' 'www-data'")).replaceAll("'\\''", "'");
  expect(inner).toMatch(
    /^cd '\/srv\/x y' && exec 'python3' '-u' '\/var\/tmp\/compose-[0-9a-f]{16}\/script' 'a'\\''b' '\$c'$/,
  );
});
