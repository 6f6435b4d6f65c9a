/** What "plan", and "build --plan", answer of one recipe: the plan, and what sets it apart from its entry's default. */
import type { Difference } from '../recipe/differences.ts';
import type { Plan, PlanOptions } from '../recipe/plan.ts';

export interface PlanAnswer {
  readonly data: Plan & { readonly differs: readonly Difference[] };
  readonly text: string;
}

/** @param recipe a name of the catalogue, or a file */
export async function planAnswer(recipe: string, options: PlanOptions): Promise<PlanAnswer> {
  const { plan } = await import('../recipe/plan.ts');
  const { rootEntry } = await import('../recipe/load.ts');
  const { planDifferences } = await import('../recipe/differences.ts');
  const { planText } = await import('../recipe/text.ts');
  const planned = plan({ ...options, recipe, mediumLater: true });
  const entry = rootEntry(recipe);
  const differs = entry === undefined ? [] : planDifferences(planned, plan({ recipe: entry, mediumLater: true }));
  return { data: { ...planned, differs }, text: planText(planned, entry, differs) };
}
