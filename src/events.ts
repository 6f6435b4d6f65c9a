/** What a running compose tells its listeners. Progress bars, the plain log and `--log ndjson` are all subscribers. */

/** Version of the event shapes below; raised when a field changes meaning. */
export const EVENT_VERSION = 1;

type Happening =
  /** A stage of the work began, ended or failed. `ms` is its duration when it is over. */
  | {
      readonly type: 'phase';
      readonly phase: string;
      readonly state: 'start' | 'done' | 'failed';
      readonly ms?: number;
      /** One short clause a person wants beside the phase: an address, a version, a count. */
      readonly detail?: string;
    }
  /** A guest came one phase nearer to being ready; `ms` counts from the start of its QEMU, `boot` its starts from 1. */
  | {
      readonly type: 'milestone';
      readonly milestone: string;
      readonly ms: number;
      readonly boot: number;
      readonly detail?: string;
    }
  /** How far a phase is. Sent at most a few times a second for each phase. */
  | {
      readonly type: 'progress';
      readonly phase: string;
      readonly done: number;
      readonly total?: number;
      readonly unit: 'bytes' | 'entries';
    }
  /** A sentence for the operator. `debug` is shown only when asked for. */
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn';
      readonly phase?: string;
      readonly message: string;
    }
  /** Output of a guest command, or of the guest's console, as it arrives. */
  | {
      readonly type: 'output';
      readonly phase: string;
      readonly stream: 'stdout' | 'stderr' | 'serial';
      readonly text: string;
    }
  /** The operator's terminal is taken by a question or a shell: nothing else is drawn on it until it is free. */
  | { readonly type: 'terminal'; readonly state: 'taken' | 'free' }
  /** A file under its final name. */
  | {
      readonly type: 'artifact';
      readonly file: string;
      readonly filetype: string;
      readonly size: number;
      readonly sha256: string;
    };

/** `build` says which build it happened in, where several run at once. */
export type ComposeEvent = Happening & { readonly build?: string };

export type Emit = (event: ComposeEvent) => void;

/** What every verb and stage takes: where to tell, and what ends it. */
export interface Context {
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** A context that tells nobody and never ends, for callers that want neither. */
export function quietContext(signal: AbortSignal = new AbortController().signal): Context {
  return { emit: () => {}, signal };
}

/** Runs `work` as `phase`: tells its start, its end with the time it took, and its failure. */
export async function inPhase<T>(
  context: Context,
  phase: string,
  work: () => Promise<T>,
  detail?: (result: T) => string | undefined,
): Promise<T> {
  context.signal.throwIfAborted();
  const start = performance.now();
  context.emit({ type: 'phase', phase, state: 'start' });
  try {
    const result = await work();
    const said = detail?.(result);
    const ms = performance.now() - start;
    context.emit({ type: 'phase', phase, state: 'done', ms, ...(said === undefined ? {} : { detail: said }) });
    return result;
  } catch (error) {
    context.emit({ type: 'phase', phase, state: 'failed', ms: performance.now() - start });
    throw error;
  }
}
