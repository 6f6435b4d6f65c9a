import type { Context } from '../events.ts';
import type { StageName } from './failure.ts';
import type { StatusEvent } from './status-event.ts';

/** One stage that was reached. */
export interface RehearsedStage {
  readonly stage: StageName;
  /** Since the rehearsal began, ms. */
  readonly start: number;
  readonly ms: number;
  readonly state: 'passed' | 'failed';
  readonly detail?: string;
}

/** Stages of curtin's by the names its webhook reports. */
const REPORTED: readonly StageName[] = ['partitioning', 'extract', 'curthooks', 'hook', 'late', 'boot-files'];

/** Keeps when each stage began and ended, and tells it as phases. */
export class Timeline {
  readonly #context: Context;
  readonly #start = performance.now();
  readonly #stages: RehearsedStage[] = [];
  #open: { readonly stage: StageName; readonly at: number } | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  get stages(): readonly RehearsedStage[] {
    return this.#stages;
  }

  /** The stage that is under way. */
  get stage(): StageName | undefined {
    return this.#open?.stage;
  }

  begin(stage: StageName): void {
    this.#context.signal.throwIfAborted();
    this.#open = { stage, at: performance.now() };
    this.#context.emit({ type: 'phase', phase: stage, state: 'start' });
  }

  end(state: 'passed' | 'failed', detail?: string): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const ms = performance.now() - open.at;
    const said = detail === undefined ? {} : { detail };
    this.#stages.push({
      stage: open.stage,
      start: Math.round(open.at - this.#start),
      ms: Math.round(ms),
      state,
      ...said,
    });
    const phase = open.stage;
    this.#context.emit({ type: 'phase', phase, state: state === 'passed' ? 'done' : 'failed', ms, ...said });
  }

  /** Takes a report of the deployment's webhook. */
  report(event: StatusEvent): void {
    // The first word of the ephemeral guest.
    if (event.name === 'rehearse/ephemeral') this.end('passed', `Linux ${event.description}`);
    const stage = REPORTED.find((name) => event.name === `cmd-install/stage-${name}`);
    if (stage === undefined) return;
    if (event.type === 'start') this.begin(stage);
    if (event.type === 'finish' && this.stage === stage) this.end(event.result === 'FAIL' ? 'failed' : 'passed');
  }
}
