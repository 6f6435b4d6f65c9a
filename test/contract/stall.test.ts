/** Steps in whose guest nothing goes on. */
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, type FakeExec } from '../../fixtures/fake-ssh.ts';
import { FakeWatch, still } from '../../fixtures/fake-watch.ts';
import { guestOf, runIn, type Script } from '../../fixtures/guest-script.ts';
import type { Step } from '../../src/guest/steps.ts';

useRunningTime();

const WAITS = { kind: 'shell', name: 'set a password', script: 'read -r x' } as const;
const SCRIPT = /exec '\/var\/tmp/;

/** A guest whose script asks something and waits, until it is killed. */
function asking(): Script {
  let waits: FakeExec['channel'] | undefined;
  return [
    [
      SCRIPT,
      ({ channel }) => {
        waits = channel;
        channel.write('preparing\nPassword? ');
      },
    ],
    [
      /k 4242 TERM$/,
      ({ channel }) => {
        waits?.exit('TERM', false, '');
        waits?.end();
        answer(channel, 0);
      },
    ],
  ];
}

/** Runs `steps`; as soon as one waits the guest is found still. */
async function runStill(script: Script, steps: readonly Step[], tell: (watch: FakeWatch) => void) {
  const watch = new FakeWatch();
  await using guest = await guestOf(script);
  const ran = runIn(guest, steps, { watch });
  const waits = (): boolean => watch.moves > 0 && watch.follower !== undefined;
  await expect.poll(waits, { interval: 5 }).toBe(true);
  tell(watch);
  return { ...(await ran), watch, commands: guest.commands };
}

const warnings = (events: readonly { type: string; level?: string }[]) =>
  events.filter(({ type, level }) => type === 'log' && level === 'warn');

test('a step in which nothing goes on is told of by its name and its last output, and fails after longer', async () => {
  const { ended, events, commands, watch } = await runStill(asking(), [WAITS], ({ follower }) => {
    follower?.onQuiet(still({ ms: 120_000 }));
    follower?.onStall(still({ ms: 600_000 }));
  });
  expect(warnings(events)).toEqual([
    expect.objectContaining({
      phase: 'step 1: set a password',
      message: expect.stringMatching(/^nothing has gone on for 2 min 00 s: .*; its last output: Password\?$/),
    }),
  ]);
  expect(ended).toMatchObject({
    how: 'rejected',
    error: {
      code: 'step.stalled',
      exitCode: 6,
      message: 'Cannot finish step 1: set a password: nothing has gone on in the guest for 10 min 00 s',
      evidence: { lastOutput: 'Password?', serial: ['host login: '] },
    },
  });
  // The command is ended in the guest, and its folder removed.
  expect(commands.some((command) => /k 4242 TERM$/.test(command))).toBe(true);
  expect(commands.at(-1)).toMatch(/^rm -rf '\/var\/tmp\/compose-/);
  expect(watch.follower).toBeUndefined();
});

test('a step with a timeout of its own is told of, and fails by that alone', async () => {
  const { ended, events } = await runStill(asking(), [{ ...WAITS, timeoutMs: 600 }], ({ follower }) => {
    follower?.onQuiet(still({ ms: 120_000 }));
    follower?.onStall(still({ ms: 600_000 }));
  });
  expect(warnings(events)).toHaveLength(1);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'step.timeout' } });
});

test('a step that stalled is tried again where it says so', async () => {
  let round = 0;
  const script = asking();
  const waits = script[0]![1];
  const second: Script = [[SCRIPT, (exec) => (round++ === 0 ? waits(exec) : answer(exec.channel, 0))], script[1]!];
  const { ended, watch } = await runStill(second, [{ ...WAITS, retries: 1 }], ({ follower }) =>
    follower?.onStall(still()),
  );
  expect(ended.how).toBe('resolved');
  expect(watch.followed).toBe(2);
});

test('a restart in which nothing goes on fails too, and is not tried again on the connection it ends', async () => {
  const watch = new FakeWatch();
  await using guest = await guestOf([[/boot_id/, ({ channel }) => answer(channel, 0, 'one\n')]]);
  const ran = runIn(guest, [{ kind: 'reboot', retries: 3, allowFailure: true }], { watch });
  await expect.poll(() => guest.commands.some((command) => /reboot/.test(command)), { interval: 5 }).toBe(true);
  watch.follower?.onStall(still());
  expect(await ran).toMatchObject({
    ended: { how: 'rejected', error: { code: 'step.stalled', message: expect.stringContaining('step 1: reboot') } },
  });
  expect(watch.followed).toBe(1);
});

test('nobody follows the guest at a breakpoint', async () => {
  const watch = new FakeWatch();
  await using guest = await guestOf([]);
  const { ended } = await runIn(guest, [{ kind: 'breakpoint' }], { watch });
  expect(ended.how).toBe('resolved');
  expect(watch.followed).toBe(0);
});
