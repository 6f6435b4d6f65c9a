/** Steps that end the connection, on purpose or not. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer } from '../../fixtures/fake-ssh.ts';
import { guestOf, runIn } from '../../fixtures/guest-script.ts';
import type { Step } from '../../src/guest/steps.ts';

useRunningTime();

const SHELL = { kind: 'shell', script: 'x' } as const;
const REBOOT: readonly Step[] = [{ kind: 'reboot' }];

test('a reboot step logs in again and goes on when the boot id differs', async () => {
  const boots = [randomUUID(), randomUUID()];
  await using guest = await guestOf([
    [/boot_id/, ({ channel, login }) => answer(channel, 0, `${boots[Math.min(login, 1)]}\n`)],
    [/reboot/, ({ drop }) => drop()],
  ]);
  const { ended } = await runIn(guest, [...REBOOT, { kind: 'shell', script: 'true' }]);
  expect(ended.how).toBe('resolved');
  expect(guest.commands.findIndex((command) => /reboot/.test(command))).toBeGreaterThan(-1);
});

test('a guest that never reboots fails with a code', async () => {
  const boot = randomUUID();
  await using guest = await guestOf([
    [/boot_id/, ({ channel }) => answer(channel, 0, `${boot}\n`)],
    [/reboot/, ({ drop }) => drop()],
  ]);
  const { ended } = await runIn(guest, REBOOT, { budgetMs: 2000 });
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
  const { ended } = await runIn(guest, REBOOT);
  expect(ended.how).toBe('resolved');
});

test('a guest that ignores the request to reboot ends in an error within its budget', async () => {
  const boot = randomUUID();
  await using guest = await guestOf([[/boot_id/, ({ channel }) => answer(channel, 0, `${boot}\n`)]]);
  const { ended } = await runIn(guest, REBOOT, { budgetMs: 2000 });
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
  const { ended } = await runIn(guest, REBOOT, { signal: controller.signal });
  expect(ended).toMatchObject({ how: 'rejected', error: { message: 'stop' } });
});

test('a script that reboots unannounced is ssh.lost, not a status', async () => {
  await using guest = await guestOf([[/script/, ({ drop }) => drop()]]);
  const { ended } = await runIn(guest, [{ kind: 'shell', script: 'reboot' }]);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'ssh.lost' } });
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
  const { ended } = await runIn(guest, [
    { ...SHELL, expectDisconnect: true },
    { kind: 'shell', script: 'y' },
  ]);
  expect(ended.how).toBe('resolved');
  expect(guest.connections).toBe(2);
});

test('one that says so and leaves the connection as it is fails', async () => {
  await using guest = await guestOf([]);
  const { ended } = await runIn(guest, [{ ...SHELL, expectDisconnect: true, retries: 3 }], { budgetMs: 600 });
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'step.no-disconnect' } });
});

test.each([
  ['a restart', { kind: 'reboot' }, 'reboot.same-boot'],
  ['a step that says it ends the connection', { ...SHELL, expectDisconnect: true }, 'step.no-disconnect'],
] as const)('what %s may take grows with the time scale of the accelerator', async (_, step, code) => {
  const boot = randomUUID();
  await using guest = await guestOf([[/boot_id/, ({ channel }) => answer(channel, 0, `${boot}\n`)]]);
  const took = async (timeScale: number): Promise<number> => {
    const start = process.hrtime.bigint();
    const { ended } = await runIn(guest, [step], { timeScale });
    expect(ended).toMatchObject({ how: 'rejected', error: { code } });
    return Number(process.hrtime.bigint() - start) / 1e6;
  };
  // Two minutes at a scale of 1, for which nobody waits here.
  await took(0.001);
  expect(await took(0.015)).toBeGreaterThan(1_800);
});
