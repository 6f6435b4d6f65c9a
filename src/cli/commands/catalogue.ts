import type { Argv } from 'yargs';
import { UsageError } from '../../errors.ts';
import type { GlobalOptions, Verb } from '../command.ts';
import { planAnswer } from '../plan-answer.ts';
import { planOptions, type RecipeFlags, recipeFlags } from '../recipe-flags.ts';

type ListFlags = { family: string | undefined };

export const list: Verb<ListFlags> = {
  command: 'list',
  describe: 'the recipes that come with compose, and how far each is proven',
  examples: [
    ['list', 'all recipes with their grade'],
    ['list --family ubuntu', 'one family'],
  ],
  options: (yargs) =>
    yargs.options({ family: { type: 'string', describe: 'only this family' } }) as Argv<ListFlags & GlobalOptions>,
  run: async ({ family }) => {
    const { allRecipes, listText } = await import('../../recipe/list-text.ts');
    const { gradesOf } = await import('../../recipe/grades.ts');
    const recipes = allRecipes(family);
    return { data: recipes.map((recipe) => ({ ...recipe, grades: gradesOf(recipe) })), text: listText(recipes) };
  },
};

export const show: Verb<{ recipe: string }> = {
  command: 'show <recipe>',
  describe: 'one recipe: what it builds, from what, what it needs, how to change it',
  examples: [['show debian-12', 'its sources, variables and outputs']],
  options: (yargs) =>
    yargs.positional('recipe', {
      type: 'string',
      demandOption: true,
      describe: 'a name from "compose list", or a recipe file',
    }),
  run: async ({ recipe: name }) => {
    const { loadRecipe } = await import('../../recipe/load.ts');
    const { showText } = await import('../../recipe/show-text.ts');
    const { gradesOf } = await import('../../recipe/grades.ts');
    const { toolsOf } = await import('../../build/doctor.ts');
    const recipe = loadRecipe(name);
    const [arch = 'amd64'] = recipe.arch;
    const kinds = ['cloudimg', 'packages', 'installer'] as const;
    const tools = Object.fromEntries(kinds.map((kind) => [kind, toolsOf(kind, arch)]));
    return { data: { ...recipe, grades: gradesOf(recipe) }, text: showText(recipe, tools) };
  },
};

type PlanFlags = Omit<RecipeFlags, 'recipe'> & { recipe: string | undefined; all: boolean; argv: boolean };

export const planVerb: Verb<PlanFlags> = {
  command: 'plan [recipe]',
  describe: 'what "build" would do, decided and checked without doing it',
  examples: [
    ['plan debian-12', 'sources, steps, artifacts'],
    ['plan debian-12 --arch arm64 --set packages=vim,tmux', 'and what sets it apart from the default'],
    ['plan ./web-node.yaml --set mirror=http://mirror.example/debian --json', 'a recipe of your own, as JSON'],
    ['plan ./web-node.yaml --argv', 'and the QEMU command of its guest on this host'],
    ['plan --all --json', 'every plan of the catalogue, one a line'],
  ],
  options: (yargs) =>
    recipeFlags(yargs).options({
      recipe: { demandOption: false },
      all: { type: 'boolean', default: false, describe: 'every entry, architecture, layout and source' },
      argv: {
        type: 'boolean',
        default: false,
        describe: 'also the QEMU command of the guest it is provisioned in, with the accelerator of this host',
      },
    }) as unknown as Argv<PlanFlags & GlobalOptions>,
  run: async ({ recipe, all, argv, ...flags }) => {
    if (all) {
      const { planText } = await import('../../recipe/text.ts');
      const { everyPlan } = await import('../../recipe/every-plan.ts');
      const { allRecipes } = await import('../../recipe/list-text.ts');
      const plans = allRecipes().flatMap((entry) => everyPlan(entry).map((one) => one.plan));
      return { data: plans, lines: plans, text: plans.map((one) => planText(one)).join('\n\n') };
    }
    if (recipe === undefined) {
      throw new UsageError('usage', 'Cannot plan: no recipe is named', {
        hint: 'compose plan NAME; compose list shows the names, --all plans them all.',
      });
    }
    const answer = await planAnswer(recipe, planOptions({ ...flags, recipe }));
    if (!argv) return answer;
    const { commandText, plannedCommand } = await import('../../build/planned-command.ts');
    const command = await plannedCommand(answer.data);
    return { data: { ...answer.data, command }, text: `${answer.text}\n${commandText(command)}` };
  },
};

type InitFlags = { name: string; from: string };

export const initVerb: Verb<InitFlags> = {
  command: 'init <name>',
  describe: 'write a recipe of your own to begin with',
  examples: [['init my-image --from ubuntu-24.04', 'writes my-image.yaml, which plans and builds as it stands']],
  options: (yargs) =>
    yargs
      .positional('name', { type: 'string', demandOption: true, describe: 'name of the image; the file is NAME.yaml' })
      .options({
        from: { type: 'string', demandOption: true, describe: 'the entry it extends, a name from "compose list"' },
      }) as Argv<InitFlags & GlobalOptions>,
  run: async ({ name, from }) => {
    const { scaffold } = await import('../../recipe/scaffold.ts');
    const made = await scaffold(name, from, process.cwd());
    return { data: made, text: `${made.file}\nlook at it with: compose plan ./${name}.yaml` };
  },
};
