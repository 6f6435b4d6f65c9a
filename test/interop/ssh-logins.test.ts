import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { awkwardKey } from '../../fixtures/awkward-keys.ts';
import {
  cannotServe,
  type RealServer,
  type RealServerOptions,
  startDropbear,
  startOpenSsh,
  TEST_USER,
} from '../../fixtures/fake-ssh-openssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { registerSecret } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import type { GuestSession } from '../../src/guest/session.ts';
import { upload } from '../../src/guest/upload.ts';

const missing = cannotServe('sshd', 'dropbear', 'unshare', 'sudo');
const named = (name: string): string => (missing === undefined ? name : `${name} (skipped: ${missing})`);
const real = test.skipIf(missing !== undefined);

// Keys that a careless writer or reader gets wrong.
const user = awkwardKey(1);
const host = awkwardKey(3);

function serve(more: Partial<RealServerOptions> = {}, kind = startOpenSsh): Promise<RealServer> {
  return kind({ hostKey: host, authorizedKey: user.publicKey, ...more });
}

function logIn(server: RealServer, username = 'root', transcript?: string): Promise<GuestSession> {
  const { privateKey } = user;
  const login = { host: '127.0.0.1', port: server.port, username, privateKey, hostKey: host.publicKey };
  return connectGuest({ ...login, budgetMs: 60_000, transcript }, quietContext());
}

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'compose-logins-'));
  await chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const NOISE = 'echo Welcome to this machine\nprintf "no line end"\necho and on the other stream >&2\n';
const SHELLS: readonly [name: string, shell: string, file: string, text: string][] = [
  ['bash with a start-up file that prints', '/bin/bash', '.bashrc', NOISE],
  ['csh', '/usr/bin/tcsh', '.cshrc', 'echo Welcome to this machine\nset prompt="x"\n'],
  ['fish', '/usr/bin/fish', '.config/fish/config.fish', NOISE],
  ['dash', '/bin/dash', '.profile', NOISE],
];
for (const [name, shell, file, text] of SHELLS) {
  const there = existsSync(shell);
  for (const username of ['root', TEST_USER]) {
    test.skipIf(missing !== undefined || !there)(
      named(`a login shell of ${name} (${username})${there ? '' : ` (skipped: needs ${shell})`}`),
      async () => {
        await using server = await serve({ shell, home: { [file]: text } });
        await using session = await logIn(server, username);
        const env = { VALUE: `a'b "c" $d !e \\f\n*` };
        const result = await session.exec('printf %s "$VALUE"; echo err >&2; exit 5', { env });
        expect(result).toMatchObject({ how: 'exited', exitCode: 5, stdout: env.VALUE, stderr: 'err\n' });
        expect((await session.run('id -u')).stdout).toBe('0\n');
        await using place = await folder();
        const content = Buffer.from([0, 1, 2, 255]);
        await upload(session, [{ path: join(place.path, 'file'), content }]);
        expect(await readFile(join(place.path, 'file'))).toEqual(content);
      },
    );
  }
}

const REFUSALS: readonly [what: string, options: Partial<RealServerOptions>, code: string][] = [
  ['sudo that asks for a password', { sudoers: [`${TEST_USER} ALL=(ALL) ALL`] }, 'sudo.password'],
  [
    'sudo that wants a terminal',
    { sudoers: ['Defaults requiretty', `${TEST_USER} ALL=(ALL) NOPASSWD:ALL`] },
    'sudo.needs-tty',
  ],
  ['sudo that allows something else', { sudoers: [`${TEST_USER} ALL=(ALL) NOPASSWD:/bin/true`] }, 'sudo.password'],
  ['no sudo and no doas', { programs: { '/usr/bin/sudo': undefined, '/usr/bin/doas': undefined } }, 'sudo.missing'],
  ['an account without a shell', { shell: '/usr/sbin/nologin' }, 'ssh.no-shell'],
];
for (const [what, options, code] of REFUSALS) {
  real(named(`${what} is refused clearly`), async () => {
    await using server = await serve(options);
    await using session = await logIn(server, TEST_USER);
    const ended = await settle(session.exec('id -u'), 60_000);
    expect(ended).toMatchObject({ how: 'rejected', error: { code, exitCode: 6 } });
    expect((ended as { error: { hint: string } }).error.hint).not.toBe('');
  });
}

