import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, type FakeExec, type FakeSsh, startFakeSsh } from '../../fixtures/fake-ssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { isComposeError, MachineError, ProvisionError, registerSecret } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { type ConnectOptions, connectGuest } from '../../src/guest/connect.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import type { GuestSession } from '../../src/guest/session.ts';

useRunningTime();

const user = generateKeys('user');
const host = generateKeys('host');

function fake(onExec: (exec: FakeExec) => void): Promise<FakeSsh> {
  return startFakeSsh({ hostKey: host.privateKey, onExec });
}

function logIn(guest: FakeSsh, more: Partial<ConnectOptions> = {}): Promise<GuestSession> {
  return connectGuest(
    {
      host: '127.0.0.1',
      port: guest.port,
      username: 'root',
      privateKey: user.privateKey,
      hostKey: host.publicKey,
      budgetMs: 8000,
      ...more,
    },
    quietContext(),
  );
}

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'compose-ssh-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test('standard output, standard error and the exit status are kept apart', async () => {
  await using guest = await fake(({ channel }) => answer(channel, 3, 'out\n', 'err\n'));
  await using session = await logIn(guest);
  expect(await session.exec('x')).toMatchObject({ exitCode: 3, signal: undefined, stdout: 'out\n', stderr: 'err\n' });
});

test('the status of a command that ends as fast as it was accepted is not missed', async () => {
  const onExec = ({ channel }: FakeExec): void => answer(channel, 3, 'out\n');
  await using guest = await startFakeSsh({ hostKey: host.privateKey, onExec, execAfterMs: 0 });
  await using session = await logIn(guest);
  expect(await session.exec('x')).toMatchObject({ exitCode: 3, stdout: 'out\n' });
});

test('a command ended by a signal says which', async () => {
  await using guest = await fake(({ channel }) => {
    channel.exit('KILL', false, 'killed');
    channel.end();
  });
  await using session = await logIn(guest);
  expect(await session.exec('x')).toMatchObject({ exitCode: -1, signal: 'SIGKILL' });
});

test('a command that ends without reading its standard input does not hang', async () => {
  await using guest = await fake(({ channel }) => answer(channel, 7));
  await using session = await logIn(guest);
  const ended = await settle(session.exec('x', { stdin: new Uint8Array(16 * 1024 * 1024) }), 5000);
  expect(ended).toMatchObject({ how: 'resolved', value: { exitCode: 7 } });
});

test('ten commands may run at once', async () => {
  await using guest = await fake(({ channel, command }) => {
    setTimeout(() => answer(channel, 0, command), 50);
  });
  await using session = await logIn(guest);
  const names = Array.from({ length: 10 }, (_, index) => `command-${index}`);
  const results = await Promise.all(names.map((name) => session.exec(name)));
  expect(results.map(({ stdout }) => stdout)).toEqual(names);
});

test('a connection dropped in the middle of a command is ssh.lost', async () => {
  await using guest = await fake(({ drop }) => drop());
  await using session = await logIn(guest);
  const ended = await settle(session.exec('x'), 4000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'ssh.lost' } });
});

test("a connection dropped by a machine that failed is told as the machine's failure, not as a status", async () => {
  const panic = new MachineError('boot.panic', 'Cannot run x: the guest panicked');
  let fail = (): void => {};
  const failed = new Promise<never>((_, reject) => {
    fail = () => reject(panic);
  });
  failed.catch(() => {});
  await using guest = await fake(({ drop }) => {
    drop();
    setTimeout(fail, 200);
  });
  await using session = await logIn(guest, { failure: failed });
  const ended = await settle(session.exec('x'), 4000);
  expect(ended.how).toBe('rejected');
  const { error } = ended as { error: ProvisionError };
  expect([error, error.cause]).toContain(panic);
});

test('a machine that fails while its connection stays open ends the command at once', async () => {
  const panic = new MachineError('boot.panic', 'Cannot run x: the guest panicked');
  let fail = (): void => {};
  const failed = new Promise<never>((_, reject) => {
    fail = () => reject(panic);
  });
  failed.catch(() => {});
  await using guest = await fake(() => setTimeout(fail, 200));
  await using session = await logIn(guest, { failure: failed });
  const ended = await settle(session.exec('x'), 3000);
  expect(ended.how).toBe('rejected');
});

