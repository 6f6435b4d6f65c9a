import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { catalogueNames, catalogueRecipe } from '../../src/recipe/catalogue.ts';
import { differencesText, planDifferences } from '../../src/recipe/differences.ts';
import { type Graded, gradeText } from '../../src/recipe/grades.ts';
import { allRecipes, listText } from '../../src/recipe/list-text.ts';
import { loadRecipe } from '../../src/recipe/load.ts';
import { plan } from '../../src/recipe/plan.ts';
import { scaffold } from '../../src/recipe/scaffold.ts';
import { showText } from '../../src/recipe/show-text.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-verbs-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const graded = (layout: string | undefined, arch: 'amd64' | 'arm64', grade: Graded['grade']): Graded => ({
  layout,
  arch,
  grade,
  proven: 'x',
  evidence: [],
});

test.each([
  [[graded(undefined, 'amd64', 'built'), graded(undefined, 'arm64', 'built')], 'built'],
  [[graded(undefined, 'amd64', 'driven'), graded(undefined, 'arm64', 'checked')], 'driven (amd64), checked (others)'],
  [
    [
      graded('cloud', 'amd64', 'checked'),
      graded('cloud', 'arm64', 'checked'),
      graded('lvm', 'amd64', 'driven'),
      graded('lvm', 'arm64', 'driven'),
      graded('flat', 'amd64', 'built'),
      graded('flat', 'arm64', 'checked'),
    ],
    'built (flat amd64), driven (lvm), checked (others)',
  ],
])('a grade says where it holds: %#', (grades, text) => expect(gradeText(grades)).toBe(text));

test('the list has every entry once, families together, versions in their order', () => {
  const names = listText(allRecipes())
    .split('\n')
    .flatMap((line) => catalogueNames().filter((name) => line.split(/\s+/).includes(name)));
  expect([...names].sort()).toEqual(catalogueNames());
  expect(names.indexOf('ubuntu-20.04')).toBeLessThan(names.indexOf('ubuntu-26.04'));
});

test('a family that is not there is refused with the nearest', () => {
  expect(allRecipes('ubuntu').map(({ name }) => name)).toContain('ubuntu-24.04');
  expect(() => allRecipes('ubunut')).toThrow(
    expect.objectContaining({ code: 'recipe.family', hint: expect.stringContaining('Did you mean ubuntu?') }),
  );
});

test('show answers what is built, from what, what it needs and how to change it', () => {
  const text = showText(catalogueRecipe('ubuntu-24.04'), { installer: ['qemu-img'], cloudimg: ['qemu-img'] });
  for (const part of [
    '--layout cloudimg (the default)',
    '--layout lvm: ddgz (a disk)',
    'https://cloud-images.ubuntu.com/noble/current/noble-server-cloudimg-amd64.img',
    'ubuntu-24.04*-live-server-amd64.iso, checked by https://releases.ubuntu.com/noble/SHA256SUMS',
    'ubuntu-24.04.N-live-server-amd64.iso',
    '--iso FILE',
    '--set timezone=',
    '--custom-autoinstall FILE',
    'base_image ubuntu/noble',
    'test/machine/ubuntu-live-server.test.ts',
  ]) {
    expect(text).toContain(part);
  }
});

test.each(catalogueNames())(
  'a new recipe from %s plans as it stands, and differs in its names alone',
  async (entry) => {
    const made = await scaffold(`mine-${entry}`, entry, folder);
    const mine = plan({ recipe: made.file, mediumLater: true });
    const base = plan({ recipe: entry, mediumLater: true });
    expect(planDifferences(mine, base).map(({ what, name }) => `${what} ${name}`)).toEqual(['maas name', 'maas title']);
  },
);

test('lines that set a plan apart have no empty lines of answers among them', async () => {
  const file = join(folder, 'more.ks');
  await writeFile(file, '%packages\nvim\n%end\n\n%post\ntrue\n%end\n');
  const custom = { language: 'kickstart', file } as const;
  const base = plan({ recipe: 'rocky-9', mediumLater: true });
  const lines = differencesText(planDifferences(plan({ recipe: 'rocky-9', custom, mediumLater: true }), base));
  expect(lines).toContain('  answer ks.cfg: + vim');
  expect(lines).not.toContain('  answer ks.cfg: + nothing');
});

test('every commented line of a new recipe is one that works', async () => {
  const { file } = await scaffold('full', 'ubuntu-24.04', folder);
  // One # alone stands before a line that may be taken; prose has a blank behind it.
  const text = (await readFile(file, 'utf8')).replace(/^#(?=\S| {2})/gm, '').replace('#outputs', 'outputs');
  await writeFile(join(folder, 'ops.pub'), 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ops\n');
  await writeFile(join(folder, 'harden.sh'), 'true\n');
  await writeFile(join(folder, 'site'), '');
  const path = join(folder, 'everything.yaml');
  await writeFile(path, text);
  const planned = plan({ recipe: path, layout: 'lvm', mediumLater: true });
  expect(planned.machine.disk).toBe(16 * 1024 ** 3);
  expect(planned.steps.map(({ name, kind }) => name ?? kind)).toEqual(
    expect.arrayContaining(['user ops', 'upload', 'shell', 'write']),
  );
  expect(loadRecipe(path).packages).toContain('vim');
});

test('a recipe that is there already is not written over', async () => {
  await writeFile(join(folder, 'there.yaml'), 'mine\n');
  await expect(scaffold('there', 'debian-12', folder)).rejects.toMatchObject({ code: 'recipe.exists', exitCode: 2 });
  expect(await readFile(join(folder, 'there.yaml'), 'utf8')).toBe('mine\n');
  await expect(scaffold('../there', 'debian-12', folder)).rejects.toMatchObject({ code: 'recipe.name' });
});
