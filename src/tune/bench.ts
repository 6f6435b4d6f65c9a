/** `compose bench`: which settings of the pipeline are best on this host. */

import { availableParallelism, cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import type { DiskFormat } from '../disk/image-format.ts';
import { UsageError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { humanSize } from '../formats/human.ts';
import { packageVersion } from '../host/built-module.ts';
import { temporaryFolder } from '../host/folders.ts';
import { makeFolder } from '../host/make-folder.ts';
import { openEngine } from '../pack/engine.ts';
import { writeWhole } from '../pack/sink.ts';
import { WINDOW } from '../pack/stream.ts';
import { availableEngines, dimensionsOf } from './candidates.ts';
import { measureSetting } from './measure.ts';
import { benchPlot } from './plot.ts';
import type { BenchResult } from './report.ts';
import { installedRivals, measureRivals, runRival } from './rivals.ts';
import { cutSample, makeSample, type Sample, sampleDisk, warm } from './sample.ts';
import { type Choice, saveChoice } from './saved.ts';
import { type Found, GROWTH, search } from './search.ts';
import { type Run, type Setting, settingText } from './setting.ts';

export interface BenchOptions {
  /** A disk whose content is measured with. @default one made from a seed */
  readonly disk?: string;
  readonly format?: DiskFormat;
  /** Folder for bench.json and bench.svg; made where it does not exist. */
  readonly out: string;
  /** Seconds of measuring; making the sample comes on top. @default 120 */
  readonly budget?: number;
  /** Runs of each setting, of which the best counts. @default 3 */
  readonly runs?: number;
  /** Bytes to measure with at most; less where the budget is short. @default 512 MiB */
  readonly sample?: number;
  /** Whether the choice becomes the default of pack and build of this user. @default false */
  readonly save?: boolean;
}

const MIB = 1024 * 1024;
/** The part of the budget that the settings have; the rivals have the rest. */
const SEARCH_SHARE = 0.65;
/** Runs of the baseline's length that the search has time for, so that a sample is cut to what suits the budget. */
const RUNS_IN_BUDGET = 100;
const LEAST_SAMPLE = 16 * MIB;

/**
 * Measures engines and levels, chunk sizes, workers and windows, and the rivals that are installed, on the same bytes;
 * writes the raw figures and a plot, and saves the choice where that is asked for.
 * @throws UsageError `bench.budget`, `bench.runs`, `bench.sample`, `bench.empty`; PackError; the errors of the disk
 */
export async function bench(options: BenchOptions, context: Context): Promise<BenchResult> {
  const { budget = 120, runs = 3, save = false } = options;
  checkOptions(options);
  await using work = await temporaryFolder('compose-tune-');
  const folder = work.path;
  const made = await inPhase(context, 'sample', () => takeSample(options, folder, context), describe);
  const start = performance.now();
  const baseline = await defaultSetting();
  const sample = await inPhase(context, 'calibrate', () => suited(made, baseline, budget, folder, context), describe);
  const measure = (setting: Setting): Promise<Run> => measureSetting(setting, { path: sample.path, folder }, context);
  const now = (): number => performance.now() - start;
  const engines = await availableEngines();
  const found = await inPhase(
    context,
    'settings',
    () => find(baseline, { measure, runs, now, deadline: budget * 1000 * SEARCH_SHARE, engines, context }),
    ({ best }) => settingText(best),
  );
  const rivals = await inPhase(context, 'rivals', () => {
    const { signal } = context;
    return measureRivals({
      rivals: installedRivals(),
      // A program's time has its start in it, so compose's has too.
      baseline: () => measureSetting(baseline, { path: sample.path, folder, withStart: true }, context),
      measure: (rival, limit) => runRival(rival, { path: sample.path, folder, limit, signal }),
      runs,
      now,
      deadline: budget * 1000,
      signal,
    });
  });
  const gain = await inPhase(context, 'proof', () => compare(baseline, found.best, measure, runs));
  const best = gain.time < 1 && gain.size <= 1 + GROWTH ? found.best : baseline;
  const out = resolve(options.out);
  await makeFolder(out);
  const choice = choiceOf(best, baseline);
  const result: BenchResult = {
    version: 1,
    compose: packageVersion(),
    machine: machineFacts(),
    sample: { from: sample.from, size: sample.size },
    budget,
    took: Math.round(now() / 100) / 10,
    baseline,
    engines: Object.fromEntries(engines.map(({ name, version }) => [name, version])),
    best,
    gain: best === baseline ? { time: 1, size: 1 } : gain,
    turns: found.turns,
    rivals,
    choice,
    ...(save ? { saved: await saveChoice(choice) } : {}),
    files: { json: join(out, 'bench.json'), svg: join(out, 'bench.svg') },
  };
  await writeWhole(result.files.json, `${JSON.stringify(result, null, 2)}\n`);
  await writeWhole(result.files.svg, benchPlot(result));
  return result;
}

function checkOptions({ budget = 120, runs = 3, sample = 512 * MIB }: BenchOptions): void {
  const hint = 'compose bench --help tells the flags and what they are without.';
  if (!(budget >= 1 && budget <= 86_400)) {
    throw new UsageError('bench.budget', `Cannot measure for ${budget} seconds: it is not 1 to 86400`, { hint });
  }
  if (!Number.isInteger(runs) || runs < 1 || runs > 100) {
    throw new UsageError('bench.runs', `Cannot measure each setting ${runs} times: it is not 1 to 100`, { hint });
  }
  if (!Number.isInteger(sample) || sample < MIB || sample > 64 * 1024 * MIB) {
    throw new UsageError('bench.sample', `Cannot measure with ${sample} bytes: it is not 1M to 64G`, { hint });
  }
}

async function takeSample(options: BenchOptions, folder: string, context: Context): Promise<Sample> {
  const { disk, format, sample: size = 512 * MIB } = options;
  const made = Math.ceil(size / 4096) * 4096;
  if (disk === undefined) return makeSample(folder, made, context);
  return sampleDisk({ disk, format, folder, size }, context);
}

/** The sample, cut to what the budget is enough for; its first run is thrown away. */
async function suited(
  sample: Sample,
  baseline: Setting,
  budget: number,
  folder: string,
  context: Context,
): Promise<Sample> {
  await warm(sample);
  const { ms } = await measureSetting(baseline, { path: sample.path, folder }, context);
  const allowed = (budget * 1000 * SEARCH_SHARE) / RUNS_IN_BUDGET;
  if (ms <= allowed) return sample;
  const size = Math.max(LEAST_SAMPLE, Math.floor((sample.size * allowed) / ms / MIB) * MIB);
  return cutSample(sample, size);
}

function describe({ size, from }: Sample): string {
  return `${humanSize(size)}, ${from}`;
}

async function defaultSetting(): Promise<Setting> {
  const engine = await openEngine();
  engine.close();
  const { name, level, chunk } = engine;
  return { engine: name, level, chunk, workers: availableParallelism(), window: WINDOW };
}

interface FindOptions {
  readonly measure: (setting: Setting) => Promise<Run>;
  readonly runs: number;
  readonly now: () => number;
  readonly deadline: number;
  readonly engines: Awaited<ReturnType<typeof availableEngines>>;
  readonly context: Context;
}

function find(baseline: Setting, options: FindOptions): Promise<Found> {
  const { measure, runs, now, deadline, engines, context } = options;
  return search({
    baseline,
    dimensions: dimensionsOf(baseline, engines),
    measure,
    runs,
    now,
    deadline,
    // Another engine is a matter of what is installed, and bytes of ISA-L differ between CPUs: --engine names them.
    eligible: ({ engine }) => engine === baseline.engine,
    onTurn: ({ dimension, candidates, best }) => {
      const message = `${dimension}: ${candidates.length} settings measured, best ${settingText(best)}`;
      context.emit({ type: 'log', level: 'info', phase: 'settings', message });
    },
  });
}

/** The best beside the baseline, in turns. */
async function compare(
  baseline: Setting,
  best: Setting,
  measure: (setting: Setting) => Promise<Run>,
  runs: number,
): Promise<{ readonly time: number; readonly size: number }> {
  if (settingText(baseline) === settingText(best)) return { time: 1, size: 1 };
  const times: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const sizes: [number, number] = [1, 1];
  for (let round = 0; round < runs; round++) {
    for (const [at, setting] of [baseline, best].entries()) {
      const { ms, size } = await measure(setting);
      times[at as 0 | 1] = Math.min(times[at as 0 | 1], ms);
      sizes[at as 0 | 1] = size;
    }
  }
  return { time: times[1] / times[0], size: sizes[1] / sizes[0] };
}

/** Of `best` what is not as it is without tuning. */
function choiceOf(best: Setting, baseline: Setting): Choice {
  const { level, chunk, workers, window } = best;
  const all = { level, chunk, workers, window };
  return Object.fromEntries(Object.entries(all).filter(([name, value]) => baseline[name as keyof Setting] !== value));
}

function machineFacts(): BenchResult['machine'] {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() || 'unknown',
    memory: totalmem(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
}
