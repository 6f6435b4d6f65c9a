import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { answer, type FakeSsh, startFakeSsh } from '../../fixtures/fake-ssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { FakeWatch, SILENT, still } from '../../fixtures/fake-watch.ts';
import type { ProvisionError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { waitForCloudInit } from '../../src/guest/cloud-init.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import { type Facts, loginTimeout, loginVerdict } from '../../src/guest/verdict.ts';
import type { NetworkFacts } from '../../src/machine/network-sight.ts';
import type { GuestWatch } from '../../src/machine/watch-guest.ts';

useRunningTime();

const user = generateKeys('user');
const host = generateKeys('host');

function connect(port: number, watch: GuestWatch, budgetMs = 20_000): ReturnType<typeof connectGuest> {
  const { privateKey } = user;
  const how = { host: '127.0.0.1', port, username: 'compose', privateKey, hostKey: host.publicKey, budgetMs, watch };
  return connectGuest(how, quietContext());
}

/** The first login has been refused, and the client has heard it. */
async function refused(guest: FakeSsh): Promise<void> {
  await expect.poll(() => guest.connections > 0 && guest.open === 0).toBe(true);
  // The client's end of a connection that is closed here; far less than the pause until its next attempt.
  await new Promise((resolve) => setTimeout(resolve, 100));
}

async function failure(promise: Promise<AsyncDisposable>): Promise<ProvisionError> {
  const ended = await settle(promise, 15_000);
  if (ended.how !== 'rejected') throw new Error(`the wait should have failed, and is ${ended.how}`);
  return ended.error as ProvisionError;
}

const FACTS: Facts = {
  username: 'compose',
  best: 'refused',
  last: 'refused',
  network: SILENT,
  up: true,
  otherUser: undefined,
  unknownUser: false,
  when: '(idle for 10 s)',
  expectedKey: 'SHA256:a',
  seenKey: undefined,
  evidence: {},
};
const network = (over: Partial<NetworkFacts>): Partial<Facts> => ({ network: { ...SILENT, ...over } });

test.each<[string, Partial<Facts>, string | undefined]>([
  ['another host key', { last: 'wrong host key' }, 'ssh.host-key-mismatch'],
  ['a refused key', { last: 'auth refused' }, 'ssh.auth-refused'],
  ['a refused key that opens another account', { last: 'auth refused', otherUser: 'debian' }, 'ssh.wrong-user'],
  ['a user the guest says it does not know', { last: 'auth refused', unknownUser: true }, 'ssh.wrong-user'],
  ['a server that stops after its banner', { best: 'banner', last: 'banner' }, 'ssh.no-handshake'],
  ['a port that takes connections', network({ port22: 'accepts', addressUsed: true }), 'ssh.silent'],
  ['a port that refuses them', network({ port22: 'refuses', addressUsed: true }), 'ssh.no-sshd'],
  ['a port that speaks another protocol', network({ port22: 'speaks', addressUsed: true }), 'ssh.no-sshd'],
  ['an address and no answer', network({ addressUsed: true }), 'ssh.filtered'],
  ['a system without an address', network({}), 'net.no-dhcp'],
  ['a guest that has not come up', { up: false }, undefined],
  ['a guest whose network nobody watched', { network: undefined }, undefined],
  ['the same, whose connections close', { network: undefined, best: 'closed' }, 'ssh.no-sshd'],
])('%s', (_, facts, code) => {
  expect(loginVerdict({ ...FACTS, ...facts })?.code).toBe(code);
  expect(loginTimeout({ ...FACTS, ...facts }).code).toBe(code ?? 'ssh.timeout');
});

test('a still guest whose port is silent ends the wait, with what its console said', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }] });
  const watch = new FakeWatch();
  const waiting = connect(guest.port, watch);
  await expect.poll(() => guest.connections).toBe(1);
  void watch.waiter?.onStill?.(still({ network: { ...SILENT, port22: 'accepts' } }));
  const error = await failure(waiting);
  expect(error.code).toBe('ssh.silent');
  expect(JSON.stringify(error)).toContain('kernel after 1.0 s');
  await expect.poll(() => watch.ended).toBe(1);
});

test('a still guest is asked once more before its refusal counts', async () => {
  const rules = [{ refuseLogin: true }, {}];
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules });
  const watch = new FakeWatch();
  const waiting = connect(guest.port, watch);
  await refused(guest);
  void watch.waiter?.onStill?.(still());
  await using _session = await waiting;
  expect(guest.connections).toBe(2);
});

test('a still guest that refuses once more has refused', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ refuseLogin: true }] });
  const watch = new FakeWatch();
  const waiting = connect(guest.port, watch);
  await refused(guest);
  void watch.waiter?.onStill?.(still());
  expect((await failure(waiting)).code).toBe('ssh.auth-refused');
});

test('a stalled guest of which nothing is known is left to the machine', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }] });
  const watch = new FakeWatch();
  const waiting = connect(guest.port, watch, 1500);
  waiting.catch(() => {});
  await expect.poll(() => guest.connections).toBe(1);
  expect(await watch.waiter?.onStill?.(still({ kind: 'stalled' }))).toBe(false);
  expect((await failure(waiting)).code).toBe('ssh.timeout');
});

test('a guest that refuses and is idle is let be', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ refuseLogin: true }] });
  const watch = new FakeWatch();
  watch.idleMs = 60_000;
  const waiting = connect(guest.port, watch, 10_000);
  await failure(waiting);
  expect(guest.connections).toBe(3);
});

test('an address that comes up starts an attempt at once', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }, {}] });
  const watch = new FakeWatch();
  const waiting = connect(guest.port, watch);
  const start = performance.now();
  setTimeout(() => watch.waiter?.onNetwork?.({ ...SILENT, dhcpAsked: true, dhcpGiven: true }), 50);
  await using _session = await waiting;
  // A hanging attempt is joined by another after half a second otherwise.
  expect(performance.now() - start).toBeLessThan(450);
  expect(watch.milestones.has('login')).toBe(true);
});

test('a guest without an address is knocked at once, and again when it has one', async () => {
  await using guest = await startFakeSsh({ hostKey: host.privateKey, rules: [{ tcp: 'hang' }, {}] });
  const watch = new FakeWatch();
  const waiting = connect(guest.port, watch);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(guest.connections).toBe(1);
  watch.waiter?.onNetwork?.({ ...SILENT, addressUsed: true });
  await using _session = await waiting;
  expect(guest.connections).toBe(2);
});

test('an account that only says which one to take instead is the wrong user', async () => {
  const said = 'Please login as the user "debian" rather than the user "root".\n\n';
  await using guest = await startFakeSsh({
    hostKey: host.privateKey,
    onExec: ({ channel }) => answer(channel, 142, said),
  });
  await using session = await connect(guest.port, new FakeWatch());
  await expect(waitForCloudInit(session)).rejects.toMatchObject({
    code: 'ssh.wrong-user',
    hint: expect.stringContaining('debian'),
  });
});
