import { azureLinuxRecipes } from '../../recipes/azurelinux.ts';
import { debianRecipes } from '../../recipes/debian.ts';
import { elRecipes } from '../../recipes/el.ts';
import { suseRecipes } from '../../recipes/suse.ts';
import { suse12Recipes } from '../../recipes/suse12.ts';
import { ubuntuRecipes } from '../../recipes/ubuntu.ts';
import { RecipeError } from '../errors.ts';
import { type Recipe, type RecipeInput, recipeSchema } from './schema.ts';
import { nearest } from './suggest.ts';

/** A family is a module of recipes/. */
const FAMILIES: readonly (readonly RecipeInput[])[] = [
  azureLinuxRecipes,
  debianRecipes,
  elRecipes,
  suseRecipes,
  suse12Recipes,
  ubuntuRecipes,
];

const ENTRIES = new Map(FAMILIES.flat().map((entry) => [entry.name, entry]));

/** Names of all entries, sorted. */
export function catalogueNames(): string[] {
  return [...ENTRIES.keys()].sort();
}

/** @throws RecipeError `recipe.unknown` with the nearest name */
export function catalogueRecipe(name: string): Recipe {
  const entry = ENTRIES.get(name);
  if (entry !== undefined) return recipeSchema.parse(entry);
  const meant = nearest(name, ENTRIES.keys());
  throw new RecipeError('recipe.unknown', `Cannot find the recipe "${name}": the catalogue has no such entry`, {
    hint: meant === undefined ? 'compose list shows what there is.' : `Did you mean ${meant}? compose list shows all.`,
  });
}
