/** The answers of an installer as texts: read from files, taken from the recipe, or generated. */
import { readFileSync } from 'node:fs';
import { RecipeError } from '../errors.ts';
import { checkAnswers, type SeedKind, type SeedMember, seedVolume } from '../seed/volume.ts';
import { type AnswerInputs, type AnswerLanguage, customFlag } from './answer-inputs.ts';
import type { InstallerSource } from './installer-schema.ts';
import { archValues, interpolate } from './variables.ts';

/** Answers of one way to the installer; texts are whole but for `${answers_url}`. */
export interface PlannedAnswers {
  readonly on: SeedKind | 'initrd' | 'http';
  readonly label?: string;
  readonly files: readonly { readonly path: string; readonly content: string }[];
}

/** What an operator adds to generated answers, and the language it is in. */
export interface CustomAnswers {
  readonly language: AnswerLanguage;
  /** Path on this host. */
  readonly file: string;
}

/** What stands for the address of the answers until the server is there; a recipe's texts may hold it. */
export const ANSWERS_URL = '${answers_url}';

/** What stands for the name of the medium's volume until the medium is there; a command line may hold it. */
export const VOLUME = '${volume}';

/** Without an instance cloud-init takes a volume for no seed. */
const META_DATA = 'instance-id: compose-install\n';

/** @throws RecipeError `installer.answers`, and those of `seedVolume` */
export function planAnswers(source: InstallerSource, inputs: AnswerInputs): PlannedAnswers[] {
  return source.answers.map((one) => readAnswers(one, inputs));
}

/** Whether answers of `source` are generated, by a recipe that is code. */
export function isGenerated(source: Pick<InstallerSource, 'answers'>): boolean {
  return source.answers.some(({ files }) => Object.values(files).some((given) => typeof given === 'function'));
}

/**
 * The operator's additions as text.
 * @throws RecipeError `recipe.custom` for the language of another installer, and answers that take none
 */
export function customText(source: InstallerSource, custom: CustomAnswers, recipe: string): string {
  const { language } = source;
  const flag = customFlag(custom.language);
  const refused = (why: string, hint: string): RecipeError =>
    new RecipeError('recipe.custom', `Cannot use ${flag} with ${recipe}: ${why}`, { hint });
  if (!isGenerated(source)) {
    throw refused('its answers are files of its own', 'Write what is to be added into those files.');
  }
  if (language !== custom.language) {
    const right = language === undefined ? 'Leave it out.' : `Use ${customFlag(language)} FILE.`;
    throw refused(`its installer reads ${language ?? 'no language that is known'}`, right);
  }
  return textOf(custom.file, recipe);
}

function readAnswers({ on, label, files }: InstallerSource['answers'][number], inputs: AnswerInputs): PlannedAnswers {
  const { recipe, values, arch } = inputs;
  const known = { ...values, ...archValues(arch), answers_url: ANSWERS_URL };
  const read = Object.entries(files).map(([path, given]) => {
    if (typeof given === 'function') return { path, content: given(inputs) };
    if (typeof given !== 'string') return { path, content: given.text };
    return { path, content: interpolate(textOf(given, recipe), known, `${given} of ${recipe}`) };
  });
  const cloud = /^(nocloud|autoinstall)/.test(on);
  if (cloud && !read.some(({ path }) => path === 'meta-data')) read.push({ path: 'meta-data', content: META_DATA });
  const members: SeedMember[] = read.map(({ path, content }) => ({ path, content: Buffer.from(content) }));
  if (on === 'initrd' || on === 'http') checkAnswers(members);
  else seedVolume(on, members, { label });
  return { on, ...(label !== undefined && { label }), files: read };
}

function textOf(file: string, recipe: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    const why = cause instanceof TypeError ? 'it is no UTF-8 text' : (cause as Error).message;
    throw new RecipeError('installer.answers', `Cannot read the answers ${file} of ${recipe}: ${why}`, { cause });
  }
}
