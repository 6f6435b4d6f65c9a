import type { Argv } from 'yargs';
import { CHECKED_LANGUAGES, type CheckedLanguage } from '../../answers/check.ts';
import type { GlobalOptions, Verb } from '../command.ts';
import { planOptions, type RecipeFlags, recipeFlags } from '../recipe-flags.ts';

type Flags = RecipeFlags & {
  readonly action: 'check';
  readonly for: string | undefined;
  readonly language: CheckedLanguage | undefined;
  readonly fragment: boolean;
};

export const recipeVerb: Verb<Flags> = {
  command: 'recipe <action> <recipe>',
  describe: "check: a recipe and its installer's answers, or an answer file by itself, by the rules of their release",
  examples: [
    ['recipe check ./rhel-9.yaml', 'the recipe, and every answer file it hands to its installer'],
    ['recipe check rocky-9 --custom-kickstart mine.ks', 'with additions of your own'],
    ['recipe check ks.cfg --for el-9', 'a kickstart for Anaconda of EL 9'],
    ['recipe check user-data --language cloud-config', "cloud-init's user data"],
  ],
  options: (yargs) =>
    recipeFlags(yargs.positional('action', { choices: ['check'] as const, demandOption: true, describe: 'what to do' }))
      .positional('recipe', { type: 'string', demandOption: true, describe: 'a recipe, or an answer file with --for' })
      .options({
        for: {
          type: 'string',
          describe: 'the installer an answer file is for: el-9, debian-12, ubuntu-24.04, sles-16',
        },
        language: { choices: CHECKED_LANGUAGES, describe: 'of an answer file; what the installer reads by default' },
        fragment: { type: 'boolean', default: false, describe: 'an answer file that is an addition to another' },
      }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags) => {
    const { checkAnswerFile, checkRecipe } = await import('../../recipe/check-recipe.ts');
    const { problemLine } = await import('../../recipe/answer-problems.ts');
    const { language, fragment, recipe: file, for: release } = flags;
    const bare = release !== undefined || language !== undefined || ANSWER_FILE.test(file);
    const checked = bare ? checkAnswerFile({ file, release, language, fragment }) : checkRecipe(planOptions(flags));
    const { problems, errors, warnings } = checked;
    const text = [
      ...problems.map(problemLine),
      `${file}: ${counted(errors, 'error')}, ${counted(warnings, 'warning')}`,
    ];
    return { data: checked, text: text.join('\n'), ...(errors > 0 && { exitCode: 2 }) };
  },
};

/** Names that no recipe has. */
const ANSWER_FILE = /\.(ks|cfg|preseed|xml|jsonnet)$|(^|\/)user-data$/;

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
