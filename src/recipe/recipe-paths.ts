/** Paths of this host in a recipe file: they are relative to the file that names them. */
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { each } from './overlay.ts';
import { isAddress } from './plan-installer.ts';
import type { RecipeFile, RecipeOverlay, RecipeStep } from './schema.ts';
import { isKeyFile, type User } from './users.ts';

type Part = Omit<RecipeOverlay, 'per_arch'>;
type Installer = NonNullable<NonNullable<RecipeOverlay['sources']>['installer']>;

/** The file with all its paths absolute, those of layouts and of architectures too. */
export function absolutePaths(file: RecipeFile, folder: string): RecipeFile {
  const { layouts } = file;
  return {
    ...absoluteOverlay(file, folder),
    ...(layouts !== undefined && { layouts: each(layouts, (one) => absoluteOverlay(one, folder)) }),
  } as RecipeFile;
}

function absoluteOverlay<T extends RecipeOverlay>(overlay: T, folder: string): T {
  const { per_arch } = overlay;
  return {
    ...absolutePart(overlay, folder),
    ...(per_arch !== undefined && { per_arch: each(per_arch, (one) => absolutePart(one, folder)) }),
  };
}

function absolutePart<T extends Part>(part: T, folder: string): T {
  const { provision, sources, users } = part;
  const { installer } = sources ?? {};
  return {
    ...part,
    ...(users !== undefined && { users: users.map((one) => absoluteKeys(one, folder)) }),
    ...(provision !== undefined && { provision: provision.map((step) => absoluteStep(step, folder)) }),
    ...(installer !== undefined && { sources: { ...sources, installer: absoluteInstaller(installer, folder) } }),
  };
}

function absoluteKeys(user: User, folder: string): User {
  return { ...user, keys: user.keys.map((key) => (isKeyFile(key) ? resolve(folder, key) : key)) };
}

function absoluteInstaller(source: Installer, folder: string): Installer {
  const { iso, answers } = source;
  const local = iso !== undefined && !isAddress(iso) && !iso.startsWith('${') && !isAbsolute(iso);
  const absolute = <G>(given: G): G | string =>
    typeof given !== 'string' || isAbsolute(given) || given.startsWith('${') ? given : resolve(folder, given);
  return {
    ...source,
    ...(local && { iso: resolve(folder, iso) }),
    ...(answers !== undefined && {
      answers: answers.map((one) => ({
        ...one,
        files: Object.fromEntries(Object.entries(one.files).map(([path, given]) => [path, absolute(given)])),
      })),
    }),
  };
}

function absoluteStep(step: RecipeStep, folder: string): RecipeStep {
  if ('upload' in step) return { ...step, upload: { ...step.upload, from: resolve(folder, step.upload.from) } };
  if (!('shell' in step)) return step;
  if (Array.isArray(step.shell)) return step;
  if (typeof step.shell === 'string') {
    return /^\.{1,2}\/\S+$/.test(step.shell) ? { ...step, shell: resolve(folder, step.shell) } : step;
  }
  const { file } = step.shell;
  return file === undefined ? step : { ...step, shell: { ...step.shell, file: resolve(folder, file) } };
}

/** What a recipe file names that is not there, a line each. */
export function missingFiles(file: RecipeFile, folder: string): string[] {
  const overlays: [string, RecipeOverlay | undefined][] = [
    ['', file],
    ...Object.entries(file.layouts ?? {}).map(([name, one]) => [`layouts.${name}.`, one] as [string, RecipeOverlay]),
  ];
  return overlays.flatMap(([at, overlay]) => [
    ...missingOf(overlay ?? {}, at, folder),
    ...Object.entries(overlay?.per_arch ?? {}).flatMap(([arch, part]) =>
      missingOf(part ?? {}, `${at}per_arch.${arch}.`, folder),
    ),
  ]);
}

function missingOf(part: Part, at: string, folder: string): string[] {
  const gone = (path: string): boolean => !path.includes('${') && !existsSync(resolve(folder, path));
  const problems: string[] = [];
  for (const key of (part.users ?? []).flatMap(({ keys }) => keys)) {
    if (isKeyFile(key) && gone(key)) problems.push(`${at}users: there is no file ${key}`);
  }
  for (const [index, { files }] of (part.sources?.installer?.answers ?? []).entries()) {
    for (const given of Object.values(files)) {
      if (typeof given === 'string' && gone(given))
        problems.push(`${at}sources.installer.answers.${index}: there is no file ${given}`);
    }
  }
  for (const [index, step] of (part.provision ?? []).entries()) {
    const named = fileOf(step);
    if (named !== undefined && gone(named)) problems.push(`${at}provision.${index}: there is no file ${named}`);
  }
  return problems;
}

function fileOf(step: RecipeStep): string | undefined {
  if ('upload' in step) return step.upload.from;
  if (!('shell' in step) || Array.isArray(step.shell)) return undefined;
  if (typeof step.shell !== 'string') return step.shell.file;
  return /^\.{0,2}\/\S+$/.test(step.shell) ? step.shell : undefined;
}
