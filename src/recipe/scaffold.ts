/** A recipe file to begin with. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { RecipeError } from '../errors.ts';
import { customFlag } from './answer-inputs.ts';
import { loadRecipe } from './load.ts';
import { flatten, layoutNames } from './overlay.ts';
import { isGenerated } from './planned-answers.ts';
import { type Recipe, recipeFileSchema } from './schema.ts';

export interface Scaffold {
  /** Path of the new file. */
  readonly file: string;
  readonly name: string;
  readonly from: string;
}

/**
 * Writes `<name>.yaml`, a commented recipe that extends `from`, into `folder`.
 * @throws RecipeError `recipe.name`, `recipe.exists`, and those of `loadRecipe`
 */
export async function scaffold(name: string, from: string, folder: string): Promise<Scaffold> {
  if (!recipeFileSchema.shape.name.safeParse(name).success) {
    throw new RecipeError(
      'recipe.name',
      `Cannot name a recipe "${name}": a name has small letters, digits, dots and dashes`,
      {
        hint: 'The file is named after it: compose init web-node writes web-node.yaml.',
      },
    );
  }
  const file = resolve(folder, `${name}.yaml`);
  const text = scaffoldText(name, loadRecipe(from));
  if (existsSync(file)) throw exists(file);
  await writeFile(file, text, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? exists(file) : error;
  });
  return { file, name, from };
}

function exists(file: string): RecipeError {
  return new RecipeError('recipe.exists', `Cannot write ${file}: it is there already`, {
    hint: 'Give another name, or move the file away.',
  });
}

/** The text: what is not a comment builds as it stands. */
export function scaffoldText(name: string, recipe: Recipe): string {
  const layouts = layoutNames(recipe);
  const [arch = 'amd64'] = recipe.arch;
  const variants = (layouts.length === 0 ? [undefined] : layouts).map((layout) => flatten(recipe, layout, arch));
  const variables = new Map(variants.flatMap(({ variables }) => Object.entries(variables)));
  variables.delete('packages');
  const languages = variants.flatMap(({ sources: { installer } }) =>
    installer?.language !== undefined && isGenerated(installer) ? [installer.language] : [],
  );
  const [language] = languages;
  const values = [...variables].map(
    ([key, { describe, default: value }]) => `#  ${key}: ${yamlValue(value)}  # ${describe}`,
  );
  const title = yamlValue(`${recipe.title} (${name})`);
  return [
    `# ${name}: a recipe of your own. Take the # from what you want; docs/recipes.md has all that may be here.`,
    `# compose plan ./${name}.yaml tells what a build would do, and what sets it apart from ${recipe.name};`,
    `# compose build ./${name}.yaml --out images does it.`,
    `extends: ${recipe.name}`,
    `name: ${name}`,
    `maas: { name: ${name}, title: ${title} }`,
    '',
    '# Packages to add, by the names of the distribution.',
    '#packages: [vim, tmux]',
    '',
    `# Values of the variables of ${recipe.name}; --set name=value changes one for a single build.`,
    '#set:',
    ...values,
    '',
    '# Accounts, beside the one cloud-init makes at the first boot. A key is a line, or a file beside this one.',
    '#users:',
    '#  - { name: ops, keys: [./ops.pub], groups: [adm], sudo: true }',
    '',
    '# Steps in the guest, in this order, as root.',
    '#provision:',
    '#  - upload: { from: ./site, to: /srv/www }',
    '#  - shell: ./harden.sh',
    '#  - write: { path: /etc/motd, content: "hello\\n" }',
    '',
    ...(layouts.length === 0
      ? []
      : [
          `# Layouts are chosen with --layout: ${layouts.join(', ')}. One may have lines of its own.`,
          '#layouts:',
          `#  ${layouts.at(-1)}: { machine: { disk: 16G } }`,
          '',
        ]),
    ...(language === undefined
      ? []
      : [`# ${customFlag(language)} FILE adds your own ${language} to the answers of the installer.`, '']),
    '# What is packed: tgz is a tree for every storage layout of MAAS, ddgz a disk as it is.',
    `#outputs: [${recipe.outputs.join(', ')}]`,
    '',
  ].join('\n');
}

/** As it would stand in the file. */
function yamlValue(value: unknown): string {
  return stringify(value ?? '').trim();
}
