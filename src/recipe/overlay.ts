/** Laying parts of recipes over each other. */
import { RecipeError } from '../errors.ts';
import type { Arch } from '../machine/arch.ts';
import { recipeInvalid } from './problems.ts';
import { type Recipe, type RecipeFile, type RecipeOverlay, recipeSchema } from './schema.ts';
import { nearest } from './suggest.ts';

type Sources = Recipe['sources'];

/**
 * `over` laid over `base`: scalars and lists override, packages, users, provision, seal and what verify lets pass are appended; variables, set, machine, maas
 * and each source are merged key by key, as are layouts and what differs per architecture.
 */
export function merge(base: Recipe, over: RecipeFile | RecipeOverlay): Recipe {
  const { sources, layouts, per_arch, ...own } = over as RecipeOverlay & { readonly layouts?: Recipe['layouts'] };
  return {
    ...base,
    ...(own as object),
    variables: { ...base.variables, ...over.variables },
    set: { ...base.set, ...over.set },
    users: [...base.users, ...(over.users ?? [])],
    machine: { ...base.machine, ...over.machine } as Recipe['machine'],
    maas: { ...base.maas, ...over.maas } as Recipe['maas'],
    sources: mergeSources(base.sources, sources),
    packages: [...base.packages, ...(over.packages ?? [])],
    provision: [...base.provision, ...(over.provision ?? [])],
    ...((base.verify ?? over.verify) && { verify: mergeVerify(base.verify, over.verify) }),
    seal: [...base.seal, ...(over.seal ?? [])],
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

/** Keys of a recipe file that are not laid over layouts: names are its own, lists are appended once. */
const APART = ['name', 'extends', 'packages', 'users', 'provision', 'seal', 'verify', 'layouts', 'per_arch'];

/**
 * A recipe file laid over the recipe it extends. What the file says holds in the layouts and architectures of that recipe
 * too: they come before it, its own after it.
 */
export function extend(base: Recipe, file: RecipeFile): Recipe {
  const said = Object.fromEntries(Object.entries(file).filter(([key]) => !APART.includes(key))) as RecipeOverlay;
  const again = <T extends RecipeOverlay>(part: T): T => {
    const { machine, maas, sources, variables, set, per_arch } = part;
    return {
      ...part,
      ...said,
      ...((machine ?? said.machine) && { machine: { ...machine, ...said.machine } }),
      ...((maas ?? said.maas) && { maas: { ...maas, ...said.maas } }),
      ...((variables ?? said.variables) && { variables: { ...variables, ...said.variables } }),
      ...((set ?? said.set) && { set: { ...set, ...said.set } }),
      ...((sources ?? said.sources) && { sources: mergeSources((sources ?? {}) as Sources, said.sources) }),
      ...(per_arch && { per_arch: each(per_arch, again) }),
    };
  };
  return merge({ ...base, layouts: each(base.layouts, again), per_arch: each(base.per_arch, again) }, file);
}

/** Each part changed, by its name. */
export function each<T>(parts: Readonly<Record<string, T | undefined>>, change: (part: T) => T): Record<string, T> {
  return Object.fromEntries(
    Object.entries(parts).flatMap(([name, part]) => (part === undefined ? [] : [[name, change(part)]])),
  );
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
  const { packages = [], provision = [], seal = [], users = [] } = below;
  return {
    ...below,
    ...part,
    ...(below.variables && { variables: { ...below.variables, ...part.variables } }),
    ...(below.machine && { machine: { ...below.machine, ...part.machine } }),
    ...(below.maas && { maas: { ...below.maas, ...part.maas } }),
    ...(below.sources && { sources: mergeSources(below.sources as Sources, part.sources) }),
    packages: [...packages, ...(part.packages ?? [])],
    provision: [...provision, ...(part.provision ?? [])],
    seal: [...seal, ...(part.seal ?? [])],
    users: [...users, ...(part.users ?? [])],
    set: { ...below.set, ...part.set },
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
 * @throws RecipeError `recipe.invalid` for parts that make no whole
 */
export function flatten(recipe: Recipe, layout: string | undefined, arch: Arch): Recipe {
  const { layouts, per_arch, ...rest } = recipe;
  const over = layout === undefined ? undefined : layouts[layout];
  let whole: Recipe = { ...rest, layouts: {}, per_arch: {} };
  for (const part of [over, per_arch[arch], over?.per_arch?.[arch]]) {
    if (part !== undefined) whole = merge(whole, part);
  }
  // Parts have no defaults of their own.
  const read = recipeSchema.safeParse({ ...whole, layouts: {}, per_arch: {} });
  if (read.success) return read.data;
  const name = layout === undefined ? recipe.name : `${recipe.name} (layout ${layout}, ${arch})`;
  throw recipeInvalid(
    read.error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`),
    name,
  );
}
