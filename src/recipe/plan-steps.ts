/** What runs in the guest, and what is taken out of the image afterwards. */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { RecipeError } from '../errors.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import type { Step } from '../guest/steps.ts';
import type { Arch } from '../machine/arch.ts';
import { FILE_TYPES, type FileType } from '../pack/filetypes.ts';
import { isGenerated } from './planned-answers.ts';
import { type Recipe, type SourceKind, toGuestStep } from './schema.ts';
import { type UserInput, user as userSchema, userStep } from './users.ts';

/** What an operator adds to a recipe's steps. */
export interface AddedSteps {
  /** More accounts of the image; key files are relative to the working folder. */
  readonly users?: readonly UserInput[];
  /** Files of this host that run in the guest after the recipe's steps. */
  readonly scripts?: readonly string[];
}

/** Early steps, packages, accounts, the other steps, scripts. Packages that the installer installed are left out. */
export function planSteps(
  recipe: Recipe,
  kind: SourceKind,
  arch: Arch,
  { users = [], scripts = [] }: AddedSteps,
): Step[] {
  const { installer } = recipe.sources;
  const installed = kind === 'installer' && installer?.installs_packages && isGenerated(installer);
  const { packages } = recipe;
  const added: Step[] = packages.length > 0 && !installed ? [{ kind: 'packages', install: packages }] : [];
  const steps = recipe.provision
    .filter((step) => step.sources?.includes(kind) ?? true)
    .filter((step) => step.arch?.includes(arch) ?? true)
    .filter((step) => step.when === undefined || step.when.trim() !== '');
  const early = steps.filter((step) => step.early).map(toGuestStep);
  const late = steps.filter((step) => !step.early).map(toGuestStep);
  const accounts = [...recipe.users, ...users.map((one) => userSchema.parse(one))].map(userStep);
  const own = scripts.map(scriptStep);
  return [...early, ...added, ...accounts, ...late, ...own];
}

/** @throws RecipeError `recipe.script`, before a guest is installed for it */
function scriptStep(file: string): Step {
  if (existsSync(file)) return { kind: 'shell', name: basename(file), file: resolve(file) };
  throw new RecipeError('recipe.script', `Cannot run ${file} in the guest: there is no such file`, {
    hint: 'Name a script of this host: --script ./harden.sh',
  });
}

export function planSeal({ seal }: Recipe, filetypes: readonly FileType[]): Edit[] {
  const trees = filetypes.every((type) => FILE_TYPES[type].content === 'tree');
  return seal.filter((edit) => trees || !edit.trees).map(({ kind, path, reason }) => ({ kind, path, reason }));
}
