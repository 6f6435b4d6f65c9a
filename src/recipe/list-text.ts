/** The catalogue as a table for a terminal. */

import { RecipeError } from '../errors.ts';
import { columns } from '../formats/human.ts';
import { catalogueNames } from './catalogue.ts';
import { gradesOf, gradeText } from './grades.ts';
import { loadRecipe } from './load.ts';
import { flatten, layoutNames } from './overlay.ts';
import type { Recipe } from './schema.ts';
import { nearest } from './suggest.ts';

/**
 * All entries, or those of a family.
 * @throws RecipeError `recipe.family`
 */
export function allRecipes(family?: string): Recipe[] {
  const all = catalogueNames().map((name) => loadRecipe(name));
  if (family === undefined) return all;
  const found = all.filter((recipe) => recipe.family === family);
  if (found.length > 0) return found;
  const families = [...new Set(all.map((recipe) => recipe.family))].sort();
  const meant = nearest(family, families);
  throw new RecipeError('recipe.family', `Cannot list the family "${family}": the catalogue has no such family`, {
    hint: `${meant === undefined ? '' : `Did you mean ${meant}? `}It has: ${families.join(', ')}.`,
  });
}

/** Kinds of sources a recipe has in any of its layouts. */
export function sourceKinds(recipe: Recipe): string[] {
  const names = layoutNames(recipe);
  const kinds = (names.length === 0 ? [undefined] : names).flatMap((layout) =>
    recipe.arch.flatMap((arch) => Object.keys(flatten(recipe, layout, arch).sources)),
  );
  return [...new Set(kinds)];
}

/** Families one after the other, versions in their order. */
export function listText(recipes: readonly Recipe[]): string {
  const families = [...new Set(recipes.map(({ family }) => family))].sort();
  const rows = families.flatMap((family) =>
    recipes
      .filter((recipe) => recipe.family === family)
      .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
      .map((recipe, at) => [
        at === 0 ? family : '',
        recipe.name,
        recipe.title,
        recipe.arch.join(','),
        sourceKinds(recipe).join(','),
        layoutNames(recipe).join(',') || '-',
        gradeText(gradesOf(recipe)),
      ]),
  );
  const table = columns([['FAMILY', 'NAME', 'TITLE', 'ARCH', 'SOURCES', 'LAYOUTS', 'GRADE'], ...rows]);
  const foot = [
    '',
    'built: made here of what the vendor publishes, and booted. driven: the whole way ran against a double of the',
    "vendor's installer. checked: plan and answers are checked. compose show NAME tells what a grade rests on.",
  ];
  return [...table, ...foot].join('\n');
}
