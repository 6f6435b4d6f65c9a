/** Checks a preseed file: its lines, the questions of debian-installer by their types, and what would be asked still. */
import { type AnswerProblem, type AnswerTarget, meant, Report, shown } from '../problem.ts';
import { QUESTIONS } from './questions.ts';
import { type Answer, checkNeeds } from './required.ts';
import { QUESTION_TYPES } from './types.ts';

const SHAPE = 'Each line is: owner, question, type, value, as in "d-i passwd/root-login boolean false".';
/** Questions whose answer may answer others. */
const INCLUDES = [
  'preseed/include',
  'preseed/include_command',
  'preseed/run',
  'preseed/early_command',
  'partman/early_command',
];

/** @param fragment an operator's addition to a preseed file: nothing has to be in it */
export function checkPreseedText(text: string, target: AnswerTarget, fragment = false): readonly AnswerProblem[] {
  const report = new Report('preseed');
  const answers = new Map<string, Answer>();
  const release = Number.parseInt(target.version, 10);
  for (const answer of readLines(text, report)) {
    if (report.full) return report.problems;
    checkAnswer(answer, release, report);
    if (answer.type === 'seen') continue;
    const before = answers.get(answer.name);
    if (before !== undefined && before.value !== answer.value) {
      report.warn(
        answer,
        'repeated',
        `${answer.name} has an answer in line ${before.line} already: the last one counts`,
      );
    }
    answers.set(answer.name, answer);
  }
  if (fragment) return report.problems;
  if (answers.size === 0) report.error({ line: 1 }, 'empty', 'it answers no question', SHAPE);
  else
    checkNeeds(
      answers,
      INCLUDES.some((name) => answers.has(name)),
      report,
    );
  return report.problems;
}

/** Joins lines that a backslash continues, and takes them apart (debconf-set-selections(1)). */
function* readLines(text: string, report: Report): Generator<Answer> {
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    const parts = [withoutReturn(lines[at] ?? '')];
    if (/^[ \t]*(#|$)/.test(parts[0] ?? '') && !(parts[0] ?? '').endsWith('\\')) continue;
    while (parts.at(-1)?.endsWith('\\') && at + 1 < lines.length) {
      parts.push(withoutReturn(lines[++at] ?? ''));
      if (/^\s*#/.test(parts.at(-1) ?? '') && !/^\s*#/.test(parts[0] ?? '')) {
        report.warn({ line: at + 1 }, 'comment', 'a comment in a continued line is part of its value');
      }
    }
    const whole = parts.map((part, index) => (index < parts.length - 1 ? part.slice(0, -1) : part)).join('');
    if (/^\s*(#|$)/.test(whole)) continue;
    const broken = /\\[ \t]+$/.test(whole.slice(-80));
    if (broken) {
      report.error(
        { line: at + 1 },
        'continuation',
        'blanks behind the backslash: the line ends here',
        'Take the blanks away.',
      );
    }
    const match = /^\s*(\S+)(?:\s+(\S+)(?:\s+(\S+)(?:\s(.*))?)?)?/.exec(whole);
    const [, owner = '', name = '', type = '', value = ''] = match ?? [];
    // What is left of the indentation of a continued value means nothing.
    yield {
      owner,
      name,
      type,
      value: parts.length > 1 || broken ? value.trim() : value,
      line,
      column: whole.length - whole.trimStart().length + 1,
    };
  }
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

function checkAnswer(answer: Answer, release: number, report: Report): void {
  const { owner, name, type, value } = answer;
  if (name === '' || type === '') {
    report.error(answer, 'shape', `${shown(name === '' ? owner : name)} is followed by nothing`, SHAPE);
    return;
  }
  if (!name.includes('/') && !QUESTIONS.has(name)) {
    report.error(answer, 'shape', `${shown(name)} is no question: it has no slash`, SHAPE);
    return;
  }
  if (!(QUESTION_TYPES as readonly string[]).includes(type)) {
    report.error(answer, 'type', `${shown(type)} is no type of a question`, meant(type, QUESTION_TYPES) ?? SHAPE);
    return;
  }
  checkValue(answer, report);
  const question = QUESTIONS.get(name);
  if (question === undefined) {
    if (owner !== 'd-i' || /^apt-setup\/local\d+\//.test(name)) return;
    const hint = meant(name, QUESTIONS.keys());
    report.warn(
      answer,
      'unknown-question',
      `${shown(name)} is no question of debian-installer that is known here`,
      hint,
    );
    return;
  }
  if (question.since > release) {
    report.warn(answer, 'later-question', `${name} is asked since Debian ${question.since}, not in ${release}`);
  }
  if (type !== question.type && type !== 'seen' && !interchangeable(type, question.type)) {
    report.error(answer, 'question-type', `${name} is of type ${question.type}, not ${type}`);
  } else if (question.values !== undefined && type !== 'seen' && !question.values.includes(value.trim())) {
    report.error(answer, 'value', `${name} is one of ${question.values.join(', ')}, not ${shown(value.trim())}`);
  }
}

/** A select takes a text as well: the guide itself writes some of them as strings. */
function interchangeable(given: string, known: string): boolean {
  const texts = ['string', 'select', 'multiselect'];
  return (texts.includes(given) && texts.includes(known)) || (given === 'string' && known === 'password');
}

function checkValue(answer: Answer, report: Report): void {
  const { name, type, value } = answer;
  if (type === 'boolean' || type === 'seen') {
    if (value !== 'true' && value !== 'false') {
      report.error(answer, 'boolean', `${name} is true or false, not ${shown(value)}`, near(value));
    }
  } else if (['string', 'select', 'multiselect', 'password'].includes(type)) {
    if (value !== value.trim() && value.trim() !== '') {
      report.warn(answer, 'blanks', `the value of ${name} begins or ends with blanks, which are part of it`);
    }
  }
}

function near(value: string): string | undefined {
  const plain = value.trim().toLowerCase();
  if (['true', 'yes', 'on', '1'].includes(plain)) return 'Write: true';
  return ['false', 'no', 'off', '0'].includes(plain) ? 'Write: false' : undefined;
}
