import { type ChildProcess, spawn } from 'node:child_process';
import { reapGroup } from './reaper.ts';
import { which } from './tools.ts';

/** Runs its arguments and kills them when standard input closes. */
const WATCHDOG = '"$@" </dev/null & child=$!; { cat >/dev/null; kill -KILL "$child"; } <&0 & wait "$child"';

/**
 * Starts the program at `path` so that it ends with compose however compose ends: the kernel sends it SIGKILL when its
 * parent is gone (prctl PR_SET_PDEATHSIG through setpriv), and where there is no setpriv a shell watches a pipe for that.
 * It leads a process group of its own; standard error is a pipe.
 */
export function spawnTied(path: string, argv: readonly string[]): ChildProcess {
  const setpriv = process.platform === 'linux' ? which('setpriv') : undefined;
  const child =
    setpriv === undefined
      ? spawn('/bin/sh', ['-c', WATCHDOG, 'sh', path, ...argv], { detached: true, stdio: ['pipe', 'ignore', 'pipe'] })
      : spawn(setpriv, ['--pdeathsig', 'KILL', path, ...argv], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  // The kernel's signal reaches the child alone, and only once it has been asked for; the reaper ends the whole group.
  if (child.pid !== undefined) {
    const held = reapGroup(child.pid);
    child.once('close', () => held[Symbol.dispose]());
  }
  return child;
}

/** Kills the process group of `child`, unless it has ended already. */
export function killGroup(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
  }
}
