/** Reads the tables of kickstart commands: their compact form and what becomes of it. */
import { ReleaseRange } from './release.ts';

/** What follows an option: nothing, a text, a whole number, yes or no, a text or nothing, or one of some words. */
export type ValueKind = 'none' | 'text' | 'number' | 'boolean' | 'optional' | readonly string[];

export interface OptionSpec {
  /** `--fstype`; the first is its proper name. */
  readonly names: readonly string[];
  readonly value: ValueKind;
  readonly required: boolean;
  readonly releases: ReleaseRange;
  /** Still taken, with a warning. */
  readonly deprecated: boolean;
}

/** How many words that are no options: none, exactly one, at most one, any number, at least one; `free`: nothing is looked at. */
export type Positional = 'none' | 'two' | 'one' | 'optional' | 'any' | 'some' | 'free';

export interface CommandSpec {
  readonly names: readonly string[];
  readonly releases: ReleaseRange;
  readonly deprecated: ReleaseRange | undefined;
  readonly positional: Positional;
  readonly options: readonly OptionSpec[];
  /** What takes its place where it is gone. */
  readonly instead: string | undefined;
}

const POSITIONALS: Readonly<Record<string, Positional>> = {
  '<1>': 'one',
  '<2>': 'two',
  '<?>': 'optional',
  '<*>': 'any',
  '<+>': 'some',
  '...': 'free',
};

/**
 * A command is a line at the margin: names separated by `|`, the releases that know it, `~releases` where it is deprecated, the
 * words it takes (`<1>`, `<?>`, `<*>`, `<+>`, `...`), and `-> what to use instead`. Its options follow, indented; a line of
 * them may begin with releases, or with `~releases` where they are deprecated. `--a` takes no value, `--a=S` a text,
 * `--a=N` a number, `--a=B` yes or no, `--a=?` a text or nothing, `--a={x|y}` one of these; `!` behind it: required.
 */
export function readTable(text: string): ReadonlyMap<string, CommandSpec> {
  const commands = new Map<string, CommandSpec>();
  let options: OptionSpec[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    if (line.startsWith(' ')) {
      options.push(...readOptions(line.trim()));
      continue;
    }
    options = [];
    const [head = '', instead] = line.split(' -> ');
    const [names = '', ...rest] = head.trim().split(/\s+/);
    const spec: CommandSpec = {
      names: names.split('|'),
      releases: new ReleaseRange(rest.find((word) => /^[f\d]/.test(word)) ?? ''),
      deprecated: rangeOrNothing(rest.find((word) => word.startsWith('~'))),
      positional: POSITIONALS[rest.find((word) => word in POSITIONALS) ?? ''] ?? 'none',
      options,
      instead,
    };
    for (const name of spec.names) commands.set(name, spec);
  }
  return commands;
}

function rangeOrNothing(text: string | undefined): ReleaseRange | undefined {
  return text === undefined ? undefined : new ReleaseRange(text.slice(1));
}

function readOptions(line: string): OptionSpec[] {
  const words = line.split(/\s+/);
  const range = words[0]?.startsWith('--') ? '' : (words.shift() ?? '');
  const releases = new ReleaseRange(range.replace('~', ''));
  return words.map((word) => {
    const [names = '', value] = word.replace(/!$/, '').split('=');
    return {
      names: names.split('/').map((name, index) => (index === 0 ? name : `--${name}`)),
      value: readValue(value),
      required: word.endsWith('!'),
      releases,
      deprecated: range.startsWith('~'),
    };
  });
}

function readValue(value: string | undefined): ValueKind {
  if (value === undefined) return 'none';
  if (value.startsWith('{')) return value.slice(1, -1).split('|');
  return ({ S: 'text', N: 'number', B: 'boolean', '?': 'optional' } as const)[value] ?? 'text';
}
