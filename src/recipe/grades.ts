/** How far an entry is proven, where layouts and architectures differ. */
import type { Arch } from '../machine/arch.ts';
import { flatten, layoutNames } from './overlay.ts';
import type { Recipe } from './schema.ts';

/** The best first. */
export const GRADES = ['built', 'driven', 'checked'] as const;

export interface Graded extends Pick<Recipe, 'grade' | 'proven' | 'evidence'> {
  /** Undefined for a recipe without layouts. */
  readonly layout: string | undefined;
  readonly arch: Arch;
}

/** The grade of every layout on every architecture. */
export function gradesOf(recipe: Recipe): Graded[] {
  const names = layoutNames(recipe);
  return (names.length === 0 ? [undefined] : names).flatMap((layout) =>
    recipe.arch.map((arch) => {
      const { grade, proven, evidence } = flatten(recipe, layout, arch);
      return { layout, arch, grade, proven, evidence };
    }),
  );
}

/** `built`, or with what each grade is for: `driven (flat amd64, lvm amd64), checked (others)`. */
export function gradeText(grades: readonly Graded[]): string {
  const held = GRADES.filter((grade) => grades.some((one) => one.grade === grade));
  return held
    .map((grade, at) => {
      if (held.length === 1) return grade;
      if (at === held.length - 1) return `${grade} (others)`;
      return `${grade} (${placesOf(grades, grade).join(', ')})`;
    })
    .join(', ');
}

/** Where a grade holds; a layout or an architecture alone where it holds on all of it. */
function placesOf(grades: readonly Graded[], grade: Recipe['grade']): string[] {
  const holds = (of: readonly Graded[]): boolean => of.every((one) => one.grade === grade);
  const arches = [...new Set(grades.map(({ arch }) => arch))];
  const whole = arches.filter((arch) => holds(grades.filter((one) => one.arch === arch)));
  const rest = grades.filter((one) => one.grade === grade && !whole.includes(one.arch));
  const layouts = [...new Set(rest.map(({ layout }) => layout))];
  return [
    ...whole,
    ...layouts.flatMap((layout) => {
      const own = rest.filter((one) => one.layout === layout);
      if (layout !== undefined && own.length === arches.length) return [layout];
      return own.map(({ arch }) => (layout === undefined ? arch : `${layout} ${arch}`));
    }),
  ];
}
