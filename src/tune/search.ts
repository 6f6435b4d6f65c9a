/** Looks for the best setting, one dimension at a time from the best so far (coordinate descent). */
import { type Dimension, type Run, type Setting, settingText } from './setting.ts';

/** One setting as it was measured in one turn, beside the baseline of the same turn. */
export interface Candidate {
  readonly setting: Setting;
  readonly runs: readonly Run[];
  /** Least time over that of the baseline, and size over its size; below 1 is better. */
  readonly time: number;
  readonly size: number;
}

/** The candidates of one dimension, measured in turns. The first is the baseline. */
export interface Turn {
  readonly dimension: Dimension;
  readonly candidates: readonly Candidate[];
  /** The best of them, from which the next turn goes on. */
  readonly best: Setting;
  /** Settings there was no time for. */
  readonly skipped: readonly Setting[];
}

export interface SearchOptions {
  /** What all ratios are to: the setting without any tuning. */
  readonly baseline: Setting;
  readonly dimensions: readonly {
    readonly name: Dimension;
    /** What differs from the best so far, in the order in which it is tried. */
    readonly values: readonly Partial<Setting>[];
  }[];
  readonly measure: (setting: Setting) => Promise<Run>;
  /** Whether a setting may become the best; others are measured to be shown. @default all may */
  readonly eligible?: (setting: Setting) => boolean;
  /** Runs of each candidate. */
  readonly runs: number;
  /** Milliseconds of any clock, and what it shows when the time is up. */
  readonly now: () => number;
  readonly deadline: number;
  readonly onTurn?: (turn: Turn) => void;
}

export interface Found {
  readonly best: Setting;
  readonly turns: readonly Turn[];
}

/** Gains below this are noise: the setting stays. */
export const MARGIN = 0.02;
/** One that takes this many times as long as the baseline is run once: more runs would not make it the best. */
const HOPELESS = 3;
/** An output may be larger than the baseline's by this for the sake of time. */
export const GROWTH = 0.01;

/**
 * Tries the values of each dimension in turn; where a turn moved the best, the dimensions are tried once more while
 * time lasts. Every turn measures the baseline too: candidates run one after another and then all over again, so that
 * a host that becomes slower or busier does so for all of them.
 */
export async function search(options: SearchOptions): Promise<Found> {
  const { baseline, dimensions, now, deadline } = options;
  const turns: Turn[] = [];
  let best = baseline;
  // What a dimension was tried around: a second pass has nothing new to say where that is still the same.
  const tried = new Map<Dimension, string>();
  for (let pass = 0; pass < 2; pass++) {
    for (const { name, values } of dimensions) {
      if (now() >= deadline) return { best, turns };
      // One value stands for all of its dimension, so that settings compare by what else they are.
      const around = settingText({ ...best, ...values[0] });
      if (values.length === 0 || tried.get(name) === around) continue;
      tried.set(name, around);
      const turn = await take(name, best, values, options);
      turns.push(turn);
      options.onTurn?.(turn);
      best = turn.best;
    }
  }
  return { best, turns };
}

async function take(
  dimension: Dimension,
  from: Setting,
  values: readonly Partial<Setting>[],
  options: SearchOptions,
): Promise<Turn> {
  const { baseline, measure, runs, now, deadline, eligible = () => true } = options;
  const settings = distinct([baseline, from, ...values.map((value) => ({ ...from, ...value }))]);
  const must = settingText(from) === settingText(baseline) ? 1 : 2;
  const measured = settings.map((): Run[] => []);
  for (let round = 0; round < runs; round++) {
    // Every other round goes backwards: what follows a slow setting is not always the same.
    const order = settings.map((_, at) => (round % 2 === 0 ? at : settings.length - 1 - at));
    for (const at of order) {
      // The baseline and the best so far are measured whatever the time, once: a turn without them tells nothing.
      if (now() >= deadline && !(round === 0 && at < must)) continue;
      const [first] = measured[at]!;
      if (first !== undefined && first.ms > HOPELESS * measured[0]![0]!.ms) continue;
      measured[at]!.push(await measure(settings[at]!));
    }
  }
  const base = least(measured[0]!);
  const candidates = settings.flatMap((setting, at) => {
    const taken = measured[at]!;
    if (taken.length === 0) return [];
    const { ms, size } = least(taken);
    return [{ setting, runs: taken, time: ms / base.ms, size: size / base.size }];
  });
  const skipped = settings.filter((_, at) => measured[at]!.length === 0);
  return {
    dimension,
    candidates,
    best: choose(
      from,
      candidates.filter(({ setting }) => eligible(setting)),
    ),
    skipped,
  };
}

/** The quickest whose output has not grown too much, if it is quicker than `from` by more than noise. */
export function choose(from: Setting, candidates: readonly Candidate[]): Setting {
  const key = settingText(from);
  const own = candidates.find(({ setting }) => settingText(setting) === key);
  const allowed = candidates.filter(({ size }) => size <= 1 + GROWTH);
  const quickest = allowed.reduce<Candidate | undefined>(
    (best, next) => (best === undefined || next.time < best.time ? next : best),
    undefined,
  );
  if (quickest === undefined) return from;
  return own === undefined || quickest.time < own.time * (1 - MARGIN) ? quickest.setting : from;
}

function least(runs: readonly Run[]): Run {
  return runs.reduce((best, run) => (run.ms < best.ms ? run : best));
}

function distinct(settings: readonly Setting[]): Setting[] {
  return [...new Map(settings.map((setting) => [settingText(setting), setting])).values()];
}
