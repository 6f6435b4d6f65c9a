import { expect, test } from 'vitest';
import type { BuildOptions, BuildResult, build } from '../../src/build/build.ts';
import { type BuildLimits, buildMany } from '../../src/build/build-many.ts';
import type { Operator } from '../../src/build/on-error.ts';
import { takingTurns } from '../../src/build/operator-turns.ts';
import { schedule } from '../../src/build/schedule.ts';
import { outcomesAnswer } from '../../src/cli/build-text.ts';
import { InterruptedError, MachineError } from '../../src/errors.ts';
import { type ComposeEvent, type Context, quietContext } from '../../src/events.ts';
import type { GuestSession } from '../../src/guest/session.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const UNBOUND = { jobs: Number.POSITIVE_INFINITY, memory: Number.POSITIVE_INFINITY, cpus: Number.POSITIVE_INFINITY };

/** Work that ends when it is told to, and what was running after each turn. */
function scene(costs: readonly [memory: number, cpus: number][], budget: Partial<typeof UNBOUND>) {
  const ends: (() => void)[] = [];
  const running = new Set<number>();
  let ended = false;
  const done = schedule(
    costs.map(([memory, cpus]) => ({ memory, cpus })),
    { ...UNBOUND, ...budget },
    async (at) => {
      running.add(at);
      await new Promise<void>((resolve) => {
        ends[at] = resolve;
      });
      running.delete(at);
    },
    () => ended,
  );
  return {
    done,
    now: async () => {
      await settle();
      return [...running];
    },
    end: (at: number) => ends[at]?.(),
    stop: () => {
      ended = true;
    },
  };
}

test('work starts in order as memory allows, and none overtakes a large one', async () => {
  const { now, end, done } = scene(
    [
      [2, 1],
      [2, 1],
      [4, 1],
      [1, 1],
    ],
    { memory: 5 },
  );
  expect(await now()).toEqual([0, 1]);
  end(0);
  expect(await now()).toEqual([1]);
  end(1);
  expect(await now()).toEqual([2, 3]);
  end(3);
  end(2);
  await done;
});

test('processors and jobs are bounds of their own', async () => {
  const four: [number, number][] = [
    [1, 2],
    [1, 2],
    [1, 2],
    [1, 2],
  ];
  const cpus = scene(four, { cpus: 4 });
  expect(await cpus.now()).toEqual([0, 1]);
  const jobs = scene(four, { jobs: 3 });
  expect(await jobs.now()).toEqual([0, 1, 2]);
});

test('what is beyond the budget runs by itself', async () => {
  const { now, end } = scene(
    [
      [9, 9],
      [9, 9],
    ],
    { memory: -1, cpus: 2 },
  );
  expect(await now()).toEqual([0]);
  end(0);
  expect(await now()).toEqual([1]);
});

test('nothing starts any more once it is ended, and what runs is waited for', async () => {
  const { now, end, stop, done } = scene(
    [
      [1, 1],
      [1, 1],
      [1, 1],
    ],
    { jobs: 1 },
  );
  expect(await now()).toEqual([0]);
  stop();
  end(0);
  await done;
  expect(await now()).toEqual([]);
});

type Run = (options: BuildOptions, context: Context) => Promise<BuildResult>;
const options = (recipe: string, over: Partial<BuildOptions> = {}): BuildOptions => ({
  recipe,
  out: '/nowhere',
  ...over,
});
const many = (
  list: readonly BuildOptions[],
  run: Run,
  limits: BuildLimits = {},
  context: Context = quietContext(),
): ReturnType<typeof buildMany> =>
  buildMany(list, { jobs: 9, memory: 2 ** 50, ...limits }, context, run as typeof build);
const RESULT = {} as BuildResult;

test('the failure of one leaves the others alone; its exit status is that of all', async () => {
  const outcomes = await many(
    [options('debian-12'), options('debian-13'), options('debian-12', { arch: 'arm64' })],
    async ({ recipe, arch }) => {
      await settle();
      if (arch === 'arm64') throw new Error('a defect');
      if (recipe === 'debian-13') {
        await settle();
        throw new MachineError('boot.panic', 'Cannot boot: it panicked');
      }
      return RESULT;
    },
  );
  expect(outcomes.map(({ build, state }) => `${build} ${state}`)).toEqual([
    'debian-12-amd64 done',
    'debian-13 failed',
    'debian-12-arm64 failed',
  ]);
  const { exitCode, text, data } = outcomesAnswer(outcomes.slice(1));
  expect(exitCode).toBe(5);
  expect(text).toMatch(
    /^== debian-13: failed after [\d.]+ m?s\nerror: Cannot boot: it panicked\n {2}code {3}boot\.panic\n\n== /,
  );
  expect(JSON.parse(JSON.stringify(data))).toMatchObject([
    { error: { code: 'boot.panic' } },
    { error: { message: 'a defect' } },
  ]);
});

