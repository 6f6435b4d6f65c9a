/** One command of a kickstart against its table. */
import { meant, type Report, shown } from '../problem.ts';
import type { Release } from './release.ts';
import { STORAGE_COMMANDS } from './storage-commands.ts';
import { SOURCE_COMMANDS, SYSTEM_COMMANDS } from './system-commands.ts';
import { type CommandSpec, type OptionSpec, readTable } from './table.ts';
import type { Word } from './words.ts';

export const COMMANDS: ReadonlyMap<string, CommandSpec> = readTable(
  STORAGE_COMMANDS + SYSTEM_COMMANDS + SOURCE_COMMANDS,
);

/** A command as it was read. */
export interface Command {
  readonly name: string;
  readonly line: number;
  readonly column: number;
  /** By the proper name of the option; the value of one without is empty. */
  readonly options: ReadonlyMap<string, string>;
  /** Words that are no options. */
  readonly words: readonly string[];
}

/**
 * The command of `words`, what is wrong with it reported; undefined where the release does not know it.
 * @param release undefined where nothing is known of the target: then only what no release knows is wrong
 */
export function readCommand(
  words: readonly Word[],
  line: number,
  release: Release | undefined,
  report: Report,
): Command | undefined {
  const [first, ...rest] = words;
  if (first === undefined) return undefined;
  const at = { line, column: first.column };
  const spec = COMMANDS.get(first.text);
  if (spec === undefined) {
    const hint = meant(first.text, COMMANDS.keys());
    report.error(at, 'unknown-command', `${shown(first.text)} is no command of a kickstart`, hint);
    return undefined;
  }
  if (release !== undefined && !spec.releases.has(release)) {
    const hint = spec.instead === undefined ? undefined : `Use instead: ${spec.instead}.`;
    report.error(
      at,
      'removed-command',
      `${first.text} is no command of ${release.name}: ${spec.releases} has it`,
      hint,
    );
    return undefined;
  }
  const command = { name: first.text, line, column: first.column };
  if (release !== undefined && spec.deprecated?.has(release)) {
    const hint = spec.instead === undefined ? undefined : `Use instead: ${spec.instead}.`;
    report.warn(at, 'deprecated-command', `${first.text} is deprecated in ${release.name}`, hint);
    // The installer reads no further either.
    return { ...command, options: new Map(), words: rest.map(({ text }) => text) };
  }
  if (spec.positional === 'free') return { ...command, options: new Map(), words: rest.map(({ text }) => text) };
  const reader = new ArgumentReader(first.text, spec.options, line, release, report);
  const read = reader.read(rest);
  checkCount(spec, read.words, { ...at, name: first.text }, report);
  for (const { names, required } of spec.options.filter(
    (option) => release === undefined || option.releases.has(release),
  )) {
    const name = names[0] ?? '';
    if (!required || read.options.has(name) || release === undefined) continue;
    report.error(at, 'missing-option', `${first.text} needs ${name}`);
  }
  return { ...command, options: read.options, words: read.words.map(({ text }) => text) };
}

function checkCount(
  { positional }: CommandSpec,
  words: readonly Word[],
  { name, ...at }: { name: string; line: number; column: number },
  report: Report,
): void {
  const [least, most] = (
    {
      none: [0, 0],
      one: [1, 1],
      two: [2, 2],
      optional: [0, 1],
      any: [0, Infinity],
      some: [1, Infinity],
      free: [0, Infinity],
    } as const
  )[positional];
  if (words.length < least) {
    const what = least === 1 ? 'a word' : `${least} words`;
    report.error(at, 'missing-argument', `${name} needs ${what} beside its options`);
  }
  const surplus = words[most];
  if (surplus === undefined) return;
  const place = { line: at.line, column: surplus.column };
  const hint =
    most === 0 ? `${name} takes options only; a value with blanks needs quotes.` : 'A value with blanks needs quotes.';
  report.error(place, 'surplus-argument', `${name} does not take ${shown(surplus.text)}`, hint);
}

/** Sorts the words behind a command or a section into options and others. */
export class ArgumentReader {
  readonly #of: string;
  readonly #known: readonly OptionSpec[];
  readonly #line: number;
  readonly #release: Release | undefined;
  readonly #report: Report;

  constructor(of: string, options: readonly OptionSpec[], line: number, release: Release | undefined, report: Report) {
    this.#of = of;
    this.#known = options;
    this.#line = line;
    this.#release = release;
    this.#report = report;
  }

  read(words: readonly Word[]): { options: Map<string, string>; words: Word[] } {
    const options = new Map<string, string>();
    const others: Word[] = [];
    for (let at = 0; at < words.length; at++) {
      const word = words[at];
      if (word === undefined || !word.text.startsWith('-') || word.text === '-') {
        if (word !== undefined) others.push(word);
        continue;
      }
      const equals = word.text.indexOf('=');
      const name = equals < 0 ? word.text : word.text.slice(0, equals);
      const option = this.#find(name, word);
      if (option === undefined) continue;
      const next = words[at + 1];
      let value = equals < 0 ? undefined : word.text.slice(equals + 1);
      if (value === undefined && option.value !== 'none' && next !== undefined && !next.text.startsWith('--')) {
        value = next.text;
        at++;
      }
      this.#checkValue(option, name, value, word);
      options.set(option.names[0] ?? name, value ?? '');
    }
    return { options, words: others };
  }

  #find(name: string, word: Word): OptionSpec | undefined {
    const at = { line: this.#line, column: word.column };
    const forms = this.#known.filter(({ names }) => names.includes(name));
    const release = this.#release;
    const option = release === undefined ? forms[0] : forms.find(({ releases }) => releases.has(release));
    if (option !== undefined) {
      if (option.deprecated && release !== undefined) {
        this.#report.warn(at, 'deprecated-option', `${this.#of} ${name} is deprecated in ${release.name}`);
      }
      return option;
    }
    if (forms.length > 0) {
      const others = [...new Set(forms.map(({ releases }) => releases.toString()))].join(', ');
      this.#report.error(at, 'removed-option', `${this.#of} has no ${name} in ${release?.name}: ${others} has it`);
      return undefined;
    }
    const names = this.#known
      .filter(({ releases }) => release === undefined || releases.has(release))
      .flatMap((one) => one.names);
    this.#report.error(at, 'unknown-option', `${this.#of} has no option ${shown(name)}`, meant(name, names));
    return undefined;
  }

  #checkValue({ value: kind }: OptionSpec, name: string, value: string | undefined, word: Word): void {
    const wrong = (why: string): void => {
      this.#report.error({ line: this.#line, column: word.column }, 'option-value', `${this.#of} ${name} ${why}`);
    };
    if (kind === 'none') {
      if (value !== undefined) wrong('takes no value');
    } else if (kind === 'optional') {
      return;
    } else if (value === undefined) {
      wrong('needs a value');
    } else if (kind === 'number') {
      if (!/^-?\d{1,18}$/.test(value)) wrong(`needs a whole number, not ${shown(value)}`);
    } else if (kind === 'boolean') {
      if (!/^(on|off|yes|no|true|false|1|0)$/i.test(value)) wrong(`needs yes or no, not ${shown(value)}`);
    } else if (kind !== 'text' && !kind.includes(value)) {
      wrong(`is one of ${kind.join(', ')}, not ${shown(value)}`);
    }
  }
}
