import { MachineError } from '../errors.ts';
import type { Context } from '../events.ts';
import { deadline } from '../host/within.ts';
import type { MachineSpec } from './spec.ts';
import { type RunningMachine, type StartOptions, type StoppedMachine, startMachine } from './start.ts';

export interface InstallerOptions extends Omit<StartOptions, 'holdAtEnd'> {
  /** How long the installation may take under KVM, ms; a slower accelerator stretches it. */
  readonly budgetMs: number;
  /** What is done at the machine while it installs, typing for instance; a failure ends the installation. */
  readonly meanwhile?: (machine: RunningMachine, signal: AbortSignal) => Promise<void>;
}

/** Firmware resets itself at most so often before it starts anything: once its variables are new, once for a fallback. */
const MOST_FIRMWARE_RESETS = 5;

/**
 * The first phase of a build from installation media: starts the machine, lets the installer run to its own end, which is a
 * power-off or a restart, and ends QEMU there. The media are out of the machine with that: the caller starts the installed
 * system as a machine of its own from the same disks, with `StoppedMachine.firmware` so that the boot entry the installer
 * made is still there. No session is opened meanwhile, so an sshd of the installer is never taken for the system's.
 * @throws MachineError `install.timeout`, `install.nothing-written`, `installer.failed` and the other failures of a machine
 */
export async function runInstaller(
  spec: MachineSpec,
  options: InstallerOptions,
  context: Context,
): Promise<StoppedMachine> {
  const { budgetMs: unscaled, meanwhile, ...start } = options;
  await using machine = await startMachine(spec, { ...start, holdAtEnd: true }, context);
  const budgetMs = unscaled * machine.accelerator.timeScale;
  const limit = deadline(budgetMs);
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, limit, over.signal]);
  // A guest that waits for a person, or for a server that is not there, is found out long before the time is up.
  await using _watching = await machine.watch.attend({});
  const beside = meanwhile?.(machine, signal) ?? Promise.resolve();
  const failed = new Promise<never>((_, reject) => beside.catch(reject));
  try {
    await Promise.race([ended(machine, signal), failed]);
  } catch (error) {
    context.signal.throwIfAborted();
    throw limit.aborted ? timeout(machine, budgetMs) : error;
  } finally {
    over.abort();
    await beside.catch(() => {});
  }
  const written = await bytesWritten(machine);
  // A panic restarts the guest as well: what the console said last decides.
  machine.serial.flush();
  await Promise.race([machine.failure, undefined]);
  if (written === 0) {
    throw new MachineError('install.nothing-written', `Cannot use ${spec.name}: it ended without a byte on its disks`, {
      hint: 'The installer did not find the disk or its answers; the last lines tell which.',
      evidence: { serial: machine.serial.tail(25), reached: machine.milestones.text(), runDir: machine.runDir },
    });
  }
  return await machine.quit();
}

/** Resolves when the installer has ended itself; what firmware does before anything was started is no end. */
async function ended(machine: RunningMachine, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  signal.throwIfAborted();
  for (let resets = 0; ; resets++) {
    const how = await Promise.race([machine.nextEnd(), machine.failure, aborted]);
    const byFirmware = how.reason === 'guest-reset' && !machine.milestones.has('kernel');
    if (!byFirmware || resets >= MOST_FIRMWARE_RESETS || (await bytesWritten(machine)) > 0) return;
    await machine.startAgain();
  }
}

async function bytesWritten(machine: RunningMachine): Promise<number> {
  const devices = await machine.qmp.command('query-blockstats', {});
  // pflash holds the firmware's variables, which every boot writes.
  const disks = devices.filter((one) => !/pflash|vars/.test(`${one.device} ${one['node-name']} ${one.qdev}`));
  return disks.reduce((sum, { stats }) => sum + stats.wr_bytes, 0);
}

function timeout(machine: RunningMachine, budgetMs: number): MachineError {
  const seconds = Math.round(budgetMs / 1000);
  return new MachineError(
    'install.timeout',
    `Cannot install ${machine.spec.name}: it did not end within ${seconds} s`,
    {
      hint: 'The installer neither powered off nor restarted; its last lines tell what it is at.',
      evidence: { serial: machine.serial.tail(25), reached: machine.milestones.text(), runDir: machine.runDir },
    },
  );
}
