import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { startFakeSsh } from '../../fixtures/fake-ssh.ts';
import { startForward } from '../../fixtures/fake-ssh-forward.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { MachineError, ProvisionError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { type ConnectOptions, connectGuest } from '../../src/guest/connect.ts';
import { fingerprint, generateKeys } from '../../src/guest/keys.ts';

useRunningTime();

const user = generateKeys('user');
const host = generateKeys('host');
const other = generateKeys('other');

function options(port: number, more: Partial<ConnectOptions> = {}): ConnectOptions {
  const { privateKey } = user;
  return { host: '127.0.0.1', port, username: 'compose', privateKey, hostKey: host.publicKey, budgetMs: 8000, ...more };
}

/** The error of a wait that must fail. */
async function failure(promise: Promise<AsyncDisposable>): Promise<ProvisionError> {
  const ended = await settle(promise, 15_000);
  if (ended.how === 'resolved') await ended.value[Symbol.asyncDispose]();
  if (ended.how !== 'rejected') throw new Error(`the wait should have failed, and is ${ended.how}`);
  return ended.error as ProvisionError;
}

test('logs in at the first attempt when the server is there', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey });
  await using _session = await connectGuest(options(guest.port), quietContext());
  expect(guest.connections).toBe(1);
});

test('a port that closes at once is tried again at once: 20 closes cost less than 3 s', async () => {
  await using guest = await startFakeSsh({
    hostKey: host.privateKey,
    rules: [...Array.from({ length: 20 }, () => ({ tcp: 'close' as const })), {}],
  });
  const start = performance.now();
  await using _session = await connectGuest(options(guest.port), quietContext());
  expect(performance.now() - start).toBeLessThan(3000);
  expect(guest.connections).toBeLessThanOrEqual(23);
});

test('an attempt that hangs is raced by a fresh one', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }, {}] });
  const start = performance.now();
  await using _session = await connectGuest(options(guest.port), quietContext());
  expect(performance.now() - start).toBeLessThan(1500);
});

test('a server that takes 1.5 s to say who it is is waited for', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ bannerAfterMs: 1500 }] });
  const start = performance.now();
  await using _session = await connectGuest(options(guest.port), quietContext());
  expect(performance.now() - start).toBeLessThan(3000);
});

test('a bounded number of attempts is open at one time', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }] });
  await failure(connectGuest(options(guest.port, { budgetMs: 5000 }), quietContext()));
  expect(guest.mostOpen).toBeLessThanOrEqual(8);
});

test('a guest whose network comes up late behind a forwarded port is noticed within a second', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey });
  // All that is open by then has sent its SYN at least twice, and waits long before the third.
  await using forward = await startForward(guest.port, 3000);
  let up = 0;
  setTimeout(() => {
    forward.state = 'up';
    up = performance.now();
  }, 5700);
  await using _session = await connectGuest(options(forward.port, { budgetMs: 20_000 }), quietContext());
  expect(performance.now() - up).toBeLessThan(1000);
});

test('a guest reset in the middle of the key exchange does not hold the wait', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ hangAfterBanner: true }, {}] });
  const ended = await settle(connectGuest(options(guest.port, { budgetMs: 25_000 }), quietContext()), 12_000);
  if (ended.how === 'resolved') await ended.value[Symbol.asyncDispose]();
  expect(ended.how).toBe('resolved');
});

test('another host key during boot is "not ready yet", and gets no authentication request', async () => {
  const wrong = { hostKey: other.privateKey };
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [wrong, wrong, wrong, {}] });
  await using _session = await connectGuest(options(guest.port), quietContext());
  expect(guest.logins.length).toBeGreaterThan(0);
  expect(guest.logins.every(({ connection }) => connection >= 3)).toBe(true);
});

test('another host key to the end is ssh.host-key-mismatch with both fingerprints, and nothing was sent to it', async () => {
  await using guest = await startFakeSsh({ hostKey: other.privateKey });
  const error = await failure(connectGuest(options(guest.port, { budgetMs: 1500 }), quietContext()));
  expect(error).toBeInstanceOf(ProvisionError);
  expect(error.code).toBe('ssh.host-key-mismatch');
  expect(JSON.stringify(error)).toContain(fingerprint(host.publicKey));
  expect(JSON.stringify(error)).toContain(fingerprint(other.publicKey));
  expect(guest.logins).toEqual([]);
});

test('a login refused three times is tried a fourth time', async () => {
  const refuse = { refuseLogin: true };
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [refuse, refuse, refuse, {}] });
  await using _session = await connectGuest(options(guest.port, { budgetMs: 20_000 }), quietContext());
  expect(guest.connections).toBe(4);
});

test('a login refused to the end is ssh.auth-refused', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ refuseLogin: true }] });
  const error = await failure(connectGuest(options(guest.port, { budgetMs: 1500 }), quietContext()));
  expect(error.code).toBe('ssh.auth-refused');
  expect(error.exitCode).toBe(6);
});

test('a refused login is not repeated so fast that sshd would bar this host', async () => {
  // sshd_config(5), PerSourcePenalties of OpenSSH 9.8: 5 s for each refused connection, barred from 15 s on.
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ refuseLogin: true }] });
  await failure(connectGuest(options(guest.port, { budgetMs: 2500 }), quietContext()));
  expect(guest.connections).toBeLessThanOrEqual(3);
});

test('the error of a silent port says that it is silent', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }] });
  const error = await failure(connectGuest(options(guest.port, { budgetMs: 1500 }), quietContext()));
  expect(error.code).toBe('ssh.timeout');
  expect(error.message).not.toMatch(/nothing listens/);
  expect(JSON.stringify(error)).toMatch(/silent/);
});

test('no server in a guest whose network answers has a code apart from a guest that does not answer', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'close' }] });
  const error = await failure(connectGuest(options(guest.port, { budgetMs: 1000 }), quietContext()));
  expect(error.code).toBe('ssh.no-sshd');
});

test('the error of a refused login has the banner and the methods the server offers', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ refuseLogin: true }] });
  const text = JSON.stringify(await failure(connectGuest(options(guest.port, { budgetMs: 1000 }), quietContext())));
  expect(text).toContain('SSH-2.0-');
  expect(text).toContain('publickey');
});

test('a private key that cannot be read is an error with a code', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey });
  const wait = async () => connectGuest(options(guest.port, { privateKey: 'none', budgetMs: 600_000 }), quietContext());
  expect(await failure(wait())).toBeInstanceOf(ProvisionError);
});

test("the machine's failure ends the wait at once, as it is", async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }] });
  const panic = new MachineError('boot.panic', 'Cannot run x: the guest panicked');
  const failed = new Promise<never>((_, reject) => setTimeout(() => reject(panic), 300));
  const ended = await settle(connectGuest(options(guest.port, { failure: failed }), quietContext()), 5000);
  expect(ended).toMatchObject({ how: 'rejected', error: panic });
  expect(ended.how === 'rejected' ? ended.ms : Number.NaN).toBeLessThan(600);
});

test('aborting ends the wait at once and leaves no connection and no listener', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }] });
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('stop')), 200);
  const ended = await settle(connectGuest(options(guest.port), quietContext(controller.signal)), 5000);
  expect(ended).toMatchObject({ how: 'rejected', error: expect.objectContaining({ message: 'stop' }) });
  expect(ended.how === 'rejected' ? ended.ms : Number.NaN).toBeLessThan(500);
  const before = guest.connections;
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(guest.connections).toBe(before);
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
});
