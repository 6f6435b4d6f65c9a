import { isComposeError, ProvisionError } from '../errors.ts';
import { humanDuration } from '../formats/human.ts';
import type { ExecOptions, GuestSession } from './session.ts';

/** Looks of the shell at what cloud-init leaves when it has finished, a fifth of a second apart, before its own wait is used. */
const LOOKS = 300;

/**
 * Waits for the result that cloud-init writes last (/run/cloud-init/result.json), then for the unit that ran it, whose last
 * commands may restart the network, and shows the state of each stage. cloud-init's own wait is a Python program: under
 * emulation its start alone takes seconds of a processor, from the very stage it waits for.
 * Ends with 1 without cloud-init, and with 3 where only cloud-init itself can tell.
 */
const WAIT = `command -v cloud-init || exit 1
[ -e /run/cloud-init/enabled ] || exit 3
n=0
until [ -e /run/cloud-init/result.json ]; do
  n=$((n + 1))
  [ "$n" -le ${LOOKS} ] && sleep 0.2 || exit 3
done
while [ "$(systemctl is-active cloud-final.service 2>/dev/null)" = activating ]; do sleep 0.2 || exit 3; done
cat /run/cloud-init/status.json`;
const NOT_THERE = [1, 127];

/** Of what cloud-init tells about itself, ms. */
const REPORT_MS = 60_000;

/**
 * Waits until cloud-init has finished its first boot, `timeoutMs` at most. A guest without cloud-init, or with it turned off, is ready.
 * What is no plain success cloud-init is asked about itself: `status --wait` ends with 0 (done), 1 (error) or, since 23.4,
 * 2 (done with recoverable errors).
 * @throws ProvisionError `ssh.wrong-user`; `cloud-init.failed` with its own report and the end of its log
 */
export async function waitForCloudInit(session: GuestSession, options: ExecOptions = {}): Promise<string> {
  const { timeoutMs, signal } = options;
  const until = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  const limited: ExecOptions = {
    ...options,
    // What is left, whenever it is asked for.
    get timeoutMs() {
      return until === undefined ? undefined : Math.max(1, until - performance.now());
    },
  };
  try {
    return await finished(session, limited);
  } catch (error) {
    if (timeoutMs === undefined || !isComposeError(error) || error.code !== 'command.timeout') throw error;
    const how = `has not finished within ${humanDuration(timeoutMs)}`;
    throw await failed(session, how, { signal, timeoutMs: REPORT_MS }, error);
  }
}

async function finished(session: GuestSession, options: ExecOptions): Promise<string> {
  const waited = await session.exec(WAIT, options);
  const instead = /Please login as the user "([^"]+)" rather than/.exec(waited.stdout)?.[1];
  if (instead !== undefined) throw wrongUser(instead);
  if (NOT_THERE.includes(waited.exitCode)) return 'not installed';
  if (waited.exitCode === 0 && everyStageDone(waited.stdout)) return 'done';
  const { exitCode, stdout } = await session.exec('cloud-init status --wait', options);
  const status = /status:\s*(\S+)/.exec(stdout)?.[1] ?? 'unknown';
  if (exitCode === 0 || exitCode === 2) return status;
  throw await failed(session, `ended with "${status}"`, options);
}

async function failed(
  session: GuestSession,
  how: string,
  options: ExecOptions,
  cause?: unknown,
): Promise<ProvisionError> {
  const report = await session.exec('cloud-init status --long', options);
  const log = await session.exec(
    "grep -E 'WARNING|ERROR|CRITICAL|Traceback' /var/log/cloud-init.log | tail -n 15",
    options,
  );
  return new ProvisionError('cloud-init.failed', `Cannot provision the guest: cloud-init ${how}`, {
    hint: 'The report names the module; its log is in the guest at /var/log/cloud-init.log.',
    evidence: { report: report.stdout.trimEnd().split('\n'), log: log.stdout.trimEnd().split('\n') },
    cause,
  });
}

interface Stage {
  readonly errors?: unknown;
  readonly start?: unknown;
  readonly finished?: unknown;
}

/** Whether `text` ends in a status.json (cloud-init's documentation, "status") whose stages all ended without an error. */
function everyStageDone(text: string): boolean {
  let stages: Stage[];
  try {
    const { v1 } = JSON.parse(text.slice(text.indexOf('{'))) as { v1?: Record<string, unknown> };
    stages = Object.values(v1 ?? {}).filter((one): one is Stage => typeof one === 'object' && one !== null);
  } catch {
    return false;
  }
  // A stage of an older release's that this one runs no more has not started either.
  const begun = stages.filter(({ start }) => typeof start === 'number');
  const ended = begun.every(({ finished }) => typeof finished === 'number');
  return begun.length > 0 && ended && stages.every(({ errors }) => Array.isArray(errors) && errors.length === 0);
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
