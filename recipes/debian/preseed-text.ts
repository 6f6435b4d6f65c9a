/** Preseed files as text: one answer a line, `owner question type value` (debian-installer's manual, appendix B.3). */
import { RecipeError } from '../../src/errors.ts';

export interface Answer {
  /** Package that asks: `d-i`, or one that is installed. */
  readonly owner: string;
  readonly question: string;
  readonly type: 'string' | 'boolean' | 'select' | 'multiselect' | 'password' | 'note';
  readonly value: string;
}

/** A part of an operator's file: an answer with the lines it is written on, or lines between answers. */
interface Piece {
  readonly question: string | undefined;
  readonly value: string;
  readonly lines: readonly string[];
}

/** An operator adds to this question and does not replace it: an image without cloud-init could not be logged in to. */
const LISTS = new Set(['pkgsel/include']);

/**
 * The answers as a file, with those of `custom`, an operator's preseed file: its answer to a question takes the place of
 * ours, other lines follow behind, as they are.
 * @throws RecipeError `installer.answers` for a value that no line can hold
 */
export function preseedText(answers: readonly Answer[], custom: string | undefined): string {
  const given = custom === undefined ? [] : pieces(custom);
  const own = new Map(answers.map((answer) => [answer.question, answer]));
  const replacing = (question: string): readonly Piece[] =>
    LISTS.has(question) ? [] : given.filter((piece) => piece.question === question);
  const lines = answers.flatMap((answer) => {
    const theirs = replacing(answer.question);
    return theirs.length > 0 ? theirs.flatMap((piece) => piece.lines) : [line(joined(answer, given))];
  });
  const added = given.filter(({ question }) => question === undefined || !own.has(question));
  const more = added.flatMap((piece) => piece.lines);
  return `${[...lines, ...(more.length > 0 ? ['# From --custom-preseed', ...more] : [])].join('\n')}\n`;
}

function joined(answer: Answer, given: readonly Piece[]): Answer {
  if (!LISTS.has(answer.question)) return answer;
  const more = given.filter(({ question }) => question === answer.question).flatMap(({ value }) => value.split(/\s+/));
  return { ...answer, value: [...new Set([...answer.value.split(' '), ...more])].filter(Boolean).join(' ') };
}

function line({ owner, question, type, value }: Answer): string {
  if (/[\n\r\0]/.test(value) || value.endsWith('\\') || value !== value.trim()) {
    throw new RecipeError(
      'installer.answers',
      `Cannot preseed ${question}: no line of a preseed file can hold its value (${JSON.stringify(value)})`,
      { hint: 'A value is one line, without blanks around it and without a backslash at its end.' },
    );
  }
  return `${owner} ${question} ${type} ${value}`.trimEnd();
}

/** Takes a file apart; a backslash at the end of a line joins the next one to it. */
function pieces(text: string): Piece[] {
  const all: Piece[] = [];
  const rest = text.replaceAll('\r\n', '\n').replace(/\n+$/, '').split('\n');
  for (let first = rest.shift(); first !== undefined; first = rest.shift()) {
    const lines = [first];
    while (lines.at(-1)?.endsWith('\\') && rest.length > 0) lines.push(rest.shift() ?? '');
    const whole = lines.map((one) => one.replace(/\\$/, '')).join('');
    const match = /^\s*[^\s#]\S*\s+(\S+)\s+(\S+)\s*(.*)$/.exec(whole);
    all.push({ question: match?.[1], value: match?.[3]?.trim() ?? '', lines });
  }
  return all;
}
