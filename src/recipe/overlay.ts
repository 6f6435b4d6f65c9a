/** Laying parts of recipes over each other. */
import { RecipeError } from '../errors.ts';
import type { Arch } from '../machine/arch.ts';
import type { Recipe, RecipeFile, RecipeOverlay } from './schema.ts';
import { nearest } from './suggest.ts';

type Sources = Recipe['sources'];

/**
 * `over` laid over `base`: scalars and lists override, packages, provision steps and what verify lets pass are appended; variables, machine, maas
 * and each source are merged key by key, as are layouts and what differs per architecture.
 */
export function merge(base: Recipe, over: RecipeFile | RecipeOverlay): Recipe {
  const { sources, layouts, per_arch, ...own } = over as RecipeOverlay & { readonly layouts?: Recipe['layouts'] };
  return {
    ...base,
    ...(own as object),
    variables: { ...base.variables, ...over.variables },
    machine: { ...base.machine, ...over.machine } as Recipe['machine'],
    maas: { ...base.maas, ...over.maas } as Recipe['maas'],
    sources: mergeSources(base.sources, sources),
    packages: [...base.packages, ...(over.packages ?? [])],
    provision: [...base.provision, ...(over.provision ?? [])],
    ...((base.verify ?? over.verify) && { verify: mergeVerify(base.verify, over.verify) }),
    per_arch: eachMerged(base.per_arch, per_arch),
    layouts: eachMerged(base.layouts, layouts),
  };
}

function mergeVerify(base: Recipe['verify'], over: RecipeOverlay['verify']): Recipe['verify'] {
  return {
    allow: [...(base?.allow ?? []), ...(over?.allow ?? [])],
    off: [...(base?.off ?? []), ...(over?.off ?? [])],
  };
}

function mergeSources(base: Sources, over: RecipeOverlay['sources']): Sources {
  const merged: Record<string, unknown> = { ...base };
  for (const [kind, part] of Object.entries(over ?? {})) {
    if (part !== undefined) merged[kind] = { ...base[kind as keyof Sources], ...part };
  }
  return merged as Sources;
}

/** Overlays of the same name, one over the other. */
function eachMerged<T extends RecipeOverlay>(
  base: Readonly<Record<string, T | undefined>>,
  over: Readonly<Record<string, T | undefined>> | undefined,
): Record<string, T> {
  const merged: Record<string, T | undefined> = { ...base };
  for (const [name, part] of Object.entries(over ?? {})) {
    const below = merged[name];
    if (part !== undefined) merged[name] = below === undefined ? part : overlaid(below, part);
  }
  return merged as Record<string, T>;
}

function overlaid<T extends RecipeOverlay>(below: T, part: T): T {
  const { packages = [], provision = [] } = below;
  return {
    ...below,
    ...part,
    ...(below.variables && { variables: { ...below.variables, ...part.variables } }),
    ...(below.machine && { machine: { ...below.machine, ...part.machine } }),
    ...(below.maas && { maas: { ...below.maas, ...part.maas } }),
    ...(below.sources && { sources: mergeSources(below.sources as Sources, part.sources) }),
    packages: [...packages, ...(part.packages ?? [])],
    provision: [...provision, ...(part.provision ?? [])],
    ...(below.per_arch && { per_arch: eachMerged(below.per_arch, part.per_arch) }),
  };
}

/** Names of a recipe's layouts, the default first. */
export function layoutNames(recipe: Pick<Recipe, 'layouts'>): string[] {
  return Object.keys(recipe.layouts);
}

/**
 * The layout that is built where `wanted` is asked for; undefined for a recipe without layouts.
 * @throws RecipeError `recipe.layout`
 */
export function chooseLayout(recipe: Recipe, wanted: string | undefined): string | undefined {
  const names = layoutNames(recipe);
  const found = wanted === undefined ? names[0] : names.find((name) => name === wanted);
  if (found !== undefined || (wanted === undefined && names.length === 0)) return found;
  const meant = nearest(wanted ?? '', names);
  throw new RecipeError(
    'recipe.layout',
    `Cannot build ${recipe.name} with --layout ${wanted}: it has ${names.join(', ') || 'none'}`,
    { hint: meant === undefined ? 'Leave --layout out.' : `Did you mean ${meant}?` },
  );
}

/**
 * The recipe of one layout on one architecture: the layout is laid over the rest, then what differs on the architecture,
 * the recipe's own before the layout's.
 */
export function flatten(recipe: Recipe, layout: string | undefined, arch: Arch): Recipe {
  const { layouts, per_arch, ...rest } = recipe;
  const over = layout === undefined ? undefined : layouts[layout];
  let whole: Recipe = { ...rest, layouts: {}, per_arch: {} };
  for (const part of [over, per_arch[arch], over?.per_arch?.[arch]]) {
    if (part !== undefined) whole = merge(whole, part);
  }
  return { ...whole, layouts: {}, per_arch: {} };
}
