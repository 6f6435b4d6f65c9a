/** Whether anything goes on while a step runs: a command that waits for input, or for what never comes, ends the build. */
import { ProvisionError } from '../errors.ts';
import type { Context } from '../events.ts';
import { humanDuration } from '../formats/human.ts';
import type { GuestWatch, Stillness } from '../machine/watch-guest.ts';
import { lastLines } from './scrub.ts';

export interface StallOptions {
  readonly title: string;
  /** Without it nothing is noticed. */
  readonly watch: GuestWatch | undefined;
  /** The limit the step has of its own: its stillness is told of, and no more. */
  readonly timeoutMs: number | undefined;
}

/** What work is given that is watched for its progress. */
export interface Life {
  /** The build's signal and `stalled`. */
  readonly signal: AbortSignal;
  /** Aborted with the error once nothing goes on any more. */
  readonly stalled: AbortSignal;
  /** Says that the work goes on, with what it wrote. */
  readonly moved: (output?: string) => void;
}

/** Of what was written last so much is kept, characters. */
const TAIL = 4_000;
const NOTHING = 'no disk, network, console or processor of the guest is at work, and there is no output';

/**
 * Does `work` while the guest is followed. When nothing goes on for `WatchBudgets.stepQuietMs` that is told, and after
 * `stepStallMs` `work` is aborted.
 * @throws ProvisionError `step.stalled`; what `work` throws
 */
export async function whileMoving<T>(
  { title, watch, timeoutMs }: StallOptions,
  context: Context,
  work: (life: Life) => Promise<T>,
): Promise<T> {
  const stall = new AbortController();
  let tail = '';
  using following = watch?.follow({
    onQuiet: ({ ms }) => {
      const said = lastOutput(tail);
      const last = said === undefined ? '' : `; its last output: ${said}`;
      const message = `nothing has gone on for ${humanDuration(ms)}: ${NOTHING}${last}`;
      context.emit({ type: 'log', level: 'warn', phase: title, message });
    },
    onStall: (still) => {
      if (timeoutMs === undefined) stall.abort(stalled(title, still, tail));
    },
  });
  const life: Life = {
    signal: AbortSignal.any([context.signal, stall.signal]),
    stalled: stall.signal,
    moved: (output = '') => {
      tail = (tail + output).slice(-TAIL);
      following?.moved();
    },
  };
  try {
    return await work(life);
  } catch (error) {
    context.signal.throwIfAborted();
    // Whatever the abort made of the work, this is why.
    stall.signal.throwIfAborted();
    throw error;
  }
}

function lastOutput(tail: string): string | undefined {
  const last = lastLines(tail, 1)[0]?.trim();
  return last === '' ? undefined : last;
}

function stalled(title: string, { ms, evidence }: Stillness, tail: string): ProvisionError {
  const time = humanDuration(ms);
  return new ProvisionError('step.stalled', `Cannot finish ${title}: nothing has gone on in the guest for ${time}`, {
    hint: 'A command of it waits for input, or for what never comes; its last output may tell. Have it ask nothing, or give the step a timeout where it may wait so long.',
    evidence: { lastOutput: lastOutput(tail) ?? '(none)', serial: evidence.serial },
  });
}
