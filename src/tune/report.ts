/** What a bench found, as data and as a table. */
import { columns, humanDuration, humanSize } from '../formats/human.ts';
import type { RivalResult } from './rivals.ts';
import type { Choice } from './saved.ts';
import type { Turn } from './search.ts';
import { partText, type Run, type Setting, settingText } from './setting.ts';

export interface BenchResult {
  /** Version of this shape. */
  readonly version: 1;
  readonly compose: string;
  readonly machine: {
    readonly cores: number;
    readonly cpu: string;
    /** Bytes. */
    readonly memory: number;
    readonly node: string;
    readonly platform: string;
  };
  readonly sample: { readonly from: string; readonly size: number };
  /** Seconds of measuring that were allowed, and that were taken. */
  readonly budget: number;
  readonly took: number;
  /** The setting without tuning; all ratios are to it, measured in the same turn. */
  readonly baseline: Setting;
  readonly engines: Readonly<Record<string, string>>;
  readonly best: Setting;
  /** Time and size of the best beside the baseline, measured together once more at the end. */
  readonly gain: { readonly time: number; readonly size: number };
  readonly turns: readonly Turn[];
  readonly rivals: readonly RivalResult[];
  /** What is saved, or would be: where the best is not the default. */
  readonly choice: Choice;
  /** Where the choice was saved. */
  readonly saved?: string;
  readonly files: { readonly json: string; readonly svg: string };
}

/** One thing that was measured, with the figures of its best run. */
export interface Point {
  readonly group: string;
  readonly title: string;
  readonly best: Run;
  readonly time: number;
  readonly size: number;
  readonly marks: readonly string[];
}

/** All that was measured, in order; a turn's baseline is told once, in the first. */
export function pointsOf(result: Pick<BenchResult, 'turns' | 'rivals' | 'baseline'>): Point[] {
  const points: Point[] = [];
  const base = settingText(result.baseline);
  for (const [at, { dimension, candidates, best }] of result.turns.entries()) {
    for (const { setting, runs, time, size } of candidates) {
      const isBase = settingText(setting) === base;
      if (isBase && at > 0 && settingText(best) !== base) continue;
      const marks = [
        ...(isBase ? ['default'] : []),
        ...(settingText(setting) === settingText(best) ? ['best of its turn'] : []),
      ];
      points.push({ group: dimension, title: partText(dimension, setting), best: fastest(runs), time, size, marks });
    }
  }
  for (const { name, version, runs, time, size } of result.rivals) {
    if (time === undefined || size === undefined) continue;
    points.push({ group: 'rival', title: `${name} (${version})`, best: fastest(runs), time, size, marks: [] });
  }
  return points;
}

function fastest(runs: readonly Run[]): Run {
  return runs.reduce((best, run) => (run.ms < best.ms ? run : best));
}

/** Bytes of the sample a second, in MB (10^6). */
export function rateOf(size: number, run: Run): number {
  return size / 1000 / Math.max(0.001, run.ms);
}

/** The table, what could not be measured, and what follows from it. */
export function benchText(result: BenchResult): string {
  const { sample, machine, baseline, best, gain, choice, saved, files } = result;
  const header = ['', 'setting', 'MB/s', 'time', 'size', ''];
  const rows = pointsOf(result).map(({ group, title, best: run, time, size, marks }) => [
    group,
    title,
    rateOf(sample.size, run).toFixed(0),
    `${time.toFixed(2)}×`,
    `${size.toFixed(3)}×`,
    marks.join(', '),
  ]);
  const missing = [
    ...result.turns.flatMap(({ dimension, skipped }) =>
      skipped.map((setting) => `${dimension} ${partText(dimension, setting)}: there was no time for it`),
    ),
    ...result.rivals.flatMap(({ name, version, stoppedAfter, failure }) => {
      if (stoppedAfter !== undefined) return [`${name} (${version}): stopped after ${humanDuration(stoppedAfter)}`];
      return failure === undefined ? [] : [`${name} (${version}): ${failure}`];
    }),
  ];
  return [
    `sample: ${humanSize(sample.size)} (${sample.from})`,
    `host: ${machine.cores} cores, ${machine.cpu}, Node ${machine.node}`,
    'time and size are ratios to the default in the same turn; below 1 is better',
    '',
    ...columns([header, ...rows], [2, 3, 4]),
    ...(missing.length > 0 ? ['', ...missing] : []),
    '',
    `default: ${settingText(baseline)}`,
    `best:    ${settingText(best)}`,
    `         ${gain.time.toFixed(2)}× the time, ${gain.size.toFixed(3)}× the size`,
    ...choiceLines(choice, saved),
    `${files.json}, ${files.svg}`,
  ].join('\n');
}

function choiceLines(choice: Choice, saved: string | undefined): string[] {
  const words = Object.entries(choice).map(([name, value]) => `${name} ${value}`);
  const changesBytes = choice.chunk !== undefined || choice.level !== undefined;
  if (words.length === 0) return [saved ? `saved: the defaults (${saved})` : 'the defaults are best here'];
  return [
    saved ? `saved: ${words.join(', ')} (${saved})` : `--save would keep: ${words.join(', ')}`,
    ...(changesBytes
      ? ['Level and chunk change the bytes of artifacts: with this choice they differ from those of other hosts.']
      : []),
  ];
}
