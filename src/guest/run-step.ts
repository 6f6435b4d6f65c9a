/** One try of one step. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ProvisionError } from '../errors.ts';
import type { Context } from '../events.ts';
import { deadline } from '../host/within.ts';
import { download } from './download.ts';
import { describeEnd, evidenceOf } from './exec-result.ts';
import { packagesCommand } from './packages.ts';
import { putFile } from './put-file.ts';
import { endOf } from './reboot.ts';
import type { ExecOptions, ExecResult, GuestSession } from './session.ts';
import { quote } from './shell.ts';
import type { BreakpointStep, RebootStep, ShellStep, Step } from './step.ts';
import { uploadPath } from './upload.ts';

/** What of a build the steps share. */
export interface StepState {
  updated: boolean;
}

/** What a try takes of its surroundings; see `StepsOptions`. */
export interface TryOptions {
  readonly reconnect: () => Promise<GuestSession>;
  /** How long a connection may take to end that a step says it ends, ms. */
  readonly rebootMs: number;
  readonly out?: string;
}

export interface Try {
  readonly session: GuestSession;
  readonly step: Exclude<Step, RebootStep | BreakpointStep>;
  readonly title: string;
  readonly run: ExecOptions;
  readonly options: TryOptions;
  readonly state: StepState;
  readonly context: Context;
  /** Says that a transfer goes on. */
  readonly moved: () => void;
}

/** Progress is told this often at most, ms. */
const PROGRESS_MS = 250;
const CLEAN_UP_MS = 30_000;

/** Does the step and answers the session that is live after it. */
export async function runStep(work: Try): Promise<GuestSession> {
  const { session, step, title, run, options, state } = work;
  switch (step.kind) {
    case 'packages':
      must(title, await session.exec(packagesCommand(step, !state.updated), run));
      return session;
    case 'upload':
      await uploadPath(session, step.from, step.to, { ...step, ...transfer(work) });
      return session;
    case 'download': {
      if (options.out === undefined) {
        throw new ProvisionError('download.no-folder', `Cannot finish ${title}: there is no folder to download to`, {
          hint: 'Give the steps an output folder.',
        });
      }
      await download(session, step.from, step.to, { ...transfer(work), root: options.out });
      return session;
    }
    case 'write': {
      const { path, mode, owner } = step;
      await putFile(session, { path, content: Buffer.from(step.content), mode, owner }, { ...transfer(work) });
      return session;
    }
    case 'shell':
      return shell(work, step, run);
  }
}

/** What transfers take of a try: time, signal, and where to tell how far they are. */
function transfer({ run, title, context, moved }: Try): Pick<ExecOptions, 'signal' | 'timeoutMs'> & {
  onProgress: (done: number, total: number | undefined) => void;
} {
  let told = performance.now();
  const { signal, timeoutMs } = run;
  const onProgress = (done: number, total: number | undefined): void => {
    moved();
    const now = performance.now();
    if (now - told < PROGRESS_MS) return;
    told = now;
    const whole = total === undefined ? {} : { total };
    context.emit({ type: 'progress', phase: title, done, unit: 'bytes', ...whole });
  };
  return { signal, timeoutMs, onProgress };
}

async function shell(work: Try, step: ShellStep, run: ExecOptions): Promise<GuestSession> {
  const { session, title } = work;
  const text = step.file === undefined ? (step.script ?? '') : await readFile(step.file, 'utf8');
  const script = text.startsWith('#!') ? text : `#!/bin/sh -eu\n${text}`;
  const folder = `/var/tmp/compose-${randomBytes(8).toString('hex')}`;
  const path = `${folder}/script`;
  await putFile(session, { path, content: Buffer.from(script), mode: 0o700, owner: step.user }, transfer(work));
  const interpreter = (step.interpreter ?? '').split(/\s+/).filter(Boolean);
  const words = [...interpreter, path, ...(step.args ?? [])].map(quote).join(' ');
  const command = `cd ${quote(step.cwd ?? '/')} && exec ${words}`;
  const options = { ...run, env: { ...run.env, ...step.env }, user: step.user };
  let live = session;
  try {
    if (step.expectDisconnect) live = await untilDisconnect(work, step, command, options);
    else must(title, await session.exec(command, options), step.exitCodes);
    return live;
  } finally {
    // The connection may be what failed; the error of the step tells more than that of tidying up.
    await live.exec(`rm -rf ${quote(folder)}`, { signal: work.context.signal, timeoutMs: CLEAN_UP_MS }).catch(() => {});
  }
}

/** Runs a command that ends the connection, waits for that end, and logs in again. */
async function untilDisconnect(
  { session, title, options }: Try,
  step: ShellStep,
  command: string,
  exec: ExecOptions,
): Promise<GuestSession> {
  session.expectEnd();
  const result = await session.attempt(command, exec);
  if (result.how !== 'lost') {
    must(title, result, step.exitCodes);
    const limit = deadline(exec.timeoutMs ?? options.rebootMs);
    if (!(await endOf(session, AbortSignal.any([limit, ...(exec.signal ? [exec.signal] : [])])))) {
      exec.signal?.throwIfAborted();
      throw new ProvisionError('step.no-disconnect', `Cannot finish ${title}: it did not end the connection`, {
        hint: 'Leave expectDisconnect out where a step may also leave the connection as it is.',
      });
    }
  }
  await session[Symbol.asyncDispose]();
  return options.reconnect();
}

function must(title: string, result: ExecResult, accepted: readonly number[] = [0]): void {
  if (result.how === 'exited' && accepted.includes(result.exitCode)) return;
  throw new ProvisionError('step.failed', `Cannot finish ${title}: it ended with ${describeEnd(result)}`, {
    hint: 'Mend the step and build again; ssh.log in the run folder has all of its output.',
    evidence: evidenceOf(result),
  });
}