/** Runs until its signal ends it. */
const untilEnded: Run = (_, { signal }) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

test('with failFast the first failure ends the others, and its exit status is that of all', async () => {
  const list = [options('debian-12'), options('debian-13'), options('debian-12', { arch: 'arm64' })];
  const run: Run = (own, context) =>
    own.recipe === 'debian-13' ? Promise.reject(new MachineError('boot.panic', 'no')) : untilEnded(own, context);
  const outcomes = await many(list, run, { jobs: 2, failFast: true });
  expect(outcomes.map(({ state }) => state)).toEqual(['cancelled', 'failed', 'cancelled']);
  expect(outcomes[2]).toMatchObject({ ms: 0, error: { code: 'build.cancelled' } });
  expect(outcomesAnswer(outcomes).exitCode).toBe(5);
});

test('an interruption ends all, and is the answer once all have ended', async () => {
  const controller = new AbortController();
  let left = 2;
  const run: Run = (own, context) =>
    untilEnded(own, context).finally(async () => {
      await settle();
      left--;
    });
  const context = { ...quietContext(), signal: controller.signal };
  const done = many(
    ['debian-12', 'debian-13'].map((recipe) => options(recipe)),
    run,
    {},
    context,
  );
  await settle();
  controller.abort(new InterruptedError('interrupted', 'Cannot finish'));
  await expect(done).rejects.toMatchObject({ code: 'interrupted' });
  expect(left).toBe(0);
});

test('every event says which build it is of; names are told apart where a recipe is built twice', async () => {
  const events: ComposeEvent[] = [];
  const context = { ...quietContext(), emit: (event: ComposeEvent) => void events.push(event) };
  const list = [options('debian-12'), options('debian-12', { out: '/other' }), options('debian-12', { arch: 'arm64' })];
  const run: Run = async (_, { emit }) => {
    emit({ type: 'phase', phase: 'boot', state: 'start' });
    return RESULT;
  };
  const outcomes = await many(list, run, {}, context);
  const names = ['debian-12-amd64 (1)', 'debian-12-amd64 (2)', 'debian-12-arm64'];
  expect(outcomes.map(({ build }) => build)).toEqual(names);
  expect(events.filter(({ type }) => type === 'phase').map(({ build }) => build)).toEqual(names);
  expect(events.every(({ build }) => build !== undefined)).toBe(true);
});

test.each([
  ['the same recipe twice', ['debian-12', 'debian-12'], 'build.same-output'],
  ['a recipe that is not there', ['debian-12', 'debain-12'], 'recipe.unknown'],
])('%s is refused before anything starts', async (_, recipes, code) => {
  let started = 0;
  const run: Run = async () => {
    started++;
    return RESULT;
  };
  await expect(
    many(
      recipes.map((recipe) => options(recipe)),
      run,
    ),
  ).rejects.toMatchObject({ code, exitCode: 2 });
  expect(started).toBe(0);
});

test.each([{ jobs: 0 }, { jobs: 1.5 }, { jobs: Number.NaN }, { memory: 0 }, { cpus: -1 }])(
  'limits %o are refused',
  async (limits) => {
    await expect(many([options('debian-12')], async () => RESULT, limits)).rejects.toMatchObject({
      code: 'build.limit',
    });
  },
);

test('the cores are divided among the builds that are under way when one packs', async () => {
  const seen: (number | undefined)[] = [];
  const one: Run = async (own) => {
    await settle();
    seen.push(own.workers);
    return RESULT;
  };
  const list = Array.from({ length: 500 }, (_, at) => options('debian-12', { out: `/out/${at}` }));
  await many(list, one, { jobs: 500 });
  expect(seen[0]).toBe(1);
  seen.length = 0;
  await many([options('debian-12', { workers: 7 }), options('debian-13')], one);
  expect(seen[0]).toBe(7);
});

test('several builds ask one person in turn, by name, and not after they were ended', async () => {
  const said: string[] = [];
  let answer = (): void => {};
  const operator: Operator = {
    choose: ({ what }) => {
      said.push(what);
      return new Promise((resolve) => {
        answer = () => resolve('keep');
      });
    },
    shell: async () => void said.push('shell'),
    pause: async (lines) => void said.push(lines.join(' ')),
  };
  const controller = new AbortController();
  const of = takingTurns(controller.signal);
  const [a, b] = [of(operator, 'a'), of(operator, 'b')];
  const first = a.choose({ what: 'step 1', error: new Error('x'), about: [] }, ['keep'], false);
  const second = b.pause(['here']);
  await settle();
  expect(said).toEqual(['a: step 1']);
  answer();
  expect(await first).toBe('keep');
  await second;
  expect(said).toEqual(['a: step 1', 'b: here']);
  controller.abort(new Error('over'));
  await expect(b.shell({} as GuestSession)).rejects.toThrow('over');
  expect(said).toHaveLength(2);
});
