import { readFile } from 'node:fs/promises';
import { ProvisionError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { type ExecOptions, type ExecResult, type GuestSession, quote } from './session.ts';
import { upload, uploadPath } from './upload.ts';

/** One thing done in the guest, as root. */
export type Step = { readonly name?: string } & (
  | {
      readonly kind: 'packages';
      readonly install: readonly string[];
      readonly remove?: readonly string[];
      readonly recommends?: boolean;
    }
  /** `from` is a file or a folder of this host. */
  | { readonly kind: 'upload'; readonly from: string; readonly to: string; readonly mode?: number }
  | {
      readonly kind: 'shell';
      readonly script?: string;
      readonly file?: string;
      readonly env?: Readonly<Record<string, string>>;
      readonly args?: readonly string[];
      readonly timeoutMs?: number;
    }
  | { readonly kind: 'write'; readonly path: string; readonly content: string; readonly mode?: number }
  | { readonly kind: 'reboot' }
);

export interface StepsOptions {
  readonly session: GuestSession;
  /** Logs in again after a restart. */
  readonly reconnect: () => Promise<GuestSession>;
  readonly steps: readonly Step[];
  /** Environment of every command: the proxy. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long a guest may take to go down, ms. @default 120000 */
  readonly rebootMs?: number;
}

/** Title of a step in progress and errors. */
export function stepTitle(step: Step, index: number): string {
  return `step ${index + 1}: ${step.name ?? step.kind}`;
}

/**
 * Runs the steps one after another and answers the session that is live at the end: a reboot makes a new one.
 * @throws ProvisionError `step.failed`, `reboot.same-boot`, `ssh.lost`
 */
export async function runSteps(options: StepsOptions, context: Context): Promise<GuestSession> {
  let { session } = options;
  const state = { updated: false };
  for (const [index, step] of options.steps.entries()) {
    const title = stepTitle(step, index);
    session = await inPhase(context, title, async () => {
      const run: ExecOptions = {
        env: options.env ?? {},
        signal: context.signal,
        onOutput: (stream, text) => context.emit({ type: 'output', phase: title, stream, text }),
      };
      if (step.kind === 'reboot') return reboot(session, options, context.signal);
      await runStep(session, step, title, run, state);
      // Any other step may have added a package source.
      state.updated = step.kind === 'packages';
      return session;
    });
  }
  return session;
}

async function runStep(
  session: GuestSession,
  step: Exclude<Step, { kind: 'reboot' }>,
  title: string,
  run: ExecOptions,
  state: { updated: boolean },
): Promise<void> {
  switch (step.kind) {
    case 'packages':
      must(title, await session.exec(packagesCommand(step, !state.updated), run));
      return;
    case 'upload':
      return uploadPath(session, step.from, step.to, { ...run, mode: step.mode });
    case 'write':
      return upload(session, [{ path: step.path, content: Buffer.from(step.content), mode: step.mode ?? 0o644 }], run);
    case 'shell':
      return shell(session, step, title, run);
  }
}

async function shell(
  session: GuestSession,
  step: Extract<Step, { kind: 'shell' }>,
  title: string,
  run: ExecOptions,
): Promise<void> {
  const text = step.file === undefined ? (step.script ?? '') : await readFile(step.file, 'utf8');
  const script = text.startsWith('#!') ? text : `#!/bin/sh -eu\n${text}`;
  const folder = (await session.run('mktemp -d /var/tmp/compose-XXXXXXXX', run)).stdout.trim();
  const path = `${folder}/script`;
  await upload(session, [{ path, content: Buffer.from(script), mode: 0o700 }], run);
  const words = [path, ...(step.args ?? [])].map(quote).join(' ');
  const env = { ...run.env, ...step.env };
  const result = await session.exec(`cd / && ${words}`, { ...run, env, timeoutMs: step.timeoutMs });
  await session.run(`rm -rf ${quote(folder)}`, { signal: run.signal });
  must(title, result);
}

/** One command for the guest's own package manager; indexes are fetched once a build. */
export function packagesCommand(step: Extract<Step, { kind: 'packages' }>, update: boolean): string {
  const install = step.install.map(quote).join(' ');
  const remove = (step.remove ?? []).map(quote).join(' ');
  const recommends = step.recommends ? '' : ' --no-install-recommends';
  const apt = 'apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold';
  const parts = (tool: string, lines: readonly string[]): string =>
    `if command -v ${tool} >/dev/null; then set -e; ${lines.filter(Boolean).join('; ')}; exit 0; fi`;
  return [
    parts('apt-get', [
      'export DEBIAN_FRONTEND=noninteractive',
      update ? `${apt} update` : '',
      install && `${apt} install${recommends} -- ${install}`,
      remove && `${apt} purge -- ${remove}`,
    ]),
    parts('dnf', [install && `dnf -y install ${install}`, remove && `dnf -y remove ${remove}`]),
    parts('yum', [install && `yum -y install ${install}`, remove && `yum -y remove ${remove}`]),
    parts('zypper', [install && `zypper -n install ${install}`, remove && `zypper -n remove ${remove}`]),
    'echo "no package manager that compose knows" >&2; exit 127',
  ].join('\n');
}

/** How long a guest may take to go down for a restart. */
const REBOOT_MS = 120_000;

/**
 * Restarts the guest and proves by its boot id that it did. A server that is still up for a moment after it broke the
 * connection answers with the old boot, and is waited out.
 */
async function reboot(session: GuestSession, options: StepsOptions, outer: AbortSignal): Promise<GuestSession> {
  const signal = AbortSignal.any([outer, AbortSignal.timeout(options.rebootMs ?? REBOOT_MS)]);
  const before = await session.bootId();
  let old = session;
  old.expectEnd();
  // The connection may break before the command has a status.
  await old.exec('systemctl reboot || reboot', { signal }).catch(() => {});
  for (;;) {
    const down = await ended(old, signal);
    if (!down) break;
    await old[Symbol.asyncDispose]();
    const next = await options.reconnect();
    const now = await next.bootId().catch(() => before);
    if (now !== before) return next;
    old = next;
    old.expectEnd();
  }
  await old[Symbol.asyncDispose]();
  outer.throwIfAborted();
  throw new ProvisionError('reboot.same-boot', 'Cannot restart the guest: it answers with the boot it had before', {
    hint: 'Something in the guest refused to stop; the serial log tells.',
  });
}

/** True when the connection has ended, false when `signal` came before. */
async function ended(session: GuestSession, signal: AbortSignal): Promise<boolean> {
  let onAbort = (): void => {};
  const aborted = new Promise<boolean>((resolve) => {
    onAbort = () => resolve(false);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([session.ended().then(() => true), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function must(title: string, result: ExecResult): void {
  if (result.exitCode === 0) return;
  const lines = `${result.stderr}\n${result.stdout}`.trim().split('\n').slice(-15);
  const how = result.signal === undefined ? `status ${result.exitCode}` : `signal ${result.signal}`;
  throw new ProvisionError('step.failed', `Cannot finish ${title}: it ended with ${how}`, {
    hint: 'Mend the step and build again; ssh.log in the run folder has all of its output.',
    evidence: { output: lines },
  });
}
