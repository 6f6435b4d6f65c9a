import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IDLE, networkGuest } from '../../fixtures/network-guest.ts';
import { type ComposeEvent, quietContext } from '../../src/events.ts';
import { type InstallerOptions, runInstaller } from '../../src/machine/install.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';
import { type StoppedMachine, startMachine } from '../../src/machine/start.ts';

const LONG = 300_000;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compose-install-'));
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(folder, 'disk.qcow2'), '16M']);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A guest with the disk; it has no network of ours, as an installer has none that compose logs in by. */
async function guest(name: string, script: string, over: Partial<MachineSpec> = {}): Promise<MachineSpec> {
  const own = join(folder, name);
  mkdirSync(own);
  const spec = await networkGuest(own, { script });
  const disk = { path: join(folder, 'disk.qcow2'), format: 'qcow2' as const, scratch: true };
  return { ...spec, ssh: false, disks: [disk], ...over };
}

async function install(script: string, options: Partial<InstallerOptions> = {}): Promise<StoppedMachine> {
  const spec = await guest('one', script);
  return runInstaller(spec, { runDir: join(folder, 'one'), policy: 'tcg', budgetMs: LONG, ...options }, quietContext());
}

/** What the installed disk says when a machine of its own has started from it. */
async function installed(): Promise<string> {
  const spec = await guest('two', 'echo "disk says $(head -c 9 /dev/vda)"; poweroff -f');
  let text = '';
  const emit = (event: ComposeEvent): void => {
    if (event.type === 'output') text += event.text;
  };
  const runDir = join(folder, 'two');
  await using machine = await startMachine(spec, { runDir, policy: 'tcg' }, { ...quietContext(), emit });
  await machine.shutdown({ ask: async () => {}, budgetMs: LONG });
  return /disk says (\S+)/.exec(text)?.[1] ?? '';
}

const WRITE = 'printf installed > /dev/vda; sync';

test(
  'an installer that powers off has installed, and what it wrote is what starts next',
  async () => {
    const stopped = await install(`${WRITE}; poweroff -f`);
    expect(stopped.reason).toBe('guest-shutdown');
    expect(await installed()).toBe('installed');
  },
  LONG,
);

test(
  'an installer that restarts ends there: it is not started a second time',
  async () => {
    const stopped = await install(`${WRITE}; reboot -f`);
    expect(stopped.reason).toBe('guest-reset');
    expect(await installed()).toBe('installed');
  },
  LONG,
);

test(
  'an installer that wrote nothing has not installed',
  async () => {
    await expect(install('poweroff -f')).rejects.toMatchObject({ code: 'install.nothing-written', exitCode: 5 });
  },
  LONG,
);

test(
  'a kernel that panics and restarts is a panic, not the end of an installation',
  async () => {
    await expect(install(`${WRITE}; echo c > /proc/sysrq-trigger`)).rejects.toMatchObject({ code: 'boot.panic' });
  },
  LONG,
);

test(
  'a dialog of the installer ends the wait, and so does a time that is up',
  async () => {
    const dialog = install(`printf '[!!] Partition disks'; ${IDLE}`);
    await expect(dialog).rejects.toMatchObject({ code: 'installer.failed' });
    rmSync(join(folder, 'one'), { recursive: true });
    await expect(install(IDLE, { budgetMs: 300 })).rejects.toMatchObject({ code: 'install.timeout' });
  },
  LONG,
);
