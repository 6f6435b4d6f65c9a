import type { ComposeEvent, Emit } from '../events.ts';
import { columns, humanDuration } from '../formats/human.ts';

/** How long one phase took and how it ended. */
export interface Timing {
  readonly phase: string;
  readonly ms: number;
  readonly state: 'done' | 'failed';
  /** What the guest reached in this phase, with the time since QEMU was started. */
  readonly milestones?: readonly { readonly milestone: string; readonly ms: number; readonly boot: number }[];
}

/** An `emit` that passes events on and keeps the duration of every phase that ended. */
export function recordTimings(emit: Emit): { readonly emit: Emit; readonly timings: readonly Timing[] } {
  const timings: Timing[] = [];
  let reached: { milestone: string; ms: number; boot: number }[] = [];
  return {
    timings,
    emit: (event: ComposeEvent) => {
      if (event.type === 'milestone') {
        reached.push({ milestone: event.milestone, ms: Math.round(event.ms), boot: event.boot });
      }
      if (event.type === 'phase' && event.state !== 'start') {
        const milestones = reached.length === 0 ? {} : { milestones: reached };
        timings.push({ phase: event.phase, ms: Math.round(event.ms ?? 0), state: event.state, ...milestones });
        reached = [];
      }
      emit(event);
    },
  };
}

/** The phases as a table, a share of the whole beside each. */
export function timingText(timings: readonly Timing[], totalMs: number): string {
  const rows = timings.map((timing) => [
    timing.phase,
    humanDuration(timing.ms),
    `${Math.round((100 * timing.ms) / Math.max(1, totalMs))} %`,
  ]);
  return columns([...rows, ['total', humanDuration(totalMs), '']], [1, 2]).join('\n');
}
