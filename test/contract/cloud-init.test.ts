/** Waiting for cloud-init in a guest. */
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer } from '../../fixtures/fake-ssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { guestOf, logIn } from '../../fixtures/guest-script.ts';
import { waitForCloudInit } from '../../src/guest/cloud-init.ts';

useRunningTime();

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

test('cloud-init: one that never finishes is given up after its time, with what it tells about itself', async () => {
  let end = (): void => {};
  await using guest = await guestOf([
    // A command of the user-data waits for input, until it is killed.
    [
      /result\.json/,
      ({ channel }) => {
        end = () => answer(channel, 143);
      },
    ],
    [
      /; k \d+ TERM$/,
      ({ channel }) => {
        end();
        answer(channel, 0);
      },
    ],
    [/status --long/, ({ channel }) => answer(channel, 0, 'status: running\ndetail: config-runcmd\n')],
    [/cloud-init\.log/, ({ channel }) => answer(channel, 0, 'WARNING: late\n')],
  ]);
  await using session = await logIn(guest);
  const error = {
    code: 'cloud-init.failed',
    message: 'Cannot provision the guest: cloud-init has not finished within 2.0 s',
    evidence: { report: ['status: running', 'detail: config-runcmd'], log: ['WARNING: late'] },
  };
  const ended = await settle(waitForCloudInit(session, { timeoutMs: 2_000 }), 60_000);
  expect(ended).toMatchObject({ how: 'rejected', error });
});
