import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { HostError, MachineError } from '../errors.ts';
import { killGroup, spawnTied } from '../host/tied-process.ts';
import { packageOf, which } from '../host/tools.ts';
import { qemuScript, type ScriptPlaces } from './qemu-script.ts';

/** How a QEMU ended. */
export interface QemuExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface QemuProcess extends AsyncDisposable {
  readonly pid: number;
  /** Settles once, when the process has ended; never rejects. */
  readonly exited: Promise<QemuExit>;
  /** What it wrote to standard error so far, the last part. */
  stderr(): string;
}

const KEPT = 16 * 1024;

/** What people meet most, by what QEMU says. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /cannot set up guest memory|Cannot allocate memory/i,
    'The guest asks for more memory than the host can give; lower machine.memory.',
  ],
  [
    /Could not access KVM|failed to initialize kvm/i,
    'KVM is not available to this user; add the user to the group kvm, or use --accelerator tcg.',
  ],
  [/Failed to get "write" lock/i, 'Another QEMU uses this disk; end it, or let that build finish.'],
  [/No space left on device/i, 'The disk that holds the run folder is full; free some space.'],
  [/No such file or directory/i, 'A file named in the command does not exist; see qemu.sh.'],
];

/**
 * Starts QEMU so that it ends with compose however compose ends (`spawnTied`). The command is kept as a script,
 * `qemu.sh`, in `folder`; with `places` it runs also when compose is gone.
 * @throws HostError `qemu.missing`
 */
export async function startQemu(
  program: string,
  argv: readonly string[],
  folder: string,
  places?: ScriptPlaces,
): Promise<QemuProcess> {
  const path = program.includes('/') ? program : which(program);
  if (path === undefined) {
    throw new HostError('qemu.missing', `Cannot start a machine: ${program} is not installed`, {
      hint: `Install the package ${packageOf(program)}, or run: compose doctor --install`,
    });
  }
  await writeFile(join(folder, 'qemu.sh'), qemuScript(path, argv, places), { mode: 0o700 });
  return watch(spawnTied(path, argv), folder);
}

function watch(child: ChildProcess, folder: string): QemuProcess {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT);
  });
  const exited = new Promise<QemuExit>((resolve) => {
    child.once('error', () => resolve({ code: 127, signal: null }));
    child.once('close', (code, signal) => {
      if (stderr !== '') {
        try {
          writeFileSync(join(folder, 'qemu.stderr'), stderr);
        } catch {
          // The run folder is gone; the text is in the error as well.
        }
      }
      resolve({ code, signal });
    });
  });
  return {
    pid: child.pid ?? -1,
    exited,
    stderr: () => stderr,
    [Symbol.asyncDispose]: async () => {
      killGroup(child);
      await exited;
    },
  };
}

const CRASHES: readonly (string | null)[] = ['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP', 'SIGSYS'];

/**
 * The error for a QEMU that ended when nobody asked it to: `qemu.failed` before the guest said a word, `machine.died` after,
 * `qemu.crashed` by a fault of its own, `qemu.killed` by somebody else's signal.
 */
export function qemuDied(
  name: string,
  exit: QemuExit,
  stderr: string,
  evidence: Record<string, string | string[]>,
): MachineError {
  const signal = endingSignal(exit);
  const how = signal === undefined ? `exit status ${exit.code}` : `signal ${signal}`;
  const started = evidence.serial !== undefined && evidence.serial.length > 0;
  const known = HINTS.find(([pattern]) => pattern.test(stderr))?.[1];
  const facts = { stderr: stderr.trimEnd().split('\n').slice(-15), ...evidence };
  const died = (code: string, message: string, hint: string): MachineError =>
    new MachineError(code, message, { hint: known ?? hint, evidence: facts });
  if (signal !== undefined && CRASHES.includes(signal)) {
    return died(
      'qemu.crashed',
      `Cannot run ${name}: QEMU crashed (${how})`,
      'Try --accelerator tcg, or another version of QEMU; qemu.sh starts it by hand.',
    );
  }
  if (signal !== undefined) {
    const hint = 'Somebody ended it. With SIGKILL that is often the kernel for want of memory: dmesg tells.';
    return died('qemu.killed', `Cannot run ${name}: QEMU was killed (${how})`, hint);
  }
  const hint = 'qemu.sh in the run folder starts the same QEMU by hand.';
  const message = `Cannot run ${name}: QEMU ended by itself (${how})`;
  return started ? died('machine.died', message, hint) : died('qemu.failed', message, hint);
}

/** The signal that ended a process, also when a shell between has made it a status (128 and its number). */
function endingSignal({ code, signal }: QemuExit): NodeJS.Signals | undefined {
  if (signal !== null) return signal;
  if (code === null || code <= 128) return undefined;
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return names.find(([, number]) => number === code - 128)?.[0];
}
