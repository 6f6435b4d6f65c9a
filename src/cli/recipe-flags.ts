import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { UsageError } from '../errors.ts';
import { ANSWER_LANGUAGES, type AnswerLanguage, customFlag } from '../recipe/answer-inputs.ts';
import type { PlanOptions } from '../recipe/plan.ts';
import type { GlobalOptions } from './command.ts';

/** Flags of the verbs that take a recipe. */
export interface RecipeFlags extends CustomFlags {
  readonly recipe: string;
  readonly arch: string;
  readonly source: string | undefined;
  readonly iso: string | undefined;
  readonly image: string | undefined;
  readonly format: string[] | undefined;
  readonly set: string[] | undefined;
  readonly vars: string | undefined;
  readonly layout: string | undefined;
  readonly 'add-user': string[] | undefined;
  readonly script: string[] | undefined;
  readonly cpus: number | undefined;
  readonly memory: string | undefined;
}

type CustomFlags = { readonly [K in `custom-${AnswerLanguage}`]: string | undefined };

const CUSTOM = (language: AnswerLanguage) =>
  ({ type: 'string', describe: `file with ${language} of your own, added to the generated answers` }) as const;

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
      image: { type: 'string', describe: 'cloud image, a qcow2 file, for --source cloudimg' },
      layout: { type: 'string', describe: 'variant of the recipe, of those "compose show" lists' },
      format: { type: 'string', array: true, nargs: 1, describe: 'MAAS filetypes, comma-separated: tgz,ddgz' },
      set: { type: 'string', array: true, nargs: 1, describe: 'key=value for a variable of the recipe' },
      vars: { type: 'string', describe: 'YAML or JSON file with variables' },
      'add-user': {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'account of the image, with a file of public keys: ops:./ops.pub',
      },
      script: { type: 'string', array: true, nargs: 1, describe: 'file to run in the guest after the steps' },
      cpus: { type: 'number', describe: "processors of the guest, in place of the recipe's" },
      memory: { type: 'string', describe: "memory of the guest, in place of the recipe's: 4G" },
      ...Object.fromEntries(ANSWER_LANGUAGES.map((language) => [`custom-${language}`, CUSTOM(language)])),
    }) as Argv<RecipeFlags & GlobalOptions>;
}

export function planOptions(flags: RecipeFlags): PlanOptions {
  return {
    recipe: flags.recipe,
    arch: flags.arch,
    env: process.env,
    varsFile: flags.vars,
    iso: flags.iso,
    image: flags.image,
    layout: flags.layout,
    machine: { cpus: flags.cpus, memory: flags.memory },
    custom: customOf(flags),
    users: (flags['add-user'] ?? []).map(userOf),
    scripts: flags.script ?? [],
    ...(flags.source === undefined ? {} : { source: flags.source }),
    ...(flags.format === undefined ? {} : { filetypes: flags.format }),
    ...(flags.set === undefined ? {} : { set: flags.set }),
  };
}

function userOf(text: string): { name: string; keys: string[] } {
  const [, name = '', file] = /^([^:]+)(?::(.+))?$/.exec(text) ?? [];
  if (name !== '') return { name, keys: file === undefined ? [] : [resolve(file)] };
  throw new UsageError('usage', `Cannot add the user "${text}": it has no name`, {
    hint: 'Write --add-user NAME:FILE.',
  });
}

function customOf(flags: CustomFlags): PlanOptions['custom'] {
  const given = ANSWER_LANGUAGES.flatMap((language) => {
    const file = flags[`custom-${language}`];
    return file === undefined ? [] : [{ language, file }];
  });
  if (given.length <= 1) return given[0];
  const names = given.map(({ language }) => customFlag(language)).join(' and ');
  throw new UsageError('usage', `Cannot use ${names} together: an installer reads answers in one language`, {
    hint: 'compose show RECIPE says which.',
  });
}
