import { RecipeError, type UsageError } from '../errors.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import { parseSize } from '../formats/human.ts';
import { proxyForGuest, proxyFromEnvironment } from '../guest/proxy.ts';
import type { Step } from '../guest/steps.ts';
import type { Arch } from '../machine/arch.ts';
import { FILE_TYPES, type FileType, parseFileTypes } from '../pack/filetypes.ts';
import type { MaasEntry } from '../pack/records.ts';
import { allowsOf, offOf, type VerifySettings } from '../verify/settings.ts';
import { customFlag } from './answer-inputs.ts';
import type { FileProblem } from './answer-problems.ts';
import { type GivenMachine, giveMachine } from './given-machine.ts';
import type { PlannedMachine } from './image-machine.ts';
import { loadRecipe } from './load.ts';
import { checkMaas } from './maas-rules.ts';
import { machineOptions } from './machine-options.ts';
import { chooseLayout, flatten, layoutNames } from './overlay.ts';
import { type PlannedCloudImage, planCloudImage } from './plan-cloudimg.ts';
import { type PlannedInstaller, planInstaller } from './plan-installer.ts';
import { type AddedSteps, planSeal, planSteps } from './plan-steps.ts';
import { ANSWERS_URL, type CustomAnswers, VOLUME } from './planned-answers.ts';
import type { DiskLayout, Recipe, RecipeInput, SourceKind } from './schema.ts';
import { nearest } from './suggest.ts';
import { archValues, checkSet, interpolate, listNames, resolveVariables, type Values } from './variables.ts';

/** The order in which they are chosen. */
const SOURCE_KINDS: readonly SourceKind[] = ['cloudimg', 'packages', 'installer'];

export interface PlanOptions extends AddedSteps {
  /** A catalogue entry, the path of a recipe file, or a recipe that is code (`defineRecipe`). */
  readonly recipe: string | RecipeInput;
  /** @default amd64 */
  readonly arch?: string;
  /** @default installer where `iso` is given, cloudimg where `image` is, else the first the recipe has: cloudimg, packages, installer */
  readonly source?: string;
  /** Installation medium, a file or an address, in place of the recipe's. */
  readonly iso?: string | undefined;
  /** Cloud image, a file, in place of the recipe's. */
  readonly image?: string | undefined;
  /** Plans without the medium of an installer, or the cloud image, where nothing names it, for a look at the rest. @default false */
  readonly mediumLater?: boolean;
  /** A variant of the recipe. @default the first it has */
  readonly layout?: string | undefined;
  /** Processors and memory of the guest. @default the recipe's */
  readonly machine?: GivenMachine | undefined;
  /** The operator's additions to generated answers, in the language of the recipe's installer. */
  readonly custom?: CustomAnswers | undefined;
  /** Is told what is wrong with the answers of an installer. @default their errors are thrown */
  readonly onAnswerProblems?: ((problems: readonly FileProblem[]) => void) | undefined;
  /** @default the recipe's outputs */
  readonly filetypes?: readonly string[];
  /** `key=value` each. */
  readonly set?: readonly string[];
  readonly varsFile?: string | undefined;
  /** Where COMPOSE_VAR_… and the proxy of installers come from. @default none */
  readonly env?: NodeJS.ProcessEnv;
}

export type PlannedSource =
  | PlannedCloudImage
  | {
      readonly kind: 'packages';
      readonly suite: string;
      readonly components: readonly string[];
      readonly include: readonly string[];
      readonly layout: DiskLayout;
      /** The host's own when it is not given. */
      readonly mirror?: string;
    }
  | PlannedInstaller;

/** Everything a build will do, decided before anything runs. Plain data; sizes are bytes. */
export interface Plan {
  readonly recipe: string;
  readonly title: string;
  readonly arch: Arch;
  /** The chosen variant; undefined for a recipe without layouts. */
  readonly layout?: string;
  /** Base name of the artifacts. */
  readonly name: string;
  readonly grade: Recipe['grade'];
  readonly proven: string;
  /** Tests and pages of compose behind the grade. */
  readonly evidence: readonly string[];
  readonly source: PlannedSource;
  readonly machine: PlannedMachine;
  readonly user: string;
  readonly steps: readonly Step[];
  /** What is taken out of the image, beside what every seal takes out. */
  readonly seal: readonly Edit[];
  readonly artifacts: readonly { readonly filetype: FileType; readonly file: string }[];
  readonly maas: MaasEntry;
  /** How the image is judged, beside what the build is told. */
  readonly verify?: Pick<VerifySettings, 'allow' | 'off'>;
  readonly variables: Readonly<Record<string, string>>;
  /** What an operator should know before waiting for the build. */
  readonly warnings: readonly string[];
}

