import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import type { ComposeEvent } from '../../src/events.ts';
import { checkTuning } from '../../src/pack/pack-options.ts';
import { saveChoice, savedChoice, savedDefaults, tuningFile } from '../../src/tune/saved.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-saved-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function listener() {
  const said: string[] = [];
  const emit = (event: ComposeEvent): void => {
    if (event.type === 'log') said.push(`${event.level}: ${event.message}`);
  };
  return { said, context: { emit, signal: new AbortController().signal } };
}

test('what is saved is read back, the level as one of gzip', async () => {
  const path = join(folder, 'new', 'tuning.json');
  const choice = { level: 4, chunk: 2 * 1024 * 1024, workers: 3, window: 8 };
  expect(await saveChoice(choice, path)).toBe(path);
  const { said, context } = listener();
  expect(await savedChoice(context, path)).toEqual(choice);
  expect(said).toEqual([]);
  expect(await savedDefaults(context, path)).toEqual({
    chunk: 2 * 1024 * 1024,
    workers: 3,
    window: 8,
    levels: { gzip: 4 },
  });
  expect(said).toEqual([`info: defaults of ${path}: level 4, chunk 2097152, workers 3, window 8`]);
});

test('no file, and one that chose the defaults, say nothing', async () => {
  const { said, context } = listener();
  expect(await savedDefaults(context, join(folder, 'none.json'))).toEqual({});
  const path = await saveChoice({}, join(folder, 'empty.json'));
  expect(await savedDefaults(context, path)).toEqual({});
  expect(said).toEqual([]);
});

test.each([
  ['{', /JSON/],
  ['[]', /expected object/],
  ['{"version":2}', /version/],
  ['{"version":1,"workers":0}', /workers: is not 1 to 1024/],
  ['{"version":1,"window":1.5}', /window: is not 2 to 16/],
  ['{"version":1,"chunk":1000}', /chunk: is not 256 KiB to 16 MiB/],
  ['{"version":1,"level":"5"}', /level/],
  ['{"version":1,"engine":"zlib"}', /engine/],
  [' '.repeat(70_000), /no file of a choice/],
])('%.40s is warned of and ignored', async (text, why) => {
  const path = join(folder, 'damaged.json');
  await writeFile(path, text);
  const { said, context } = listener();
  expect(await savedDefaults(context, path)).toEqual({});
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(why);
  expect(said[0]).toMatch(/^warn: .*damaged\.json is ignored: .*compose bench --save/s);
});

test('a folder in its place is ignored too', async () => {
  const { said, context } = listener();
  expect(await savedDefaults(context, folder)).toEqual({});
  expect(said).toHaveLength(1);
});

test('damaged files give what a pack takes, or nothing', async () => {
  const path = await saveChoice({ level: 4, chunk: 1024 * 1024, workers: 3, window: 8 }, join(folder, 'fuzz.json'));
  const good = await readFile(path);
  const next = random(7);
  for (let round = 0; round < 200; round++) {
    await writeFile(path, mutate(good, next));
    const { context } = listener();
    checkTuning(await savedDefaults(context, path));
  }
});

test('its place follows the environment', () => {
  expect(tuningFile({ COMPOSE_CONFIG: '/c' })).toBe('/c/tuning.json');
  expect(tuningFile({ XDG_CONFIG_HOME: '/x' })).toBe('/x/image-compose/tuning.json');
});
