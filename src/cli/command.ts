import type { Argv, CommandModule } from 'yargs';
import { scrub, scrubbed, UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { abortOnSignals } from '../host/signals.ts';
import { ndjsonRenderer } from './render/ndjson.ts';
import { plainRenderer } from './render/plain.ts';
import { type LogStyle, type Renderer, type Screen, screenOf } from './render/renderer.ts';
import { ttyRenderer } from './render/tty.ts';

/** Options every verb has. */
export interface GlobalOptions {
  readonly log: LogStyle | undefined;
  readonly verbose: boolean;
  readonly json: boolean;
  readonly debug: boolean;
}

/** What a verb answers: the data for `--json`, its text for a person, and an exit status other than 0. */
export interface Answer {
  readonly data: unknown;
  /** For `--json` in place of the data: JSON lines, one value each. */
  readonly lines?: readonly unknown[];
  readonly text: string;
  readonly exitCode?: number;
}

export interface Verb<O> {
  readonly command: string;
  readonly describe: string;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly options: (yargs: Argv<GlobalOptions>) => Argv<O & GlobalOptions>;
  /**
   * Loads what it needs by `import()`, so that no verb waits for the libraries of another, calls it, and turns its result into text; it neither prints nor exits.
   */
  readonly run: (options: O & GlobalOptions, context: Context) => Promise<Answer>;
}

export function globalOptions<T>(yargs: Argv<T>): Argv<T & GlobalOptions> {
  return yargs.options({
    log: {
      choices: ['tty', 'plain', 'ndjson'] as const,
      describe: 'how progress is told on standard error; tty on a terminal, else plain',
      global: true,
    },
    verbose: { type: 'boolean', default: false, describe: 'also show guest output and debug lines' },
    json: { type: 'boolean', default: false, describe: 'print the result as JSON on standard output' },
    debug: { type: 'boolean', default: false, describe: 'add the stack to an error' },
  }) as Argv<T & GlobalOptions>;
}

function rendererFor(options: GlobalOptions, screen: Screen): Renderer {
  const style = options.log ?? (process.stderr.isTTY ? 'tty' : 'plain');
  if (style === 'ndjson') return ndjsonRenderer(screen);
  const { verbose } = options;
  return style === 'tty' ? ttyRenderer(screen, { verbose }) : plainRenderer(screen, { verbose });
}

/** A yargs command for `verb`: signals end it, events are rendered, the answer is printed once it is whole. */
export function commandOf<O>(verb: Verb<O>): CommandModule<GlobalOptions, O & GlobalOptions> {
  return {
    command: verb.command,
    describe: verb.describe,
    builder: (yargs) => {
      const built = verb.options(yargs);
      for (const [command, what] of verb.examples) built.example(`$0 ${command}`, what);
      return strictValues(built);
    },
    handler: async (options) => {
      const screen = screenOf(process.stderr);
      const renderer = rendererFor(options, screen);
      using signals = abortOnSignals();
      let answer: Answer;
      try {
        answer = await verb.run(options as unknown as O & GlobalOptions, {
          emit: (event) => renderer.event(event),
          signal: signals.signal,
        });
      } finally {
        renderer.close();
      }
      const out = options.json ? jsonOf(answer) : scrub(answer.text);
      if (out) process.stdout.write(`${out}\n`);
      if (answer.exitCode !== undefined) process.exitCode = answer.exitCode;
    },
  };
}

/** What yargs knows of the options that were declared; its types leave it out. */
interface Declared {
  readonly array: readonly string[];
  readonly string: readonly string[];
  readonly number: readonly string[];
  readonly choices: Readonly<Record<string, unknown>>;
}

/**
 * An option that takes a value has one, and one only, and a number where it takes one: yargs would give a verb none, a list that
 * it does not expect, NaN, or 0 of nothing.
 */
function strictValues<T>(yargs: Argv<T>): Argv<T> {
  const { array, string, number, choices } = (yargs as unknown as { getOptions(): Declared }).getOptions();
  const single = [...string, ...number, ...Object.keys(choices)].filter((name) => !array.includes(name));
  return yargs.requiresArg(single).check((argv) => {
    const twice = single.find((name) => Array.isArray(argv[name]));
    if (twice !== undefined) {
      throw new UsageError('usage', `Cannot run this command: --${twice} is given more than once`, {
        hint: 'Leave one of them out.',
      });
    }
    const word = number.find((name) => Number.isNaN(argv[name]) || isEmptied(name, process.argv));
    if (word === undefined) return true;
    throw new UsageError('usage', `Cannot run this command: what --${word} is given is no number`, {
      hint: `Write digits, as in --${word} 2.`,
    });
  });
}

/** True where the parser makes 0 of nothing: `--level "$UNSET"`, `--level=`, `--no-level`. */
function isEmptied(name: string, words: readonly string[]): boolean {
  const flag = `--${name}`;
  return words.some(
    (word, at) => word === `${flag}=` || word === `--no-${name}` || (word === flag && words[at + 1] === ''),
  );
}

function jsonOf({ data, lines }: Answer): string {
  if (lines === undefined) return JSON.stringify(data, scrubbed, 2);
  return lines.map((line) => JSON.stringify(line, scrubbed)).join('\n');
}
