/** The steps of a recipe, run one after another: limits, further tries, what happens when one fails. */
import { isComposeError, ProvisionError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { humanDuration } from '../formats/human.ts';
import type { GuestWatch } from '../machine/watch-guest.ts';
import { reboot } from './reboot.ts';
import { runStep, type StepState } from './run-step.ts';
import type { ExecOptions, GuestSession } from './session.ts';
import { type Life, whileMoving } from './stall.ts';
import { type BreakpointStep, type RebootStep, type Step, stepTitle } from './step.ts';

export { packagesCommand } from './packages.ts';
export { type Step, stepTitle } from './step.ts';

/** A step that failed for good: its tries are used up. */
export interface StepFailure {
  readonly step: Step;
  readonly title: string;
  readonly error: unknown;
  readonly session: GuestSession;
}

export interface StepsOptions {
  readonly session: GuestSession;
  /** Logs in again after a restart. */
  readonly reconnect: () => Promise<GuestSession>;
  readonly steps: readonly Step[];
  /** Environment of every command: the proxy. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long a guest may take to go down, or a step to end the connection it says it ends, ms. @default 120000, scaled */
  readonly rebootMs?: number | undefined;
  /** How many times longer than under KVM a guest may take (`Accelerator.timeScale`). @default 1 */
  readonly timeScale?: number | undefined;
  /** Folder of this host that downloads go under. @default downloads are refused */
  readonly out?: string;
  /** By which a step in whose guest nothing goes on any more is noticed. @default it may take as long as it likes */
  readonly watch?: GuestWatch | undefined;
  /** Waits for the operator at a breakpoint. @default it is told and passed */
  readonly onBreakpoint?: (title: string, note: string | undefined, session: GuestSession) => Promise<void>;
  /** Asked when a step has failed: once more, or give up. @default give up */
  readonly onFailure?: (failure: StepFailure) => Promise<'retry' | 'fail'>;
}

/** How long a guest may take to go down for a restart, or a connection to end that a step says it ends, under KVM. */
const REBOOT_MS = 120_000;

/**
 * Runs the steps one after another and answers the session that is live at the end: a reboot makes a new one.
 * @throws ProvisionError `step.failed`, `step.timeout`, `step.stalled`, `step.no-disconnect`, `reboot.same-boot`, `ssh.lost`, `upload.…`,
 * `download.…`
 */
export async function runSteps(options: StepsOptions, context: Context): Promise<GuestSession> {
  let { session } = options;
  const rebootMs = options.rebootMs ?? REBOOT_MS * (options.timeScale ?? 1);
  const surroundings = { ...options, rebootMs };
  const state = { updated: false };
  for (const [index, step] of options.steps.entries()) {
    const title = stepTitle(step, index);
    session = await inPhase(context, title, () => untilItWorks(session, step, title, surroundings, state, context));
    // Any other step may have added a package source.
    state.updated = step.kind === 'packages';
  }
  return session;
}

/** The options, all budgets settled. */
type Surroundings = StepsOptions & { readonly rebootMs: number };

async function untilItWorks(
  session: GuestSession,
  step: Step,
  title: string,
  options: Surroundings,
  state: StepState,
  context: Context,
): Promise<GuestSession> {
  const tries = 1 + (step.retries ?? 0);
  for (let round = 1; ; round++) {
    try {
      return await once(session, step, title, options, state, context);
    } catch (error) {
      context.signal.throwIfAborted();
      const why = error instanceof Error ? error.message : String(error);
      const again = isStepsOwn(error, step);
      if (round < tries && again) {
        warn(context, title, `try ${round} of ${tries} failed: ${why}`);
        continue;
      }
      if (step.allowFailure && again) {
        warn(context, title, `it failed, which the recipe allows: ${why}`);
        return session;
      }
      if ((await options.onFailure?.({ step, title, error, session })) !== 'retry') throw error;
      warn(context, title, 'the operator tries it again');
    }
  }
}

function warn(context: Context, phase: string, message: string): void {
  context.emit({ type: 'log', level: 'warn', phase, message });
}

/** A failure of the step's own, which leaves the guest and the connection as they were. */
function isStepsOwn(error: unknown, step: Step): boolean {
  if (!isComposeError(error) || !/^(step|command|upload|download)\./.test(error.code)) return false;
  // The session of a step that was to end it is of no use to another try.
  const leaves = step.kind === 'reboot' || (step.kind === 'shell' && step.expectDisconnect === true);
  return error.code !== 'step.no-disconnect' && !(leaves && error.code === 'step.stalled');
}

async function once(
  session: GuestSession,
  step: Step,
  title: string,
  options: Surroundings,
  state: StepState,
  context: Context,
): Promise<GuestSession> {
  const { timeoutMs } = step;
  if (step.kind === 'breakpoint') {
    if (options.onBreakpoint === undefined) warn(context, title, 'passed by: nobody is there to go on');
    else await options.onBreakpoint(title, step.note, session);
    return session;
  }
  return whileMoving({ title, watch: options.watch, timeoutMs }, context, (life) =>
    step.kind === 'reboot'
      ? reboot(session, options.reconnect, timeoutMs ?? options.rebootMs, life.signal)
      : timed(session, step, title, options, state, life, context),
  );
}

/** A try of a step within its own time. */
async function timed(
  session: GuestSession,
  step: Exclude<Step, RebootStep | BreakpointStep>,
  title: string,
  options: Surroundings,
  state: StepState,
  life: Life,
  context: Context,
): Promise<GuestSession> {
  const { timeoutMs } = step;
  const { signal, stalled, moved } = life;
  const until = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  const run: ExecOptions = {
    env: options.env ?? {},
    signal,
    limit: stalled,
    onOutput: (stream, text) => {
      moved(text);
      context.emit({ type: 'output', phase: title, stream, text });
    },
    // What is left of the step's time, whenever it is asked for.
    get timeoutMs() {
      return until === undefined ? undefined : Math.max(1, until - performance.now());
    },
  };
  try {
    return await runStep({ session, step, title, run, options, state, context, moved });
  } catch (error) {
    if (timeoutMs === undefined || !isComposeError(error) || error.code !== 'command.timeout') throw error;
    const what = `Cannot finish ${title}: it took longer than ${humanDuration(timeoutMs)}`;
    throw new ProvisionError('step.timeout', what, {
      hint: 'Give it a longer timeout in the recipe, or see in ssh.log what it waited for.',
      evidence: error.evidence,
      cause: error,
    });
  }
}
