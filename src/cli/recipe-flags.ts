import type { Argv } from 'yargs';
import type { PlanOptions } from '../recipe/plan.ts';
import type { GlobalOptions } from './command.ts';

/** Flags of the verbs that take a recipe. */
export interface RecipeFlags {
  readonly recipe: string;
  readonly arch: string;
  readonly source: string | undefined;
  readonly iso: string | undefined;
  readonly format: string[] | undefined;
  readonly set: string[] | undefined;
  readonly vars: string | undefined;
}

export function recipeFlags(yargs: Argv<GlobalOptions>): Argv<RecipeFlags & GlobalOptions> {
  return yargs
    .positional('recipe', {
      type: 'string',
      demandOption: true,
      describe: 'a name from "compose list", or a recipe file',
    })
    .options({
      arch: { type: 'string', default: 'amd64', describe: 'architecture of the image' },
      source: {
        type: 'string',
        describe: "cloudimg: the vendor's image; packages: a disk made here; installer: an installation medium",
      },
      iso: { type: 'string', describe: 'installation medium, a file or an address, for --source installer' },
      format: { type: 'string', array: true, describe: 'MAAS filetypes, comma-separated: tgz,ddgz' },
      set: { type: 'string', array: true, nargs: 1, describe: 'key=value for a variable of the recipe' },
      vars: { type: 'string', describe: 'YAML or JSON file with variables' },
    }) as Argv<RecipeFlags & GlobalOptions>;
}

export function planOptions(flags: RecipeFlags): PlanOptions {
  return {
    recipe: flags.recipe,
    arch: flags.arch,
    env: process.env,
    varsFile: flags.vars,
    iso: flags.iso,
    ...(flags.source === undefined ? {} : { source: flags.source }),
    ...(flags.format === undefined ? {} : { filetypes: flags.format }),
    ...(flags.set === undefined ? {} : { set: flags.set }),
  };
}
