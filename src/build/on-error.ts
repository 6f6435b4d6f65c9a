/** What becomes of a build that fails: kept, thrown away, or in the operator's hands. */
import { join } from 'node:path';
import type { Context } from '../events.ts';
import type { GuestSession } from '../guest/session.ts';
import type { StepFailure } from '../guest/steps.ts';

export const ON_ERROR = ['keep', 'ask', 'shell', 'clean'] as const;
export type OnError = (typeof ON_ERROR)[number];
export type Choice = 'retry' | 'shell' | 'keep' | 'clean';

/** What an operator is shown of a failure. */
export interface Failed {
  /** `step 2: install`, `the build`. */
  readonly what: string;
  readonly error: unknown;
  /** Lines on how to look at it: the login, the run folder. */
  readonly about: readonly string[];
}

/** Somebody at a terminal. */
export interface Operator {
  /** Shows what failed, unless that was `shown` before, and asks what to do; only of `choices`. */
  choose(failed: Failed, choices: readonly Choice[], shown: boolean): Promise<Choice>;
  /** A root shell in the guest, until it ends; what `failed`, where the shell is all that there is to do about it, is shown first. */
  shell(session: GuestSession, failed?: Failed): Promise<void>;
  /** Shows lines and waits until the operator goes on. */
  pause(lines: readonly string[]): Promise<void>;
}

/** How to get at a run: the command that logs in while its guest runs, and its folder. */
export interface Way {
  readonly ssh?: string;
  readonly runDir: string;
}

function aboutLines({ ssh, runDir }: Way): string[] {
  const login = ssh === undefined ? [] : [`log in: ${ssh}`, `key: ${join(runDir, 'id_ed25519')}`];
  return [...login, `run folder: ${runDir}`];
}

/** How long the guest may take to write what it has in memory to its disk, ms. */
const SYNC_MS = 30_000;

export class ErrorPolicy {
  readonly #mode: OnError;
  readonly #operator: Operator | undefined;
  readonly #context: Context;
  /** What the operator chose, once asked. */
  #chosen: 'keep' | 'clean' | undefined;

  constructor(mode: OnError, operator: Operator | undefined, context: Context) {
    this.#mode = mode;
    this.#operator = operator;
    this.#context = context;
  }

  /** A step failed while the guest runs; `way` is how to get at it. */
  async stepFailed({ title, error, session }: StepFailure, way?: Way): Promise<'retry' | 'fail'> {
    const operator = this.#operator;
    const failed = { what: title, error, about: way === undefined ? [] : aboutLines(way) };
    if (this.#mode === 'shell') {
      if (operator === undefined) this.#warn('there is no terminal for a shell: the run is kept instead');
      else await this.#shell(operator, session, failed);
    }
    for (
      let shown = false;
      this.#mode === 'ask' && operator !== undefined && this.#chosen === undefined;
      shown = true
    ) {
      const choice = await operator.choose(failed, ['retry', 'shell', 'keep', 'clean'], shown);
      this.#context.signal.throwIfAborted();
      if (choice === 'retry') return 'retry';
      if (choice === 'shell') await this.#shell(operator, session);
      else this.#chosen = choice;
    }
    // The machine is about to be stopped: what the guest has not written yet would be missing in the kept disk.
    if (this.#mode !== 'clean' && this.#chosen !== 'clean') {
      await session.exec('sync', { timeoutMs: SYNC_MS, signal: this.#context.signal }).catch(() => {});
    }
    return 'fail';
  }

  /** Whether the run folder `runDir` of a build that failed is kept. */
  async keeps(error: unknown, runDir?: string): Promise<boolean> {
    if (this.#mode === 'clean') return false;
    if (this.#mode === 'ask' && this.#chosen === undefined) {
      if (this.#operator === undefined) this.#warn('there is no terminal to ask at: the run is kept');
      else {
        const failed = { what: 'the build', error, about: runDir === undefined ? [] : aboutLines({ runDir }) };
        const choice = await this.#operator.choose(failed, ['keep', 'clean'], false).catch(() => 'keep' as const);
        this.#chosen = choice === 'clean' ? 'clean' : 'keep';
      }
    }
    return this.#chosen !== 'clean';
  }

  /** A breakpoint of the recipe: how to get in, and waiting. */
  async breakpoint(title: string, note: string | undefined, way: Required<Way>): Promise<void> {
    const lines = [`${title}${note === undefined ? '' : `: ${note}`}`, ...aboutLines(way)];
    if (this.#operator !== undefined) return this.#operator.pause(lines);
    for (const line of lines) this.#context.emit({ type: 'log', level: 'info', message: line });
    this.#warn(`${title}: passed by, because no terminal is there to go on at`);
  }

  /** A guest that has gone has no shell; what failed before stays the build's error. */
  async #shell(operator: Operator, session: GuestSession, failed?: Failed): Promise<void> {
    try {
      await operator.shell(session, failed);
    } catch (error) {
      this.#context.signal.throwIfAborted();
      this.#warn(`no shell: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #warn(message: string): void {
    this.#context.emit({ type: 'log', level: 'warn', message });
  }
}