/**
 * Decides what `compose build` would do. Nothing is downloaded, booted or written.
 * @throws RecipeError and UsageError for whatever cannot work
 */
export function plan(options: PlanOptions): Plan {
  const whole = loadRecipe(options.recipe);
  const arch = choose('arch', options.arch ?? 'amd64', whole.arch, whole.name);
  checkSet(whole);
  const layout = chooseLayout(whole, options.layout);
  const recipe = giveMachine(flatten(whole, layout, arch), options.machine ?? {});
  const kind = chooseSource(whole, recipe, options, layout);
  const values = resolveVariables(recipe, options, arch);
  const resolved = resolveRecipe(recipe, kind, { ...values, ...archValues(arch) });
  const memory = parseSize(resolved.machine.memory) ?? 0;
  const filetypes = parseFileTypes(options.filetypes ?? recipe.outputs);
  const maas = checkMaas(resolved.maas, recipe.name, filetypes);
  const name = artifactBase(whole, layout, arch);
  return {
    recipe: recipe.name,
    title: resolved.title,
    arch,
    ...(layout !== undefined && { layout }),
    name,
    grade: recipe.grade,
    proven: recipe.proven,
    evidence: recipe.evidence,
    source: planSource(resolved, kind, { whole, arch, values, memory, layout, filetypes }, options),
    machine: {
      memory,
      cpus: resolved.machine.cpus,
      disk: parseSize(resolved.machine.disk) ?? 0,
      firmware: resolved.machine.firmware,
      ...machineOptions(resolved, arch, memory),
    },
    user: resolved.user,
    steps: planSteps(resolved, kind, arch, options),
    seal: planSeal(resolved, filetypes),
    artifacts: filetypes.map((filetype) => ({ filetype, file: `${name}.${FILE_TYPES[filetype].suffix}` })),
    maas,
    ...(resolved.verify && { verify: checkVerify(resolved.verify, recipe.name) }),
    variables: Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, recipe.variables[key]?.secret ? '***' : value]),
    ),
    warnings: warnings(filetypes),
  };
}

/** @throws RecipeError `recipe.verify` where a rule is not there, or no reason is given */
function checkVerify(settings: NonNullable<Recipe['verify']>, recipe: string): Pick<VerifySettings, 'allow' | 'off'> {
  try {
    allowsOf(settings.allow);
    offOf(settings.off);
    return settings;
  } catch (cause) {
    const { message, hint } = cause as UsageError;
    throw new RecipeError('recipe.verify', `Cannot judge ${recipe}: ${message}`, { hint, cause });
  }
}

/** The recipe's name and the architecture, with the layout between them unless it is the first. */
function artifactBase(recipe: Recipe, layout: string | undefined, arch: Arch): string {
  const variant = layout === undefined || layout === layoutNames(recipe)[0] ? '' : `-${layout}`;
  return `${recipe.name}${variant}-${arch}`;
}

/** What has an installer run, for a build of `recipe`, `whole` in one of its layouts, in which none does. */
function installerHint(whole: Recipe, recipe: Recipe): string {
  if (recipe.sources.installer !== undefined) return 'Add --source installer.';
  const layouts = installerLayouts(whole);
  if (layouts !== '') return `Add ${layouts}.`;
  return 'A recipe file has packages and steps for what is built from an image or from packages.';
}

/** Flags of the layouts that an installer makes, for people; empty where there are none. */
function installerLayouts(whole: Recipe): string {
  const names = layoutNames(whole).filter((name) => whole.layouts[name]?.sources?.installer !== undefined);
  return names.map((name) => `--layout ${name}`).join(' or ');
}

