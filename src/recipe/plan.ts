import { RecipeError } from '../errors.ts';
import { parseSize } from '../formats/human.ts';
import type { Step } from '../guest/steps.ts';
import type { Arch } from '../machine/arch.ts';
import { FILE_TYPES, type FileType, parseFileTypes } from '../pack/filetypes.ts';
import type { MaasEntry } from '../pack/records.ts';
import { loadRecipe } from './load.ts';
import { checkMaas } from './maas-rules.ts';
import { type MachineOptions, machineOptions } from './machine-options.ts';
import { ANSWERS_URL, type PlannedInstaller, planInstaller } from './plan-installer.ts';
import { type Recipe, type SourceKind, toGuestStep } from './schema.ts';
import { nearest } from './suggest.ts';
import { interpolate, resolveVariables, type Values } from './variables.ts';

/** The order in which they are chosen. */
const SOURCE_KINDS: readonly SourceKind[] = ['cloudimg', 'packages', 'installer'];

export interface PlanOptions {
  /** A catalogue entry, or the path of a recipe file. */
  readonly recipe: string;
  /** @default amd64 */
  readonly arch?: string;
  /** @default installer where `iso` is given, else the first the recipe has: cloudimg, packages, installer */
  readonly source?: string;
  /** Installation medium, a file or an address, in place of the recipe's. */
  readonly iso?: string | undefined;
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
    }
  | PlannedInstaller;

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
  const kinds = SOURCE_KINDS.filter((kind) => recipe.sources[kind] !== undefined);
  if (options.iso !== undefined && !kinds.includes('installer')) {
    throw new RecipeError('recipe.iso', `Cannot build ${recipe.name} with --iso: it is not built from a medium`, {
      hint: `Leave --iso out; its sources are ${kinds.join(', ') || 'none'}.`,
    });
  }
  const byDefault = options.iso === undefined ? kinds[0] : 'installer';
  const kind = choose('source', options.source ?? byDefault ?? 'cloudimg', kinds, recipe.name);
  const values = resolveVariables(recipe, options, arch);
  const resolved = resolveRecipe(recipe, kind, { ...values, arch });
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
    source: planSource(resolved, kind, { arch, values, memory, iso: options.iso }),
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

/** Memory of the largest machine a build starts, bytes. */
export function mostMemory({ machine, source }: Pick<Plan, 'machine' | 'source'>): number {
  return source.kind === 'installer' ? Math.max(machine.memory, source.memory) : machine.memory;
}

/** Base name of a plan's artifacts. */
export function artifactName(plan: Pick<Plan, 'recipe' | 'arch'>): string {
  return `${plan.recipe}-${plan.arch}`;
}

/** The recipe with its variables replaced; those of sources it is not built from need no values. */
function resolveRecipe(recipe: Recipe, kind: SourceKind, values: Values): Recipe {
  const own = { ...recipe, sources: { [kind]: recipe.sources[kind] } };
  return interpolate(own, kind === 'installer' ? { ...values, answers_url: ANSWERS_URL } : values, recipe.name);
}

interface SourceOptions {
  readonly arch: Arch;
  readonly values: Values;
  readonly memory: number;
  readonly iso: string | undefined;
}

function planSource(recipe: Recipe, kind: SourceKind, { arch, values, memory, iso }: SourceOptions): PlannedSource {
  const { cloudimg, packages, installer } = recipe.sources;
  const { mirror } = values;
  if (kind === 'cloudimg' && cloudimg !== undefined) return { kind, ...cloudimg };
  if (kind === 'installer' && installer !== undefined) {
    const machine = { memory, secureBoot: recipe.machine.secure_boot ?? false };
    return planInstaller(installer, { recipe: recipe.name, arch, values, iso, machine });
  }
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