test('a command that ends without a status is an error', async () => {
  await using guest = await fake(({ channel }) => channel.end());
  await using session = await logIn(guest);
  const ended = await settle(session.exec('x'), 4000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: expect.stringMatching(/^(ssh|command)\./) } });
});

test('a command after the connection was lost is ssh.lost', async () => {
  await using guest = await fake(({ channel }) => answer(channel, 0));
  await using session = await logIn(guest);
  guest.dropAll();
  await session.ended();
  const ended = await settle(session.exec('x'), 4000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'ssh.lost' } });
});

test('a request that the lost connection leaves without an answer is an error with a code', async () => {
  await using guest = await fake(() => {});
  await using session = await logIn(guest);
  guest.dropAll();
  // Asked before the close is known here: the request finds no answer.
  const ended = await settle(session.exec('x'), 4000);
  expect(ended.how).toBe('rejected');
  expect(isComposeError((ended as { error: unknown }).error)).toBe(true);
});

test('a command that takes too long is ended in the guest, its error says so, and the session goes on', async () => {
  let slow: FakeExec['channel'] | undefined;
  await using guest = await fake(({ channel, command }) => {
    if (command === 'slow') slow = channel;
    if (command === 'quick') answer(channel, 0, 'there');
    if (/k 4242 TERM$/.test(command)) {
      slow?.exit('TERM', false, '');
      slow?.end();
      answer(channel, 0);
    }
  });
  await using session = await logIn(guest);
  const ended = await settle(session.exec('slow', { timeoutMs: 300 }), 4000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'command.timeout' } });
  expect(await session.exec('quick')).toMatchObject({ exitCode: 0, stdout: 'there' });
});

test('aborting ends a command with the reason', async () => {
  await using guest = await fake(() => {});
  await using session = await logIn(guest);
  const ended = await settle(session.exec('x', { signal: AbortSignal.timeout(200) }), 4000);
  expect(ended).toMatchObject({ how: 'rejected', error: { name: 'TimeoutError' } });
});

test('of much output the end is kept, a bounded part of it, in seconds', async () => {
  const block = Buffer.alloc(64 * 1024, 'a');
  await using guest = await fake(({ channel }) => {
    let left = 1024;
    const more = (): void => {
      if (left-- === 0) answer(channel, 0, 'the end');
      else channel.write(block, more);
    };
    more();
  });
  await using session = await logIn(guest);
  const result = await session.exec('x');
  expect(result.stdout.length).toBeLessThanOrEqual(1024 * 1024);
  expect(result.stdout.endsWith('the end')).toBe(true);
  expect(result.ms).toBeLessThan(15_000);
});

test('the transcript has command, output and status, and no secret even where it comes in two pieces', async () => {
  await using place = await folder();
  registerSecret('sesame-open-42');
  await using guest = await fake(({ channel }) => {
    channel.write('password: sesame-');
    setTimeout(() => answer(channel, 4, 'open-42\nnext line\n'), 100);
  });
  const transcript = join(place.path, 'ssh.log');
  const session = await logIn(guest, { transcript });
  await session.exec('show the thing');
  await session[Symbol.asyncDispose]();
  const text = await readFile(transcript, 'utf8');
  expect(text).toContain('show the thing');
  expect(text).toContain('next line');
  expect(text).toContain('4');
  expect(text.replaceAll('\n', '')).not.toContain('sesame-open-42');
});

test('the transcript is whole when the session has been disposed', async () => {
  await using place = await folder();
  await using guest = await fake(({ channel }) => answer(channel, 0, `${'line\n'.repeat(20_000)}the end`));
  const transcript = join(place.path, 'ssh.log');
  const session = await logIn(guest, { transcript });
  await session.exec('x');
  await session[Symbol.asyncDispose]();
  expect(await readFile(transcript, 'utf8')).toContain('the end');
});

test('the private key is a secret from the moment it is made', async () => {
  const error = new ProvisionError('x', `Cannot: ${generateKeys('k').privateKey}`);
  expect(error.message).not.toContain('PRIVATE KEY');
});