function chooseSource(
  whole: Recipe,
  recipe: Recipe,
  { iso, image, source, custom }: PlanOptions,
  layout: string | undefined,
): SourceKind {
  const kinds = SOURCE_KINDS.filter((kind) => recipe.sources[kind] !== undefined);
  const other = layout === undefined ? '' : ` in the layout ${layout}`;
  if (iso !== undefined && !kinds.includes('installer')) {
    const layouts = installerLayouts(whole);
    const sources = kinds.join(', ') || 'none';
    throw new RecipeError('recipe.iso', `Cannot build ${recipe.name} with --iso: it is not built from a medium`, {
      hint: `${layouts === '' ? 'Leave --iso out' : `Add ${layouts}, or leave --iso out`}; its sources are ${sources}${other}.`,
    });
  }
  const byDefault = image !== undefined ? 'cloudimg' : iso === undefined ? kinds[0] : 'installer';
  if (image !== undefined && !kinds.includes('cloudimg')) {
    throw new RecipeError('recipe.image', `Cannot build ${recipe.name} with --image: it is not built from an image`, {
      hint: `Leave --image out; its sources are ${kinds.join(', ') || 'none'}${other}.`,
    });
  }
  const kind = choose('source', source ?? byDefault ?? 'cloudimg', kinds, recipe.name);
  const unused =
    kind !== 'cloudimg' && image !== undefined ? 'image' : kind !== 'installer' && iso !== undefined && 'iso';
  if (unused) {
    throw new RecipeError(`recipe.${unused}`, `Cannot build ${recipe.name} with --${unused}: its source is ${kind}`, {
      hint: `Leave out --${unused}, or what chose ${kind}: --source, --image and --iso name one source.`,
    });
  }
  if (custom !== undefined && kind !== 'installer') {
    const flag = customFlag(custom.language);
    const where = kinds.includes('installer') ? ` where its source is ${kind}` : other;
    throw new RecipeError('recipe.custom', `Cannot use ${flag} with ${recipe.name}: no installer runs${where}`, {
      hint: installerHint(whole, recipe),
    });
  }
  return kind;
}

/** Memory of the largest machine a build starts, bytes. */
export function mostMemory({ machine, source }: Pick<Plan, 'machine' | 'source'>): number {
  return source.kind === 'installer' ? Math.max(machine.memory, source.memory) : machine.memory;
}

/** Base name of a plan's artifacts. */
export function artifactName(plan: Pick<Plan, 'name'>): string {
  return plan.name;
}

/** The recipe with its variables replaced; those of sources it is not built from need no values. */
function resolveRecipe(recipe: Recipe, kind: SourceKind, values: Values): Recipe {
  const own = { ...recipe, sources: { [kind]: recipe.sources[kind] } };
  const known = kind === 'installer' ? { ...values, answers_url: ANSWERS_URL, volume: VOLUME } : values;
  return interpolate(own, known, recipe.name, listNames(recipe));
}

/** The architecture of the recipe whose medium is called `file`, of those it is not built for. */
function archOfMedium({ whole, layout, arch, values }: Decided, file: string): Arch | undefined {
  return whole.arch.find((other) => {
    const name = flatten(whole, layout, other).sources.installer?.file_name;
    if (other === arch || name === undefined) return false;
    return new RegExp(`^(?:${interpolate(name, { ...values, ...archValues(other) }, whole.name)})$`).test(file);
  });
}

interface Decided {
  /** As it is written, with its layouts. */
  readonly whole: Recipe;
  readonly arch: Arch;
  readonly values: Values;
  readonly memory: number;
  readonly layout: string | undefined;
  readonly filetypes: readonly FileType[];
}

function planSource(
  recipe: Recipe,
  kind: SourceKind,
  decided: Decided,
  { iso, image, custom, env, mediumLater = false, onAnswerProblems }: PlanOptions,
): PlannedSource {
  const { arch, values, memory, layout, filetypes } = decided;
  const { cloudimg, packages, installer } = recipe.sources;
  const { mirror } = values;
  if (kind === 'cloudimg' && cloudimg !== undefined) {
    return planCloudImage(cloudimg, { recipe: recipe.name, image, mediumLater });
  }
  if (kind === 'installer' && installer !== undefined) {
    const { firmware, secure_boot: secureBoot = false, disk_interface: diskInterface } = recipe.machine;
    const inputs = {
      recipe: recipe.name,
      arch,
      firmware,
      values,
      packages: recipe.packages,
      outputs: filetypes,
      layout,
      proxy: proxyForGuest(proxyFromEnvironment(env ?? {})).http,
    };
    const release = { family: recipe.family, version: recipe.version };
    const machine = { memory, secureBoot, diskInterface };
    return planInstaller(installer, {
      inputs,
      iso,
      mediumLater,
      custom,
      release,
      archOfMedium: (file) => archOfMedium(decided, file),
      onProblems: onAnswerProblems,
      machine,
    });
  }
  if (packages === undefined) throw new RecipeError('recipe.source', `Cannot build ${recipe.name}: it has no source`);
  const { suite, components, kernel, include, include_for } = packages;
  return {
    kind: 'packages',
    suite,
    components,
    include: [kernel, ...include, ...(include_for?.[arch] ?? [])],
    layout: packages.layout,
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