const noDoas = missing ?? (existsSync('/usr/bin/doas') ? undefined : 'needs doas');
for (const [rule, code] of [
  [`permit nopass ${TEST_USER}\n`, undefined],
  [`permit ${TEST_USER}\n`, 'sudo.password'],
  ['permit nopass root\n', 'sudo.refused'],
] as const) {
  test.skipIf(noDoas !== undefined)(
    `doas where there is no sudo: ${rule.trim()}${noDoas === undefined ? '' : ` (skipped: ${noDoas})`}`,
    async () => {
      await using server = await serve({ doas: rule, programs: { '/usr/bin/sudo': undefined } });
      await using session = await logIn(server, TEST_USER);
      const ended = await settle(session.run('id -u; printf %s "$V"', { env: { V: 'x y' } }), 60_000);
      if (code === undefined) expect(ended).toMatchObject({ how: 'resolved', value: { stdout: '0\nx y' } });
      else expect(ended).toMatchObject({ how: 'rejected', error: { code } });
    },
  );
}

real(named('a command may run as another account'), async () => {
  for (const username of ['root', TEST_USER]) {
    await using server = await serve();
    await using session = await logIn(server, username);
    const result = await session.exec('id -un; echo "$HOME/$V"; exit 9', { user: 'daemon', env: { V: "a 'b'" } });
    expect(result).toMatchObject({ exitCode: 9, stdout: "daemon\n/usr/sbin/a 'b'\n" });
    expect(await session.exec('true', { user: 'no-such-account' })).toMatchObject({ how: 'exited' });
  }
});

for (const kind of [startOpenSsh, startDropbear]) {
  real(named(`a command that runs out of time ends in the guest, with all it started (${kind.name})`), async () => {
    await using server = await serve({}, kind);
    await using session = await logIn(server);
    // A number of seconds that no other test sleeps for.
    const mark = `3${randomInt(1e6, 1e7)}`;
    const command = `sh -c 'sleep ${mark}; true'; sleep ${mark}`;
    const ended = await settle(session.exec(command, { timeoutMs: 700 }), 60_000);
    expect(ended).toMatchObject({ how: 'rejected', error: { code: 'command.timeout' } });
    const left = (): string[] => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n');
    await expect.poll(() => left().filter((line) => line.startsWith(`sleep ${mark}`))).toEqual([]);
    expect((await session.run('echo there')).stdout).toBe('there\n');
  });
}

real(named('one that ignores the request to end is ended all the same, under sudo too'), async () => {
  await using server = await serve();
  await using session = await logIn(server, TEST_USER);
  const command = "trap '' TERM; while :; do sleep 0.2; done";
  const ended = await settle(session.exec(command, { timeoutMs: 700 }), 60_000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'command.timeout' } });
  expect((await session.run('echo there')).stdout).toBe('there\n');
});

real(named('standard output and standard error stay apart, and every end has its kind'), async () => {
  for (const username of ['root', TEST_USER]) {
    await using server = await serve();
    await using session = await logIn(server, username);
    expect(await session.attempt('echo o; echo e >&2; exit 3')).toMatchObject({
      how: 'exited',
      exitCode: 3,
      stdout: 'o\n',
      stderr: 'e\n',
      dropped: { stdout: 0, stderr: 0 },
    });
    expect(await session.attempt('kill -USR1 $$')).toMatchObject({ how: 'signalled', signal: 'SIGUSR1' });
    const much = await session.attempt('head -c 3000000 /dev/zero | tr "\\0" x');
    expect(much).toMatchObject({ how: 'exited', dropped: { stdout: 3_000_000 - 1024 * 1024 } });
  }
});

real(named('a connection that breaks is an answer to an attempt'), async () => {
  await using server = await serve();
  await using session = await logIn(server);
  session.expectEnd();
  expect(await session.attempt('kill -KILL $PPID; sleep 5')).toMatchObject({
    how: 'lost',
    error: { code: 'ssh.lost' },
  });
});

real(named('no secret is in the transcript or in what a listener is told, whatever pieces it comes in'), async () => {
  await using place = await folder();
  await using server = await serve();
  const secret = 'open-sesame-77';
  registerSecret(secret);
  const transcript = join(place.path, 'ssh.log');
  const session = await logIn(server, TEST_USER, transcript);
  const told: string[] = [];
  const command = 'printf "%.5s" "$S"; sleep 0.2; printf "%s" "${S#?????}"; printf "%s" "$S" | base64; echo "$S" >&2';
  const result = await session.exec(command, { env: { S: secret }, onOutput: (_, text) => told.push(text) });
  expect(result.stdout).toContain(secret);
  await session[Symbol.asyncDispose]();
  const log = await readFile(transcript, 'utf8');
  for (const text of [log, told.join('')]) {
    expect(text).not.toContain('sesame');
    expect(text).not.toContain(Buffer.from(secret).toString('base64').slice(0, 12));
    expect(text.match(/\*\*\*/g)?.length).toBe(3);
  }
});
