import { expect, test } from 'vitest';
import { cannotServe, startOpenSsh } from '../../fixtures/fake-ssh-openssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { quietContext } from '../../src/events.ts';
import { type Keepalive, keepaliveFor } from '../../src/guest/attempt.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import { generateKeys } from '../../src/guest/keys.ts';

const missing = cannotServe('sshd', 'unshare');
const real = test.skipIf(missing !== undefined);
const note = missing === undefined ? '' : ` (skipped: ${missing})`;

/** How long the server stands still where that is allowed for, ms: longer than SHORT allows. */
const STILL = 6_000;
/** Far longer than a server on a busy machine may take to answer. */
const SHORT: Keepalive = { intervalMs: 100, countMax: 50 };
const LONG: Keepalive = { intervalMs: 100, countMax: 1200 };

/** Prints the processes above the command's shell, nearest first, each with its name. */
const ABOVE =
  'at=$$; while at=$(sed -n "s/^PPid:[[:space:]]*//p" /proc/$at/status); [ "$at" -gt 1 ]; do echo "$at $(cat /proc/$at/comm)"; done';

for (const [what, keepalive, lost] of [
  ['is lost when it is silent for longer than asked for', SHORT, true],
  ['survives a server that stands still, where that is allowed for', LONG, false],
] as const) {
  real(`a session ${what}${note}`, async () => {
    const [user, host] = [generateKeys('user'), generateKeys('host')];
    await using server = await startOpenSsh({ hostKey: host, authorizedKey: user.publicKey });
    await using session = await connectGuest(
      {
        host: '127.0.0.1',
        port: server.port,
        username: 'root',
        privateKey: user.privateKey,
        hostKey: host.publicKey,
        budgetMs: 60_000,
        keepalive,
      },
      quietContext(),
    );
    // The last of them listens; what stands above the command before it serves this session alone.
    const above = (await session.run(ABOVE)).stdout.trim().split('\n');
    const servers = above.filter((line) => / sshd/.test(line)).map((line) => Number.parseInt(line, 10));
    expect(servers.length).toBeGreaterThan(1);
    const serving = servers.slice(0, -1);
    for (const pid of serving) process.kill(pid, 'SIGSTOP');
    let awake = false;
    const wake = (): void => {
      awake = true;
      for (const pid of serving) process.kill(pid, 'SIGCONT');
    };
    const timer = lost ? undefined : setTimeout(wake, STILL);
    try {
      const ended = await settle(session.run('echo there'), 90_000);
      if (lost) expect(ended).toMatchObject({ how: 'rejected', error: { code: 'ssh.lost' } });
      else expect(ended).toMatchObject({ how: 'resolved', value: { stdout: 'there\n' } });
      expect(awake).toBe(!lost);
    } finally {
      clearTimeout(timer);
      for (const pid of serving) {
        try {
          process.kill(pid, 'SIGCONT');
        } catch {
          // It has ended.
        }
      }
    }
  });
}

test('the allowance grows with the time scale, the questions do not come less often', () => {
  expect(keepaliveFor(1)).toEqual({ intervalMs: 15_000, countMax: 8 });
  expect(keepaliveFor(10)).toEqual(keepaliveFor(1));
  expect(keepaliveFor(23)).toEqual({ intervalMs: 15_000, countMax: 19 });
});
