import { flatten, layoutNames } from './overlay.ts';
import { type Plan, plan } from './plan.ts';
import type { Recipe } from './schema.ts';

/** Every plan of an entry: architectures, layouts and sources, each with a name; the default is the first. */
export function everyPlan(recipe: Recipe): { readonly name: string; readonly plan: Plan }[] {
  const layouts = layoutNames(recipe);
  return (layouts.length === 0 ? [undefined] : layouts).flatMap((layout) =>
    recipe.arch.flatMap((arch) =>
      Object.keys(flatten(recipe, layout, arch).sources).map((source) => ({
        name: [layout, arch, source].filter((part) => part !== undefined).join(' '),
        plan: plan({ recipe: recipe.name, arch, layout, source, mediumLater: true }),
      })),
    ),
  );
}
