import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { microGuest } from '../../fixtures/micro-guest.ts';
import { networkGuest, POWER_BUTTON } from '../../fixtures/network-guest.ts';
import { type ComposeEvent, quietContext } from '../../src/events.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';
import { type RunningMachine, startMachine } from '../../src/machine/start.ts';

const run = promisify(execFile);
const LONG = 300_000;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-machine-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const start = async (script: string, over: Partial<MachineSpec> = {}): Promise<RunningMachine> =>
  startMachine({ ...(await microGuest(folder, script)), ...over }, { runDir: folder, policy: 'tcg' }, quietContext());

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

async function failureOf(
  machine: RunningMachine,
): Promise<Error & { code: string; evidence: Record<string, unknown> }> {
  return machine.failure.then(
    () => {
      throw new Error('it did not fail');
    },
    (error) => error,
  );
}

test(
  'a guest that powers itself off when asked is a stopped machine',
  async () => {
    await using machine = await start('sleep 1; poweroff -f');
    const stopped = await machine.shutdown({ ask: async () => {}, budgetMs: LONG });
    expect(stopped.reason).toBe('guest-shutdown');
    expect(readFileSync(join(folder, 'serial.log'), 'utf8')).toContain('micro-guest is up');
    expect(readFileSync(join(folder, 'qmp.log'), 'utf8')).toContain('"SHUTDOWN"');
  },
  LONG,
);

test(
  'a panic is found at once, with the lines that tell of it',
  async () => {
    await using machine = await start('echo c > /proc/sysrq-trigger; sleep 1000');
    const error = await failureOf(machine);
    expect(error.code).toBe('boot.panic');
    expect(String(error.evidence.serial)).toContain('sysrq');
  },
  LONG,
);

test(
  'a guest that goes before it was asked is no clean stop',
  async () => {
    await using machine = await start('poweroff -f');
    expect(await failureOf(machine)).toMatchObject({ code: 'machine.powered-off' });
  },
  LONG,
);

test(
  'a guest deaf to every request is not packed',
  async () => {
    await using machine = await start('while true; do sleep 1000; done');
    await expect(machine.shutdown({ budgetMs: 3000 })).rejects.toMatchObject({ code: 'shutdown.refused', exitCode: 5 });
  },
  LONG,
);

test(
  'a guest that hears the power button and nothing else is a stopped machine',
  async () => {
    const spec = await networkGuest(folder, { script: POWER_BUTTON });
    let up = (): void => {};
    const isUp = new Promise<void>((resolve) => {
      up = resolve;
    });
    let text = '';
    const emit = (event: ComposeEvent): void => {
      if (event.type === 'output') text += event.text;
      if (text.includes('listening')) up();
    };
    await using machine = await startMachine(spec, { runDir: folder, policy: 'tcg' }, { ...quietContext(), emit });
    await isUp;
    const stopped = await machine.shutdown({ ask: () => Promise.reject(new Error('no way in')), budgetMs: LONG });
    expect(stopped.reason).toBe('guest-shutdown');
    // Half of the budget is for a request that was heard.
    expect(stopped.ms).toBeLessThan(LONG / 2);
  },
  LONG,
);

test(
  'a guest deaf to the request and to the power button is refused within its budget',
  async () => {
    await using machine = await start('while true; do sleep 1000; done');
    const asked = performance.now();
    const refused = machine.shutdown({ ask: () => Promise.reject(new Error('no way in')), budgetMs: 4000 });
    const error = await refused.then(
      () => undefined,
      (reason: Error & { code: string; evidence: Record<string, unknown> }) => reason,
    );
    expect(error?.code).toBe('shutdown.refused');
    expect(error?.evidence.reached).toEqual(expect.arrayContaining([expect.stringMatching(/^qemu after/)]));
    expect(performance.now() - asked).toBeLessThan(LONG / 2);
    expect(readFileSync(join(folder, 'qmp.log'), 'utf8')).toContain('"system_powerdown"');
  },
  LONG,
);

test(
  'a guest that panics while it powers off is not a clean stop',
  async () => {
    await using machine = await start('sleep 2; echo c > /proc/sysrq-trigger; sleep 1000');
    await expect(machine.shutdown({ ask: async () => {}, budgetMs: LONG })).rejects.toMatchObject({
      code: 'boot.panic',
    });
  },
  LONG,
);

test(
  'a QEMU that is ended from outside while the guest powers off is not a clean stop',
  async () => {
    await using machine = await start('while true; do sleep 1000; done');
    const stop = machine.shutdown({ ask: async () => {}, budgetMs: LONG });
    await machine.qmp.command('quit', {}).catch(() => {});
    await expect(stop).rejects.toMatchObject({
      code: expect.stringMatching(/^(shutdown\.unclean|machine\.died|qemu\.failed)$/),
    });
  },
  LONG,
);

test(
  'a QEMU that is killed is told from a guest that stopped',
  async () => {
    await using machine = await start('while true; do sleep 1000; done');
    process.kill(machine.pid, 'SIGKILL');
    const error = await failureOf(machine);
    expect(error.code).toBe('qemu.killed');
    expect(error.message).toContain('SIGKILL');
  },
  LONG,
);

test(
  'a QEMU that does not start says why, and its command is kept',
  async () => {
    const refused = start('true', { extraArgs: ['-device', 'no-such-device'] });
    await expect(refused).rejects.toMatchObject({ code: 'qemu.failed', exitCode: 5 });
    await refused.catch((error) => expect(String(error.evidence.stderr)).toContain('no-such-device'));
    const again = await run(join(folder, 'qemu.sh'), []).catch((error) => error);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("'no-such-device'") });
  },
  LONG,
);

test(
  'disposing a machine ends its QEMU',
  async () => {
    const machine = await start('sleep 1000');
    const { pid } = machine;
    expect(alive(pid)).toBe(true);
    await machine[Symbol.asyncDispose]();
    expect(alive(pid)).toBe(false);
  },
  LONG,
);

test(
  'QEMU dies with compose, also when that is killed with SIGKILL',
  async () => {
    const spec = await microGuest(folder, 'sleep 1000');
    const root = packageRoot();
    const script = `
    import { startMachine } from '${root}/dist/src/machine/start.js';
    import { quietContext } from '${root}/dist/src/events.js';
    const machine = await startMachine(${JSON.stringify(spec)}, { runDir: ${JSON.stringify(folder)}, policy: 'tcg' }, quietContext());
    console.log(machine.pid);
    setInterval(() => {}, 1000);`;
    const file = join(folder, 'parent.mjs');
    await writeFile(file, script);
    const parent = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once('data', (data) => resolve(Number(String(data)))),
    );
    expect(alive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => alive(pid), { timeout: 5000 }).toBe(false);
  },
  LONG,
);

test(
  'a disk on the command line of QEMU is found by its arguments',
  async () => {
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(folder, 'a,b.qcow2'), '1M']);
    await using machine = await start('while true; do sleep 1000; done', {
      disks: [{ path: join(folder, 'a,b.qcow2'), format: 'qcow2', scratch: true }],
      ssh: true,
    });
    expect(machine.ssh?.host).toBe('127.0.0.1');
    expect(machine.ssh?.port).toBeGreaterThan(1023);
    expect(machine.argv.join(' ')).toContain('discard=unmap,detect-zeroes=unmap,cache=unsafe');
  },
  LONG,
);
