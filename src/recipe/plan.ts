import { RecipeError } from '../errors.ts';
import { parseSize } from '../formats/human.ts';
import type { Step } from '../guest/steps.ts';
import type { Arch } from '../machine/arch.ts';
import { FILE_TYPES, type FileType, parseFileTypes } from '../pack/filetypes.ts';
import type { MaasEntry } from '../pack/records.ts';
import { loadRecipe } from './load.ts';
import { checkMaas } from './maas-rules.ts';
import { type MachineOptions, machineOptions } from './machine-options.ts';
import { type Recipe, type SourceKind, toGuestStep } from './schema.ts';
import { nearest } from './suggest.ts';
import { interpolate, resolveVariables } from './variables.ts';

export interface PlanOptions {
  /** A catalogue entry, or the path of a recipe file. */
  readonly recipe: string;
  /** @default amd64 */
  readonly arch?: string;
  /** @default the first the recipe has: cloudimg, then packages */
  readonly source?: string;
  /** @default the recipe's outputs */
  readonly filetypes?: readonly string[];
  /** `key=value` each. */
  readonly set?: readonly string[];
  readonly varsFile?: string | undefined;
  /** Where COMPOSE_VAR_… come from. @default none */
  readonly env?: NodeJS.ProcessEnv;
}

export type PlannedSource =
  | { readonly kind: 'cloudimg'; readonly url: string; readonly sums: string; readonly algorithm: 'sha256' | 'sha512' }
  | {
      readonly kind: 'packages';
      readonly suite: string;
      readonly components: readonly string[];
      readonly include: readonly string[];
      /** The host's own when it is not given. */
      readonly mirror?: string;
    };

/** Everything a build will do, decided before anything runs. Plain data; sizes are bytes. */
export interface Plan {
  readonly recipe: string;
  readonly title: string;
  readonly arch: Arch;
  readonly grade: Recipe['grade'];
  readonly proven: string;
  readonly source: PlannedSource;
  readonly machine: {
    readonly memory: number;
    readonly cpus: number;
    readonly disk: number;
    readonly firmware: 'uefi' | 'bios';
  } & MachineOptions;
  readonly user: string;
  readonly steps: readonly Step[];
  readonly artifacts: readonly { readonly filetype: FileType; readonly file: string }[];
  readonly maas: MaasEntry;
  readonly variables: Readonly<Record<string, string>>;
  /** What an operator should know before waiting for the build. */
  readonly warnings: readonly string[];
}

/**
 * Decides what `compose build` would do. Nothing is downloaded, booted or written.
 * @throws RecipeError and UsageError for whatever cannot work
 */
export function plan(options: PlanOptions): Plan {
  const recipe = loadRecipe(options.recipe);
  const arch = choose('arch', options.arch ?? 'amd64', recipe.arch, recipe.name);
  const kinds = (['cloudimg', 'packages'] as const).filter((kind) => recipe.sources[kind] !== undefined);
  const kind = choose('source', options.source ?? kinds[0] ?? 'cloudimg', kinds, recipe.name);
  const values = resolveVariables(recipe, options, arch);
  const resolved = interpolate(recipe, { ...values, arch }, recipe.name);
  const memory = parseSize(resolved.machine.memory) ?? 0;
  const filetypes = parseFileTypes(options.filetypes ?? recipe.outputs);
  const maas = checkMaas(resolved.maas, recipe.name);
  const added: Step[] = resolved.packages.length > 0 ? [{ kind: 'packages', install: resolved.packages }] : [];
  const steps = resolved.provision
    .filter((step) => step.sources?.includes(kind) ?? true)
    .filter((step) => step.arch?.includes(arch) ?? true)
    .map(toGuestStep);
  return {
    recipe: recipe.name,
    title: resolved.title,
    arch,
    grade: recipe.grade,
    proven: recipe.proven,
    source: planSource(resolved, kind, arch, values.mirror),
    machine: {
      memory,
      cpus: resolved.machine.cpus,
      disk: parseSize(resolved.machine.disk) ?? 0,
      firmware: resolved.machine.firmware,
      ...machineOptions(resolved, arch, memory),
    },
    user: resolved.user,
    steps: [...added, ...steps],
    artifacts: filetypes.map((filetype) => ({
      filetype,
      file: `${recipe.name}-${arch}.${FILE_TYPES[filetype].suffix}`,
    })),
    maas,
    variables: Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, recipe.variables[key]?.secret ? '***' : value]),
    ),
    warnings: warnings(filetypes),
  };
}

/** Base name of a plan's artifacts. */
export function artifactName(plan: Pick<Plan, 'recipe' | 'arch'>): string {
  return `${plan.recipe}-${plan.arch}`;
}

function planSource(recipe: Recipe, kind: SourceKind, arch: Arch, mirror: string | undefined): PlannedSource {
  const { cloudimg, packages } = recipe.sources;
  if (kind === 'cloudimg' && cloudimg !== undefined) return { kind, ...cloudimg };
  if (packages === undefined) throw new RecipeError('recipe.source', `Cannot build ${recipe.name}: it has no source`);
  const { suite, components, kernel, include, include_for } = packages;
  return {
    kind: 'packages',
    suite,
    components,
    include: [kernel, ...include, ...(include_for?.[arch] ?? [])],
    ...(mirror === undefined ? {} : { mirror }),
  };
}

function choose<T extends string>(what: 'arch' | 'source', value: string, known: readonly T[], recipe: string): T {
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  const meant = nearest(value, known);
  throw new RecipeError(
    `recipe.${what}`,
    `Cannot build ${recipe} with --${what} ${value}: it has ${known.join(', ') || 'none'}`,
    {
      hint: meant === undefined ? `Leave --${what} out.` : `Did you mean ${meant}?`,
    },
  );
}

function warnings(filetypes: readonly FileType[]): string[] {
  const disks = filetypes.filter((type) => FILE_TYPES[type].content !== 'tree');
  if (disks.length === 0) return [];
  return [`${disks.join(', ')}: MAAS ignores its storage layouts for disk images; use tgz where a layout matters`];
}
