/** Answer files that are right before anything boots: one door for all languages. */
import { checkAgamaText } from './agama/check.ts';
import { checkAutoinstallText } from './autoinstall/check.ts';
import { checkAutoyastText } from './autoyast/check.ts';
import { checkCloudConfigText } from './cloud-config/check.ts';
import { checkKickstartText } from './kickstart/check.ts';
import { checkPreseedText } from './preseed/check.ts';
import type { AnswerProblem, AnswerTarget, CheckedLanguage } from './problem.ts';

export type { AnswerProblem, AnswerTarget, CheckedLanguage } from './problem.ts';
export { CHECKED_LANGUAGES } from './problem.ts';

type Check = (text: string, target: AnswerTarget, fragment: boolean) => readonly AnswerProblem[];

const CHECKS: Readonly<Record<CheckedLanguage, Check>> = {
  kickstart: checkKickstartText,
  preseed: checkPreseedText,
  autoinstall: checkAutoinstallText,
  'cloud-config': checkCloudConfigText,
  autoyast: checkAutoyastText,
  agama: checkAgamaText,
};

/** Longer than any answer file by far. */
const LONGEST = 4 * 1024 * 1024;

/**
 * What is wrong with an answer file, by line; nothing where it is right. Never throws, whatever the text is.
 * @param options.fragment an operator's addition to a whole file: what a file must have need not be in it
 */
export function checkAnswerText(
  language: CheckedLanguage,
  text: string,
  target: AnswerTarget,
  { fragment = false }: { readonly fragment?: boolean } = {},
): readonly AnswerProblem[] {
  const whole = (rule: string, message: string): AnswerProblem[] => [
    { line: 1, severity: 'error', code: `${language}.${rule}`, message },
  ];
  if (text.length > LONGEST) return whole('too-long', 'it is longer than 4 MiB');
  const zero = text.indexOf('\0');
  if (zero >= 0) return whole('binary', 'it holds a zero byte: it is no text');
  return CHECKS[language](text, target, fragment);
}

/** The language an installer of `family` and `version` reads; undefined where none is known. */
export function languageOf({ family, version }: AnswerTarget): CheckedLanguage | undefined {
  if (['el', 'rhel', 'centos', 'almalinux', 'rocky', 'ol', 'fedora', 'openeuler'].includes(family)) return 'kickstart';
  if (family === 'debian') return 'preseed';
  if (family === 'ubuntu') return 'autoinstall';
  if (family === 'sles' || family === 'opensuse') return Number.parseInt(version, 10) >= 16 ? 'agama' : 'autoyast';
  return undefined;
}
