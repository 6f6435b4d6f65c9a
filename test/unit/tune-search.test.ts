import { expect, test } from 'vitest';
import { workerCounts } from '../../src/tune/candidates.ts';
import { choose, type SearchOptions, search } from '../../src/tune/search.ts';
import { type Run, type Setting, settingText } from '../../src/tune/setting.ts';

const BASE: Setting = { engine: 'libdeflate', level: 5, chunk: 1024 * 1024, workers: 4, window: 4 };
const MIB = 1024 * 1024;

/** A host where time and size follow from the setting; every run takes the clock on by its time. */
function host(time: (setting: Setting) => number, size: (setting: Setting) => number = () => 1000) {
  const asked: string[] = [];
  let clock = 0;
  const measure = async (setting: Setting): Promise<Run> => {
    asked.push(settingText(setting));
    const ms = time(setting);
    clock += ms;
    return { ms, size: size(setting) };
  };
  return { asked, measure, now: () => clock };
}

const DIMENSIONS: SearchOptions['dimensions'] = [
  { name: 'level', values: [1, 5, 6].map((level) => ({ level })) },
  { name: 'chunk', values: [MIB / 2, MIB, 2 * MIB].map((chunk) => ({ chunk })) },
  { name: 'workers', values: [1, 2, 3, 4].map((workers) => ({ workers })) },
  { name: 'window', values: [2, 4, 8].map((window) => ({ window })) },
];
const options = { baseline: BASE, dimensions: DIMENSIONS, runs: 2, deadline: Number.POSITIVE_INFINITY };

test('goes down each dimension from the best so far', async () => {
  const { measure, now } = host(
    ({ chunk, workers, window }) => 100 + Math.abs(chunk / MIB - 2) * 10 + Math.abs(workers - 3) * 20 + window,
  );
  const { best, turns } = await search({ ...options, measure, now });
  expect(best).toEqual({ ...BASE, chunk: 2 * MIB, workers: 3, window: 4 });
  expect(turns.map(({ dimension }) => dimension).slice(0, 4)).toEqual(['level', 'chunk', 'workers', 'window']);
  // Two chunks in flight are 1.9 % quicker than four: noise.
  expect(turns[3]?.candidates.find(({ setting }) => setting.window === 2)?.time).toBeLessThan(1);
});

test('a larger output is shown and not taken', async () => {
  const { measure, now } = host(
    ({ level }) => 50 + level * 10,
    ({ level }) => (level < 5 ? 1011 : 1000),
  );
  const { best, turns } = await search({ ...options, measure, now });
  expect(best).toEqual(BASE);
  expect(turns[0]?.candidates.map(({ setting, size }) => [setting.level, size])).toEqual([
    [5, 1],
    [1, 1.011],
    [6, 1],
  ]);
});

test('a setting that may not be taken is measured and not taken', async () => {
  const { measure, now } = host(({ level }) => (level === 1 ? 10 : 100));
  const { best, turns } = await search({ ...options, measure, now, eligible: ({ level }) => level !== 1 });
  expect(best).toEqual(BASE);
  expect(turns[0]?.candidates).toHaveLength(3);
});

test('the baseline is in every turn, and rounds go there and back', async () => {
  const { asked, measure, now } = host(() => 100);
  const { turns } = await search({ ...options, measure, now });
  for (const { candidates } of turns) expect(candidates[0]?.setting).toEqual(BASE);
  expect(asked.slice(0, 6)).toEqual([...asked.slice(0, 3), ...asked.slice(0, 3).reverse()]);
  // Nothing moved: a second pass would ask the same again.
  expect(turns).toHaveLength(4);
});

test('drift of the host does not look like a gain', async () => {
  let runs = 0;
  const { measure, now } = host(() => 100 + 10 * runs++);
  const { turns } = await search({ ...options, measure, now, runs: 1 });
  expect(turns.every(({ candidates }) => candidates[0]?.time === 1)).toBe(true);
  expect(turns[0]?.best).toEqual(BASE);
});

test('ends when the time is up and says what it skipped', async () => {
  const { asked, measure, now } = host(() => 100);
  const { turns } = await search({ ...options, measure, now, deadline: 150 });
  expect(asked).toHaveLength(2);
  expect(turns[0]?.skipped.map(({ level }) => level)).toEqual([6]);
  const none = await search({ ...options, measure, now, deadline: 0 });
  expect(none).toEqual({ best: BASE, turns: [] });
});

test('a hopeless setting is run once', async () => {
  const { asked, measure, now } = host(({ level }) => (level === 6 ? 1000 : 100));
  await search({ ...options, dimensions: DIMENSIONS.slice(0, 1), measure, now, runs: 5 });
  expect(asked.filter((text) => text.startsWith('libdeflate 6'))).toHaveLength(1);
  expect(asked.filter((text) => text.startsWith('libdeflate 1'))).toHaveLength(5);
});

test('an error of a run ends the search', async () => {
  const failing = async (): Promise<Run> => {
    throw new Error('the disk is gone');
  };
  await expect(search({ ...options, measure: failing, now: () => 0 })).rejects.toThrow('the disk is gone');
});

test('nothing to choose from leaves the setting', () => {
  expect(choose(BASE, [])).toBe(BASE);
});

test('worker counts go up to the cores', () => {
  expect(workerCounts(1)).toEqual([1]);
  expect(workerCounts(4)).toEqual([1, 2, 3, 4]);
  expect(workerCounts(64)).toEqual([1, 2, 4, 16, 32, 48, 63, 64]);
});
