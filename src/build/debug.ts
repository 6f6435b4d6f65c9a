/** `compose debug`: the guest of an earlier run, booted again from the disk that was kept. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { keepaliveFor } from '../guest/attempt.ts';
import { connectGuest } from '../guest/connect.ts';
import type { GuestSession } from '../guest/session.ts';
import { makeFolder } from '../host/make-folder.ts';
import { run } from '../host/process.ts';
import type { AcceleratorPolicy } from '../machine/accelerator.ts';
import type { MachineDisk, MachineSpec } from '../machine/spec.ts';
import { startMachine } from '../machine/start.ts';
import type { View, ViewKind } from '../machine/view.ts';
import { keptState } from './kept-state.ts';
import { type RunRecord, readRunRecord } from './run-record.ts';

export interface DebugOptions {
  /** A run folder, the name of one. @default the newest */
  readonly run?: string | undefined;
  /** Throws away what this session changes: the disks, the UEFI variables, the TPM. */
  readonly discard?: boolean;
  /** @default auto */
  readonly accelerator?: AcceleratorPolicy | undefined;
  /** Opens the guest's screen to one VNC viewer. @default none */
  readonly view?: ViewKind | undefined;
  /** Told how to look, as soon as the guest starts. The password is told here and nowhere else: events and logs mask it. */
  readonly onView?: ((view: Pick<View, 'address' | 'password'>) => void) | undefined;
  /** What is done in the guest; it is powered off afterwards. */
  readonly work: (session: GuestSession) => Promise<void>;
}

export interface DebugResult {
  readonly runDir: string;
  /** Console, QMP and SSH logs of this session. */
  readonly logs: string;
  readonly changes: 'kept' | 'discarded';
}

/** Budgets under KVM; a slower accelerator multiplies them. */
const LOGIN_MS = 90_000;
const SHUTDOWN_MS = 60_000;

/**
 * Boots a kept run's guest with the machine it had, its UEFI variables and TPM as the run left them, logs in with the key
 * that was kept, does `work`, powers off cleanly. The logs of the build stay as they are: this session's lie in a folder of
 * their own.
 * @throws UsageError `run.not-found`, `run.no-record`, `run.no-disk`; the errors of machine and login
 */
export async function debugRun(options: DebugOptions, context: Context): Promise<DebugResult> {
  const record = await readRunRecord(options.run);
  const { runDir } = record;
  for (const { path } of record.spec.disks) {
    if (existsSync(path)) continue;
    throw new UsageError('run.no-disk', `Cannot boot the run ${runDir} again: its disk is gone (${path})`, {
      hint: 'A build that fails keeps its disk unless it ran with --on-error clean.',
    });
  }
  const logs = await mkdtemp(join(await made(join(runDir, 'debug')), new Date().toISOString().slice(0, 19)));
  const spec = options.discard ? await onOverlays(record.spec, logs, context) : record.spec;
  try {
    await inGuest(record, spec, logs, options, context);
  } finally {
    if (options.discard) {
      for (const disk of spec.disks) if (disk.path.startsWith(logs)) await rm(disk.path, { force: true });
    }
  }
  return { runDir, logs, changes: options.discard ? 'discarded' : 'kept' };
}

async function inGuest(
  record: RunRecord,
  spec: MachineSpec,
  logs: string,
  options: DebugOptions,
  context: Context,
): Promise<void> {
  const policy = options.accelerator;
  await using kept = await keptState(record, options.discard ? logs : undefined, context);
  await using machine = await inPhase(
    context,
    'start',
    () => startMachine(spec, { ...kept.options, runDir: logs, policy, view: options.view }, context),
    (started) => `${started.accelerator.kind}, QEMU ${started.qemuVersion}`,
  );
  if (machine.view !== undefined) options.onView?.(machine.view);
  const { ssh, failure, accelerator, watch } = machine;
  const login = (): Promise<GuestSession> =>
    connectGuest(
      {
        host: ssh?.host ?? '127.0.0.1',
        port: ssh?.port ?? 22,
        username: record.user,
        privateKey: record.privateKey,
        hostKey: record.hostKey,
        budgetMs: LOGIN_MS * accelerator.timeScale,
        keepalive: keepaliveFor(accelerator.timeScale),
        failure,
        watch,
        transcript: join(logs, 'ssh.log'),
      },
      context,
    );
  await using session = await inPhase(context, 'boot', login, () => `logged in as ${record.user}`);
  await options.work(session);
  session.expectEnd();
  const ask = async (): Promise<void> => void (await session.exec('systemctl poweroff || poweroff || shutdown -P now'));
  await inPhase(
    context,
    'power off',
    () => machine.shutdown({ ask, budgetMs: SHUTDOWN_MS * accelerator.timeScale, signal: context.signal }),
    (stopped) => stopped.reason,
  );
}

/** The same machine on disks that take the changes in place of those that were kept. */
async function onOverlays(spec: MachineSpec, folder: string, context: Context): Promise<MachineSpec> {
  const disks: MachineDisk[] = [];
  for (const [index, disk] of spec.disks.entries()) {
    if (disk.readOnly) {
      disks.push(disk);
      continue;
    }
    const path = join(folder, `disk${index}.qcow2`);
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk.path, '-F', disk.format, path], context);
    disks.push({ ...disk, path, format: 'qcow2' });
  }
  return { ...spec, disks };
}

async function made(folder: string): Promise<string> {
  await makeFolder(folder, { mode: 0o700 });
  return folder;
}
