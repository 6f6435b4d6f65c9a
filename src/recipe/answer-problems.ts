/** The answers of a plan held against the rules of the installer that will read them. */
import type { CheckedLanguage } from '../answers/check.ts';
import { type AnswerProblem, type AnswerTarget, checkAnswerText } from '../answers/check.ts';
import { RecipeError } from '../errors.ts';
import type { CustomAnswers, PlannedAnswers } from './planned-answers.ts';

/** A problem, and the file that has it. */
export interface FileProblem extends AnswerProblem {
  /** Path on this host, or the name on the medium of what is generated. */
  readonly file: string;
}

/** Names of files in each language; other files beside them are not looked at. */
const NAMES: Readonly<Record<CheckedLanguage, RegExp>> = {
  kickstart: /\.(ks|cfg)$/i,
  preseed: /(\.cfg|\.preseed|\.txt)$/i,
  autoinstall: /(^|\/)(user-data|autoinstall\.ya?ml)$/,
  'cloud-config': /(^|\/)user-data$/,
  autoyast: /\.xml$/i,
  agama: /\.jsonnet$|\.json$/i,
};

interface Planned {
  readonly answers: readonly PlannedAnswers[];
  readonly language: CheckedLanguage | undefined;
  readonly target: AnswerTarget;
  /** Where a file of answers comes from, by its name on the medium; undefined for what is generated. */
  readonly from: (name: string) => string | undefined;
}

/** What is wrong with the answer files of a plan. User data of a live system is checked whatever its installer reads. */
export function answerProblems({ answers, language, target, from }: Planned): FileProblem[] {
  return answers.flatMap(({ on, files }) => {
    const own = on.startsWith('nocloud') ? 'cloud-config' : language;
    if (own === undefined) return [];
    return files
      .filter(({ path }) => NAMES[own].test(path))
      .flatMap(({ path, content }) =>
        checkAnswerText(own, content, target).map((problem) => ({ file: from(path) ?? path, ...problem })),
      );
  });
}

/** What is wrong with an operator's additions by themselves. */
export function customProblems(text: string, { language, file }: CustomAnswers, target: AnswerTarget): FileProblem[] {
  return checkAnswerText(language, text, target, { fragment: true }).map((problem) => ({ file, ...problem }));
}

/** `file:line:column: error what`, with the hint behind it. */
export function problemLine({ file, line, column, severity, code, message, hint }: FileProblem): string {
  const place = column === undefined ? `${file}:${line}` : `${file}:${line}:${column}`;
  return `${place}: ${severity} ${message} [${code}]${hint === undefined ? '' : `. ${hint}`}`;
}

/** @throws RecipeError `answers.invalid` where there are errors among `problems` */
export function refuseErrors(problems: readonly FileProblem[], recipe: string): void {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return;
  const more = errors.length > 1 ? `, and ${errors.length - 1} more` : '';
  const place = `${first.file}:${first.line}`;
  throw new RecipeError('answers.invalid', `Cannot plan ${recipe}: ${place}: ${first.message}${more}`, {
    hint: first.hint ?? 'compose recipe check tells of warnings as well; docs/answers.md has the rules.',
    evidence: { problems: errors.slice(0, 20).map(problemLine) },
  });
}
