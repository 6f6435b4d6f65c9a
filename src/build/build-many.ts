import { availableParallelism, freemem } from 'node:os';
import { resolve } from 'node:path';
import { InterruptedError, UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { humanDuration } from '../formats/human.ts';
import { checkTuning } from '../pack/pack-options.ts';
import { artifactName, mostMemory, type Plan, plan } from '../recipe/plan.ts';
import { type BuildOptions, type BuildResult, build } from './build.ts';
import { takingTurns } from './operator-turns.ts';
import { type Budget, schedule } from './schedule.ts';

export interface BuildLimits {
  /** Builds at once; with it processors are no limit, unless `cpus` is given too. @default what the others allow */
  readonly jobs?: number | undefined;
  /** Bytes for all guests at once, with what QEMU and packing take beside each. @default what is free, less a reserve */
  readonly memory?: number | undefined;
  /** Sum of the guests' processors. @default as many as the host has */
  readonly cpus?: number | undefined;
  /** Whether the first failure ends the other builds. @default false */
  readonly failFast?: boolean | undefined;
}

/** How one build of several ended; `build` is what its events are told by. */
export type BuildOutcome = { readonly build: string; readonly ms: number } & (
  | { readonly state: 'done'; readonly result: BuildResult }
  | { readonly state: 'failed'; readonly error: unknown }
  /** Ended or never started, because another one failed. */
  | { readonly state: 'cancelled'; readonly error: unknown }
);

/** Beside a guest's own memory, bytes: QEMU, and what compose needs to pack. */
const BESIDE_GUEST = 256 * 1024 ** 2;
/** Of the free memory left to the host. */
const RESERVE = 512 * 1024 ** 2;

/**
 * Builds several recipes, as many at once as `limits` allow and always at least one, started in their order. A build that
 * fails leaves the others alone, and they share downloads and base disks. All are planned before the first is started.
 * @returns one outcome for each of `list`, in its order
 * @throws RecipeError and UsageError before anything is started; UsageError `build.same-output` where two would write the same
 *   files, `build.limit`; the signal's reason once all that was started is gone
 */
export async function buildMany(
  list: readonly BuildOptions[],
  limits: BuildLimits,
  context: Context,
  buildOne: typeof build = build,
): Promise<BuildOutcome[]> {
  const budget = budgetOf(limits);
  const plans = list.map((options) => {
    checkTuning(options);
    return plan({ ...options, env: options.env ?? process.env });
  });
  const labels = labelsOf(plans);
  refuseCollisions(list, plans);
  context.signal.throwIfAborted();
  const outcomes = labels.map((label): BuildOutcome => ({ build: label, ms: 0, state: 'cancelled', error: undefined }));
  const others = new AbortController();
  const signal = AbortSignal.any([context.signal, others.signal]);
  const operators = takingTurns(signal);
  let running = 0;
  const start = async (at: number): Promise<void> => {
    const label = labels[at]!;
    const options = list[at]!;
    const emit: Context['emit'] = (event) => context.emit({ ...event, build: label });
    const since = performance.now();
    const log = (level: 'info' | 'warn', message: string): void => emit({ type: 'log', level, message });
    running++;
    try {
      log('info', `build ${at + 1} of ${list.length} starts`);
      const own: BuildOptions = {
        ...options,
        operator: options.operator && operators(options.operator, label),
        // Asked for when packing begins: the cores are divided among what is under way then.
        get workers() {
          return options.workers ?? Math.max(1, Math.floor(availableParallelism() / running));
        },
      };
      const result = await buildOne(own, { emit, signal });
      const ms = performance.now() - since;
      outcomes[at] = { build: label, ms, state: 'done', result };
      log('info', `done in ${humanDuration(ms)}`);
    } catch (error) {
      const state = signal.aborted ? 'cancelled' : 'failed';
      outcomes[at] = { build: label, ms: performance.now() - since, state, error };
      log('warn', `${state}: ${error instanceof Error ? error.message : String(error)}`);
      if (state === 'failed' && limits.failFast) {
        others.abort(new InterruptedError('build.cancelled', `Cannot finish this build: ${label} failed`));
      }
    } finally {
      running--;
    }
  };
  const costs = plans.map((one) => ({ memory: mostMemory(one) + BESIDE_GUEST, cpus: one.machine.cpus }));
  await schedule(costs, budget, start, () => signal.aborted);
  context.signal.throwIfAborted();
  return outcomes.map((outcome) =>
    outcome.state === 'cancelled' && outcome.error === undefined ? { ...outcome, error: signal.reason } : outcome,
  );
}

/** @throws UsageError `build.limit` */
export function checkLimits({ jobs, memory, cpus }: BuildLimits): void {
  for (const [name, value] of Object.entries({ jobs, memory, cpus })) {
    if (value === undefined || (value >= 1 && (name !== 'jobs' || Number.isInteger(value)))) continue;
    throw new UsageError('build.limit', `Cannot build with ${name} ${value}: it is no number from 1 up`, {
      hint: `Leave ${name} out for what this host has.`,
    });
  }
}

function budgetOf(limits: BuildLimits): Budget {
  checkLimits(limits);
  const { jobs, memory, cpus } = limits;
  return {
    jobs: jobs ?? Number.POSITIVE_INFINITY,
    memory: memory ?? freemem() - RESERVE,
    cpus: cpus ?? (jobs === undefined ? availableParallelism() : Number.POSITIVE_INFINITY),
  };
}

/** A name for each plan that no other has: the recipe's, with the architecture or the place in the list where it must be. */
function labelsOf(plans: readonly Plan[]): string[] {
  const count = (names: readonly string[], name: string): number => names.filter((one) => one === name).length;
  const recipes = plans.map(({ recipe }) => recipe);
  const names = plans.map((one) => artifactName(one));
  return plans.map(({ recipe }, at) => {
    if (count(recipes, recipe) === 1) return recipe;
    const name = names[at]!;
    return count(names, name) === 1 ? name : `${name} (${at + 1})`;
  });
}

function refuseCollisions(list: readonly BuildOptions[], plans: readonly Plan[]): void {
  const writers = new Map<string, string>();
  for (const [at, planned] of plans.entries()) {
    const { recipe: given, out } = list[at]!;
    const recipe = typeof given === 'string' ? given : given.name;
    const name = artifactName(planned);
    const target = resolve(out, name);
    const other = writers.get(target);
    if (other !== undefined) {
      const both = other === recipe ? `${recipe} twice` : `${other} and ${recipe}`;
      throw new UsageError('build.same-output', `Cannot build ${both}: both would write ${name}.* into ${out}`, {
        hint: 'Give one of the recipes another name, or build into another folder.',
      });
    }
    writers.set(target, recipe);
  }
}
