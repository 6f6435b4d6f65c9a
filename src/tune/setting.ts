import { humanSize } from '../formats/human.ts';
import type { EngineName } from '../pack/codec.ts';

/** Everything of the pipeline that the bench turns. */
export interface Setting {
  readonly engine: EngineName;
  readonly level: number;
  /** Bytes of output in a member. */
  readonly chunk: number;
  readonly workers: number;
  /** Chunks in flight for each worker. */
  readonly window: number;
}

/** What one run cost: milliseconds, and bytes of output. */
export interface Run {
  readonly ms: number;
  readonly size: number;
}

/** One thing that is turned while the others stay. */
export type Dimension = 'level' | 'chunk' | 'workers' | 'window';

/** `setting` in one line, for a person and as the key of what was measured. */
export function settingText({ engine, level, chunk, workers, window }: Setting): string {
  const threads = workers === 1 ? '1 worker' : `${workers} workers`;
  return `${engine} ${level}, ${humanSize(chunk).replace('.00', '')}, ${threads}, window ${window}`;
}

/** The part of `setting` that a candidate of `dimension` differs in. */
export function partText(dimension: Dimension, setting: Setting): string {
  if (dimension === 'level') return `${setting.engine} ${setting.level}`;
  if (dimension === 'chunk') return humanSize(setting.chunk).replace(/\.0+(?= )/, '');
  return String(setting[dimension]);
}
