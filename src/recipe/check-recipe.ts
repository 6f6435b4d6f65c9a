/** Checks a recipe, or an answer file by itself, without planning to build anything. */
import { readFileSync } from 'node:fs';
import { type AnswerTarget, type CheckedLanguage, checkAnswerText, languageOf } from '../answers/check.ts';
import { RecipeError, UsageError } from '../errors.ts';
import type { FileProblem } from './answer-problems.ts';
import { type PlanOptions, plan } from './plan.ts';

export interface CheckedAnswers {
  readonly problems: readonly FileProblem[];
  readonly errors: number;
  readonly warnings: number;
}

/**
 * Plans a recipe, and tells what is wrong with the answers of its installer instead of throwing it.
 * @throws RecipeError and UsageError for whatever else cannot work
 */
export function checkRecipe(options: Omit<PlanOptions, 'onAnswerProblems' | 'mediumLater'>): CheckedAnswers {
  const problems: FileProblem[] = [];
  plan({ ...options, mediumLater: true, onAnswerProblems: (found) => problems.push(...found) });
  return counted(problems);
}

export interface AnswerFileOptions {
  /** Path on this host. */
  readonly file: string;
  /** `FAMILY-VERSION` of the installer: `el-9`. */
  readonly release: string | undefined;
  /** @default what installers of that release read */
  readonly language: CheckedLanguage | undefined;
  /** An addition to other answers, which need not have everything. */
  readonly fragment: boolean;
}

/** @throws RecipeError `answers.unreadable`; UsageError `usage` where the installer is not known */
export function checkAnswerFile({ file, release, language: given, fragment }: AnswerFileOptions): CheckedAnswers {
  const target = release === undefined ? undefined : targetOf(release);
  const language = given ?? (target === undefined ? undefined : languageOf(target));
  if (language === undefined || (target === undefined && language !== 'cloud-config')) {
    throw new UsageError('usage', `Cannot check ${file}: nothing says which installer reads it`, {
      hint: 'Add --for FAMILY-VERSION: el-9, fedora-42, debian-12, ubuntu-24.04, sles-15, opensuse-16.',
    });
  }
  const problems = checkAnswerText(language, textOf(file), target ?? { family: 'cloud-init', version: '99' }, {
    fragment,
  });
  return counted(problems.map((problem) => ({ file, ...problem })));
}

/** `opensuse-15` is family and version. */
function targetOf(release: string): AnswerTarget {
  const [, family = '', version = ''] = /^([a-z]+)-?(\d[\w.-]*)$/.exec(release) ?? [];
  if (family !== '') return { family, version };
  throw new UsageError('usage', `Cannot check for ${release}: it is no release`, { hint: 'As in: --for el-9' });
}

function textOf(file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    const why = cause instanceof TypeError ? 'it is no UTF-8 text' : (cause as Error).message;
    throw new RecipeError('answers.unreadable', `Cannot check ${file}: ${why}`, { cause });
  }
}

function counted(problems: readonly FileProblem[]): CheckedAnswers {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  return { problems, errors, warnings: problems.length - errors };
}
