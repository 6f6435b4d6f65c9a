import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sshGuest } from '../../fixtures/ssh-guest.ts';
import { type ComposeEvent, quietContext } from '../../src/events.ts';
import type { Keepalive } from '../../src/guest/attempt.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import { download } from '../../src/guest/download.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import { putFile } from '../../src/guest/put-file.ts';
import type { GuestSession } from '../../src/guest/session.ts';
import { runSteps, type Step } from '../../src/guest/steps.ts';
import { uploadPath } from '../../src/guest/upload.ts';
import { type RunningMachine, startMachine } from '../../src/machine/start.ts';

const MIB = 1024 * 1024;
/** As much as the whole ring has time for; by hand 500 (COMPOSE_TEST_MIB=500). */
const ORDINARY = 24;
const SIZE = Number(process.env.COMPOSE_TEST_MIB ?? ORDINARY);
const LONG = 300_000 * Math.max(1, SIZE / ORDINARY);

const user = generateKeys('user');
const host = generateKeys('host');

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-guest-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function start(memory: number): Promise<RunningMachine> {
  const spec = await sshGuest(folder, { hostKey: host, authorizedKey: user.publicKey, memory });
  return startMachine(spec, { runDir: folder, policy: 'tcg' }, quietContext());
}

function logIn(machine: RunningMachine, keepalive?: Keepalive): Promise<GuestSession> {
  const { host: address, port } = machine.ssh ?? { host: '', port: 0 };
  return connectGuest(
    {
      host: address,
      port,
      username: 'root',
      privateKey: user.privateKey,
      hostKey: host.publicKey,
      budgetMs: 120_000,
      keepalive,
      failure: machine.failure,
      transcript: join(folder, 'ssh.log'),
    },
    quietContext(),
  );
}

async function noise(path: string, mebibytes: number): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  for (let index = 0; index < mebibytes; index++) {
    // Bytes that no compression shortens and that a seed makes again.
    const block = Buffer.alloc(MIB);
    for (let at = 0; at < MIB; at += 32) createHash('sha256').update(`${index}/${at}`).digest().copy(block, at);
    hash.update(block);
    await file.write(block);
  }
  await file.close();
  return hash.digest('hex');
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

test(
  `${SIZE} MiB go up to an emulated guest without SFTP and come down hash-equal, a folder too; it survives a pause`,
  async () => {
    await using machine = await start((160 + 2 * SIZE) * MIB);
    await using session = await logIn(machine);
    const from = join(folder, 'large');
    const expected = await noise(from, SIZE);
    const before = process.memoryUsage().rss;
    const up = performance.now();
    await putFile(session, { path: '/tmp/large', content: { hostPath: from } });
    const down = performance.now();
    const back = await download(session, '/tmp/large', 'large', { root: join(folder, 'out') });
    const end = performance.now();
    expect(await sha256(back.path)).toBe(expected);
    expect((await session.run('sha256sum </tmp/large')).stdout.slice(0, 64)).toBe(expected);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * MIB);
    const rate = (ms: number): string => `${((SIZE * 1000) / ms).toFixed(1)} MiB/s`;
    console.log(`${SIZE} MiB: up ${rate(down - up)}, down ${rate(end - down)}, digests in the guest included`);

    const tree = join(folder, 'tree');
    await mkdir(join(tree, 'sub', 'x'.repeat(130)), { recursive: true });
    for (let index = 0; index < 200; index++) await writeFile(join(tree, 'sub', `file-${index}`), `content ${index}`);
    await writeFile(join(tree, 'sub', 'x'.repeat(130), 'leaf'), 'leaf');
    await uploadPath(session, tree, '/tmp/tree');
    const tree2 = await download(session, '/tmp/tree', 'tree', { root: join(folder, 'out') });
    expect(tree2.files).toBe(201);
    expect((await readdir(tree2.path, { recursive: true })).sort()).toEqual(
      (await readdir(tree, { recursive: true })).sort(),
    );

    // What a host that sleeps or is very busy does to a guest: nothing answers for a while.
    const waiting = session.exec('sleep 1; echo still here');
    await machine.qmp.command('stop', {});
    await new Promise((resolve) => setTimeout(resolve, Number(process.env.COMPOSE_TEST_PAUSE_MS ?? 4000)));
    await machine.qmp.command('cont', {});
    expect((await waiting).stdout).toBe('still here\n');
  },
  LONG,
);

test(
  'a real guest reboots as a step and goes on; a step as another account, with a retry, then power-off',
  async () => {
    await using machine = await start(160 * MIB);
    const first = await logIn(machine);
    const before = await first.bootId();
    const session = await runSteps(
      {
        session: first,
        reconnect: () => logIn(machine),
        steps: [
          { kind: 'shell', script: 'id -un >/tmp/who', user: 'guest', cwd: '/tmp' },
          { kind: 'shell', script: 'echo x >>/tmp/tries; [ "$(wc -l </tmp/tries)" -ge 3 ]', retries: 2 },
          { kind: 'download', from: '/tmp/who', to: 'who' },
          { kind: 'reboot' },
          { kind: 'shell', script: 'echo again >/tmp/again' },
        ],
        out: join(folder, 'out'),
      },
      quietContext(),
    );
    expect(await session.bootId()).not.toBe(before);
    expect((await session.run('cat /tmp/again')).stdout).toBe('again\n');
    expect(await readFile(join(folder, 'out', 'who'), 'utf8')).toBe('guest\n');
    session.expectEnd();
    const ask = async (): Promise<void> => void (await session.exec('poweroff'));
    const stopped = await machine.shutdown({ ask, budgetMs: 60_000 });
    expect(stopped.reason).toBe('guest-shutdown');
    await session[Symbol.asyncDispose]();
  },
  LONG,
);

test(
  'a real guest whose step waits for what never comes: told of, then step.stalled, whatever keeps the connection alive',
  async () => {
    const spec = await sshGuest(folder, { hostKey: host, authorizedKey: user.publicKey, memory: 160 * MIB });
    const budgets = { beatMs: 250, stepQuietMs: 2_000, stepStallMs: 5_000 };
    await using machine = await startMachine(spec, { runDir: folder, policy: 'tcg', budgets }, quietContext());
    await using session = await logIn(machine, { intervalMs: 700, countMax: 100 });
    const events: ComposeEvent[] = [];
    const steps: readonly Step[] = [
      // Longer than the budget, and not still: output alone, connections that are refused alone.
      { kind: 'shell', script: 'for i in 1 2 3 4 5 6 7; do echo $i; sleep 1; done' },
      {
        kind: 'shell',
        script: 'for i in 1 2 3 4 5 6 7; do nc -w 1 10.0.2.2 1 </dev/null >/dev/null 2>&1 || sleep 1; done',
      },
      { kind: 'shell', name: 'ask', script: 'echo "Which one?"; read -r x </dev/console' },
    ];
    const ran = runSteps(
      { session, reconnect: () => logIn(machine), steps, watch: machine.watch },
      { emit: (event) => events.push(event), signal: AbortSignal.timeout(90_000) },
    );
    await expect(ran).rejects.toMatchObject({
      code: 'step.stalled',
      message: expect.stringContaining('step 3: ask'),
      evidence: { lastOutput: 'Which one?' },
    });
    const told = events.filter((event) => event.type === 'log').map(({ phase }) => phase);
    expect(told).toEqual(['step 3: ask']);
    // Ended in the guest, which is as well as before.
    expect((await session.run('ps | grep -c "[/]script" || :')).stdout.trim()).toBe('0');
  },
  LONG,
);
