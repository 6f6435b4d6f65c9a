import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AUTOINSTALL, CLOUD_CONFIG, KICKSTARTS } from '../../fixtures/answer-files.ts';
import { checkAnswerFile, checkRecipe } from '../../src/recipe/check-recipe.ts';
import { plan } from '../../src/recipe/plan.ts';
import { planInstaller } from '../../src/recipe/plan-installer.ts';
import { defineRecipe, recipeSchema } from '../../src/recipe/schema.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-recipe-answers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const KICKSTART = KICKSTARTS.find(({ name }) => name === 'el 9')?.text ?? '';

async function recipeWith(text: string, more: string, answers = 'oemdrv'): Promise<string> {
  const name = answers === 'oemdrv' ? 'ks.cfg' : 'user-data';
  await writeFile(join(folder, name), text);
  const file = join(folder, 'recipe.yaml');
  await writeFile(
    file,
    `name: own
title: Own
family: el
version: "9"
arch: [amd64]
grade: checked
proven: nothing
user: root
machine: { memory: 1G, cpus: 1, disk: 4G, firmware: uefi }
variables: { zone: { describe: zone, default: Etc/UTC } }
sources:
  installer:
    ${more}
    append: inst.text
    answers: [{ on: ${answers}, files: { ${name}: ./${name} } }]
outputs: [tgz]
maas: { name: custom/own, title: Own, base_image: rhel/9 }
`,
  );
  return file;
}

test('a plan refuses an answer file with errors, naming the file, the line and what is meant', async () => {
  const recipe = await recipeWith(KICKSTART.replace('skipx', 'instal'), 'language: kickstart');
  const line = KICKSTART.slice(0, KICKSTART.indexOf('skipx')).split('\n').length;
  expect(() => plan({ recipe, mediumLater: true })).toThrow(
    expect.objectContaining({
      code: 'answers.invalid',
      exitCode: 2,
      message: `Cannot plan own: ${join(folder, 'ks.cfg')}:${line}: "instal" is no command of a kickstart`,
      hint: 'Did you mean install?',
    }),
  );
  const { problems, errors } = checkRecipe({ recipe });
  expect(errors).toBe(1);
  expect(problems).toMatchObject([{ file: join(folder, 'ks.cfg'), line, column: 1 }]);
});

test('the release of the installer decides, not that of the recipe', async () => {
  const text = KICKSTART.replace('Etc/UTC --utc', '${zone} --utc');
  expect(checkRecipe({ recipe: await recipeWith(text, 'language: kickstart') })).toEqual({
    problems: [],
    errors: 0,
    warnings: 0,
  });
  const other = await recipeWith(text, 'language: kickstart\n    release: { family: fedora, version: "42" }');
  expect(checkRecipe({ recipe: other }).problems.map(({ code }) => code)).toEqual(['kickstart.removed-command']);
  const bad = checkRecipe({ recipe: await recipeWith(text, 'language: kickstart'), set: ['zone=U T'] });
  expect(bad.problems.map(({ code }) => code)).toEqual(['kickstart.surplus-argument']);
});

test("user data of a live system is checked as cloud-init's, whatever the installer reads", async () => {
  const good = await recipeWith(CLOUD_CONFIG, 'language: kickstart', 'nocloud');
  expect(checkRecipe({ recipe: good }).problems).toEqual([]);
  const bad = await recipeWith(CLOUD_CONFIG.replace('runcmd', 'run_cmd'), 'network: true', 'nocloud');
  expect(checkRecipe({ recipe: bad }).problems.map(({ code }) => code)).toEqual(['cloud-config.unknown-key']);
});

test("an operator's additions are checked by themselves first, with lines of the operator's file", async () => {
  const file = join(folder, 'mine.ks');
  await writeFile(file, '# mine\nfirewal --enabled\n');
  const recipe = recipeSchema.parse(
    defineRecipe({
      name: 'gen',
      title: 'Generated',
      family: 'el',
      version: '9',
      arch: ['amd64'],
      grade: 'checked',
      proven: 'nothing',
      user: 'root',
      sources: {
        installer: {
          language: 'kickstart',
          append: 'inst.text',
          answers: [{ on: 'oemdrv', files: { 'ks.cfg': ({ custom }) => `${KICKSTART}${custom ?? ''}` } }],
        },
      },
      machine: { memory: '1G', cpus: 1, disk: '1G', firmware: 'uefi' },
      outputs: ['tgz'],
      maas: { name: 'gen', title: 'Generated', base_image: 'rhel/9' },
    }),
  );
  const source = recipe.sources.installer ?? expect.fail();
  const inputs = {
    recipe: 'gen',
    arch: 'amd64' as const,
    firmware: 'uefi' as const,
    values: {},
    packages: [],
    outputs: [],
    layout: undefined,
    proxy: undefined,
  };
  const wanted = {
    inputs,
    iso: undefined,
    mediumLater: true,
    release: { family: 'el', version: '9' },
    machine: { memory: 1, secureBoot: false },
  };
  expect(planInstaller(source, { ...wanted, custom: undefined }).answers).toHaveLength(1);
  expect(() => planInstaller(source, { ...wanted, custom: { language: 'kickstart', file } })).toThrow(
    expect.objectContaining({
      code: 'answers.invalid',
      message: `Cannot plan gen: ${file}:2: "firewal" is no command of a kickstart`,
    }),
  );
});

test('an answer file by itself is checked for the release it is for', async () => {
  const file = join(folder, 'auto.yaml');
  await writeFile(file, AUTOINSTALL);
  const check = (release: string | undefined) =>
    checkAnswerFile({ file, release, language: undefined, fragment: false });
  expect(check('ubuntu-24.04')).toEqual({ problems: [], errors: 0, warnings: 0 });
  expect(check('el-9').errors).toBeGreaterThan(0);
  expect(() => check(undefined)).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(() => check('noble')).toThrow(expect.objectContaining({ code: 'usage' }));
});
