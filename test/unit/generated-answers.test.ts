import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';
import { planDifferences } from '../../src/recipe/differences.ts';
import { plan } from '../../src/recipe/plan.ts';
import { customText, planAnswers } from '../../src/recipe/planned-answers.ts';
import { defineRecipe, recipeFileSchema, recipeSchema } from '../../src/recipe/schema.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-answers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a kickstart cannot do without. */
const COMMANDS = [
  'text',
  'cdrom',
  'lang C.UTF-8',
  'keyboard us',
  'timezone Etc/UTC --utc',
  'rootpw --lock',
  'zerombr',
  'clearpart --all --initlabel',
  'bootloader',
  'part / --fstype=ext4 --grow --size=1024',
  'poweroff',
];

const code = defineRecipe({
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
      answers: [
        {
          on: 'oemdrv',
          files: {
            'ks.cfg': ({ packages, custom, proxy }: AnswerInputs) =>
              [
                ...COMMANDS,
                ...(proxy ? [`repo --name=x --baseurl=http://x --proxy=${proxy}`] : []),
                '%packages',
                ...packages,
                '%end',
                custom ?? '',
                '',
              ].join('\n'),
          },
        },
      ],
    },
  },
  machine: { memory: '1G', cpus: 1, disk: '1G', firmware: 'uefi' },
  outputs: ['tgz'],
  maas: { name: 'gen', title: 'Generated', base_image: 'rhel/9' },
});
const recipe = recipeSchema.parse(code);
const source = recipe.sources.installer as NonNullable<typeof recipe.sources.installer>;

const INPUTS: AnswerInputs = {
  recipe: 'gen',
  arch: 'amd64',
  firmware: 'uefi',
  values: {},
  packages: ['vim', 'tmux'],
  outputs: ['tgz'],
  layout: undefined,
  custom: undefined,
  proxy: undefined,
};

test('a function makes the text when the plan is made', () => {
  expect(planAnswers(source, { ...INPUTS, custom: '# mine', proxy: 'http://10.0.2.2:3128' })).toEqual([
    {
      on: 'oemdrv',
      files: [
        {
          path: 'ks.cfg',
          content: `${COMMANDS.join('\n')}\nrepo --name=x --baseurl=http://x --proxy=http://10.0.2.2:3128\n%packages\nvim\ntmux\n%end\n# mine\n`,
        },
      ],
    },
  ]);
});

test('a recipe that is code is planned as it stands, and told apart by its name where it is wrong', () => {
  const planned = plan({ recipe: code, mediumLater: true });
  expect(planned.source).toMatchObject({
    answers: [{ files: [{ content: `${COMMANDS.join('\n')}\n%packages\n%end\n\n` }] }],
  });
  expect(() => plan({ recipe: { ...code, outputs: [] } })).toThrow(
    expect.objectContaining({ code: 'recipe.invalid', message: expect.stringContaining('gen: outputs') }),
  );
});

test('additions must be in the language of the installer, and the right flag is named', async () => {
  const file = join(folder, 'mine.ks');
  await writeFile(file, '# mine\n');
  expect(customText(source, { language: 'kickstart', file }, 'gen')).toBe('# mine\n');
  expect(() => customText(source, { language: 'preseed', file }, 'gen')).toThrow(
    expect.objectContaining({ code: 'recipe.custom', hint: 'Use --custom-kickstart FILE.' }),
  );
});

test('a recipe file can hold no function, and its JSON Schema knows of none', () => {
  const files = { 'ks.cfg': () => 'text' };
  const file = { sources: { installer: { answers: [{ on: 'oemdrv', files }] } } };
  expect(recipeFileSchema.safeParse(file).success).toBe(false);
  expect(recipeSchema.shape.sources.safeParse(file.sources).success).toBe(true);
  expect(() => z.toJSONSchema(recipeFileSchema, { io: 'input' })).not.toThrow();
});

test('differences of plans are named: architecture, variables, packages, steps', () => {
  const base = plan({ recipe: 'debian-12' });
  const other = plan({ recipe: 'debian-12', arch: 'arm64', set: ['packages=vim,tmux', 'timezone=Asia/Tokyo'] });
  expect(planDifferences(base, base)).toEqual([]);
  const found = planDifferences(other, base).map(({ what, name, from, to }) => [what, name, from, to]);
  expect(found).toEqual(
    expect.arrayContaining([
      ['arch', undefined, 'amd64', 'arm64'],
      ['variable', 'packages', '', 'vim,tmux'],
      ['variable', 'timezone', 'Etc/UTC', 'Asia/Tokyo'],
      ['package', undefined, undefined, 'vim'],
      ['package', undefined, undefined, 'tmux'],
      ['package', undefined, 'grub-pc-bin', undefined],
      ['maas', 'architecture', 'amd64/generic', 'arm64/generic'],
    ]),
  );
});
