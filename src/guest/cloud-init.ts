import { ProvisionError } from '../errors.ts';
import type { ExecOptions, GuestSession } from './session.ts';

/**
 * Waits until cloud-init has finished its first boot. A guest without cloud-init, or with it turned off, is ready.
 * `status --wait` ends with 0 (done), 1 (error) or, since 23.4, 2 (done with recoverable errors).
 * @throws ProvisionError `ssh.wrong-user`; `cloud-init.failed` with its own report and the end of its log
 */
export async function waitForCloudInit(session: GuestSession, options: ExecOptions = {}): Promise<string> {
  const there = await session.exec('command -v cloud-init', options);
  const instead = /Please login as the user "([^"]+)" rather than/.exec(there.stdout)?.[1];
  if (instead !== undefined) throw wrongUser(instead);
  if (there.exitCode !== 0) return 'not installed';
  const { exitCode, stdout } = await session.exec('cloud-init status --wait', options);
  const status = /status:\s*(\S+)/.exec(stdout)?.[1] ?? 'unknown';
  if (exitCode === 0 || exitCode === 2) return status;
  const report = await session.exec('cloud-init status --long', options);
  const log = await session.exec(
    "grep -E 'WARNING|ERROR|CRITICAL|Traceback' /var/log/cloud-init.log | tail -n 15",
    options,
  );
  throw new ProvisionError('cloud-init.failed', `Cannot provision the guest: cloud-init ended with "${status}"`, {
    hint: 'The report names the module that failed; its log is in the guest at /var/log/cloud-init.log.',
    evidence: { report: report.stdout.trimEnd().split('\n'), log: log.stdout.trimEnd().split('\n') },
  });
}

/** cloud-init lets a key in as root and has a command of its own run that says this (cloud-init's `disable_root_opts`). */
function wrongUser(instead: string): ProvisionError {
  const what = `Cannot provision the guest: it lets our key in as ${instead} only, and refuses to run commands`;
  return new ProvisionError('ssh.wrong-user', what, { hint: `Set the recipe's user to ${instead}.` });
}

/** Tells the disk which blocks are free, so that they are not packed; a guest that cannot is packed with them. */
export async function trim(session: GuestSession, options: ExecOptions = {}): Promise<string | undefined> {
  const { exitCode, stdout } = await session.exec('sync; fstrim -av', options);
  return exitCode === 0 ? stdout.trim().split('\n').join('; ') : undefined;
}
