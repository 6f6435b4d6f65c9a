import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { networkGuest, POWER_BUTTON } from '../../fixtures/network-guest.ts';
import { type ComposeEvent, quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';
import { type RunningMachine, startMachine } from '../../src/machine/start.ts';

const run = promisify(execFile);
const GUESTS = 12;
const LONG = 300_000;

let folder = '';
const machines: RunningMachine[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-parallel-'));
});
afterEach(async () => {
  await Promise.all(machines.splice(0).map((machine) => machine[Symbol.asyncDispose]()));
  await rm(folder, { recursive: true, force: true });
});

/** A guest in a folder of its own, and its word that it hears the power button. */
async function start(spec: MachineSpec, name: string): Promise<{ machine: RunningMachine; ready: Promise<void> }> {
  const runDir = await mkdtemp(join(folder, `${name}-`));
  let said = '';
  let hears = (): void => {};
  const listening = new Promise<void>((resolve) => {
    hears = resolve;
  });
  const emit = (event: ComposeEvent): void => {
    if (event.type === 'output') said += event.text;
    if (said.includes('listening')) hears();
  };
  const machine = await startMachine({ ...spec, name }, { runDir, policy: 'tcg' }, { ...quietContext(), emit });
  machines.push(machine);
  return { machine, ready: Promise.race([listening, machine.failure]) };
}

/** Local addresses of the sockets on which process `pid` listens, TCP and UDP. */
async function listeners(pid: number): Promise<string[]> {
  const { stdout } = await run('ss', ['-Hltunp']);
  const own = stdout.split('\n').filter((line) => line.includes(`pid=${pid},`));
  return own.map((line) => line.trim().split(/\s+/)[4] ?? '');
}

const without = which('ss') === undefined ? ' (skipped: ss is not installed)' : '';

test.skipIf(without !== '')(
  `twelve guests at once come up, are reached on loopback alone, and power off when asked${without}`,
  async () => {
    const spec = await networkGuest(folder, { script: POWER_BUTTON });
    const names = Array.from({ length: GUESTS }, (_, at) => `guest-${at}`);
    const started = await Promise.all(names.map((name) => start(spec, name)));
    await Promise.all(started.map(({ ready }) => ready));
    const ports = new Set<number>();
    for (const { machine } of started) {
      const { pid, ssh, argv } = machine;
      // Nobody can take a port between its choice and its use: the kernel chooses it for the QEMU that keeps it.
      expect(argv.join(' ')).toContain('hostfwd=tcp:127.0.0.1:0-:22');
      expect(await listeners(pid)).toEqual([`127.0.0.1:${ssh?.port}`]);
      ports.add(ssh?.port ?? 0);
    }
    expect(ports.size).toBe(GUESTS);
    const stops = started.map(({ machine }) => machine.shutdown({ budgetMs: LONG / 3 }));
    expect((await Promise.all(stops)).map(({ reason }) => reason)).toEqual(names.map(() => 'guest-shutdown'));
  },
  LONG,
);
