/** What becomes of a build that fails: kept, thrown away, or in the operator's hands. */
import { join } from 'node:path';
import type { Context } from '../events.ts';
import type { GuestSession } from '../guest/session.ts';
import type { StepFailure } from '../guest/steps.ts';

export const ON_ERROR = ['keep', 'ask', 'shell', 'clean'] as const;
export type OnError = (typeof ON_ERROR)[number];
export type Choice = 'retry' | 'shell' | 'keep' | 'clean';

/** Somebody at a terminal. */
export interface Operator {
  /** Shows what failed and asks what to do; only of `choices`. */
  choose(failed: string, error: unknown, choices: readonly Choice[]): Promise<Choice>;
  /** A root shell in the guest, until it ends. */
  shell(session: GuestSession): Promise<void>;
  /** Shows lines and waits until the operator goes on. */
  pause(lines: readonly string[]): Promise<void>;
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

  /** A step failed while the guest runs. */
  async stepFailed({ title, error, session }: StepFailure): Promise<'retry' | 'fail'> {
    const operator = this.#operator;
    if (this.#mode === 'shell') {
      if (operator === undefined) this.#warn('there is no terminal for a shell: the run is kept instead');
      else {
        await this.#tell(title, error);
        await this.#shell(operator, session);
      }
    }
    while (this.#mode === 'ask' && operator !== undefined && this.#chosen === undefined) {
      const choice = await operator.choose(title, error, ['retry', 'shell', 'keep', 'clean']);
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

  /** Whether the run folder of a build that failed is kept. */
  async keeps(error: unknown): Promise<boolean> {
    if (this.#mode === 'clean') return false;
    if (this.#mode === 'ask' && this.#chosen === undefined) {
      if (this.#operator === undefined) this.#warn('there is no terminal to ask at: the run is kept');
      else {
        const choice = await this.#operator.choose('the build', error, ['keep', 'clean']).catch(() => 'keep' as const);
        this.#chosen = choice === 'clean' ? 'clean' : 'keep';
      }
    }
    return this.#chosen !== 'clean';
  }

  /** A breakpoint of the recipe: how to get in, and waiting. */
  async breakpoint(title: string, note: string | undefined, way: { ssh: string; runDir: string }): Promise<void> {
    const lines = [
      `${title}${note === undefined ? '' : `: ${note}`}`,
      `log in: ${way.ssh}`,
      `key: ${join(way.runDir, 'id_ed25519')}`,
      `run folder: ${way.runDir}`,
    ];
    if (this.#operator !== undefined) return this.#operator.pause(lines);
    for (const line of lines) this.#context.emit({ type: 'log', level: 'info', message: line });
    this.#warn(`${title}: passed by, because no terminal is there to go on at`);
  }

  /** A guest that has gone has no shell; what failed before stays the build's error. */
  async #shell(operator: Operator, session: GuestSession): Promise<void> {
    try {
      await operator.shell(session);
    } catch (error) {
      this.#context.signal.throwIfAborted();
      this.#warn(`no shell: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #tell(title: string, error: unknown): Promise<void> {
    const why = error instanceof Error ? error.message : String(error);
    this.#warn(`${title} failed: ${why}`);
    this.#context.emit({
      type: 'log',
      level: 'info',
      message: 'a shell in the guest follows; leave it to end the build',
    });
  }

  #warn(message: string): void {
    this.#context.emit({ type: 'log', level: 'warn', message });
  }
}
