import type { Verb } from '../command.ts';
import { planOptions, type RecipeFlags, recipeFlags } from '../recipe-flags.ts';

export const list: Verb<object> = {
  command: 'list',
  describe: 'the recipes that come with compose, and how far each is proven',
  examples: [['list', 'all recipes with their grade']],
  options: (yargs) => yargs,
  run: async () => {
    const { allRecipes, listText } = await import('../../recipe/text.ts');
    const recipes = allRecipes();
    return { data: recipes, text: listText(recipes) };
  },
};

export const show: Verb<{ recipe: string }> = {
  command: 'show <recipe>',
  describe: 'one recipe: sources, variables, what MAAS is told',
  examples: [['show debian-12', 'its variables and outputs']],
  options: (yargs) =>
    yargs.positional('recipe', {
      type: 'string',
      demandOption: true,
      describe: 'a name from "compose list", or a recipe file',
    }),
  run: async ({ recipe: name }) => {
    const { loadRecipe } = await import('../../recipe/load.ts');
    const { showText } = await import('../../recipe/text.ts');
    const recipe = loadRecipe(name);
    return { data: recipe, text: showText(recipe) };
  },
};

export const planVerb: Verb<RecipeFlags> = {
  command: 'plan <recipe>',
  describe: 'what "build" would do, decided and checked without doing it',
  examples: [
    ['plan debian-12', 'sources, steps, artifacts'],
    ['plan debian-12 --arch arm64 --set packages=vim,tmux', 'and what sets it apart from the default'],
    ['plan ./web-node.yaml --set mirror=http://mirror.example/debian --json', 'a recipe of your own, as JSON'],
  ],
  options: recipeFlags,
  run: async (flags) => {
    const { plan } = await import('../../recipe/plan.ts');
    const { rootEntry } = await import('../../recipe/load.ts');
    const { planDifferences } = await import('../../recipe/differences.ts');
    const { planText } = await import('../../recipe/text.ts');
    const planned = plan({ ...planOptions(flags), mediumLater: true });
    const entry = rootEntry(flags.recipe);
    const differs = entry === undefined ? [] : planDifferences(planned, plan({ recipe: entry, mediumLater: true }));
    return { data: { ...planned, differs }, text: planText(planned, entry, differs) };
  },
};
