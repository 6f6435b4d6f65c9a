#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { UsageError } from '../errors.ts';
import { packageVersion } from '../host/built-module.ts';
import { commandOf, globalOptions, type Verb } from './command.ts';
import { errorText, exitStatus } from './print-error.ts';
import { painter, screenOf } from './render/renderer.ts';

/** The verbs in the order of the help, each in a module of its own: a hundred modules are not loaded for one verb. */
const VERBS: Readonly<Record<string, () => Promise<unknown>>> = {
  list: async () => (await import('./commands/catalogue.ts')).list,
  show: async () => (await import('./commands/catalogue.ts')).show,
  plan: async () => (await import('./commands/catalogue.ts')).planVerb,
  init: async () => (await import('./commands/catalogue.ts')).initVerb,
  build: async () => (await import('./commands/build.ts')).buildVerb,
  recipe: async () => (await import('./commands/recipe.ts')).recipeVerb,
  attach: async () => (await import('./commands/attach.ts')).attachVerb,
  pack: async () => (await import('./commands/pack.ts')).packVerb,
  inspect: async () => (await import('./commands/inspect.ts')).inspectVerb,
  rehearse: async () => (await import('./commands/rehearse.ts')).rehearseVerb,
  verify: async () => (await import('./commands/verify.ts')).verifyVerb,
  upload: async () => (await import('./commands/upload.ts')).uploadVerb,
  stream: async () => (await import('./commands/stream.ts')).streamVerb,
  seed: async () => (await import('./commands/seed.ts')).seedVerb,
  bench: async () => (await import('./commands/bench.ts')).benchVerb,
  debug: async () => (await import('./commands/debug.ts')).debugVerb,
  doctor: async () => (await import('./commands/doctor.ts')).doctorVerb,
};

/** The verb that is named first; all of them where none is, for the help and for whatever is mistyped. */
async function verbsOf(first: string | undefined): Promise<readonly Verb<object>[]> {
  const loads = first !== undefined && Object.hasOwn(VERBS, first) ? [VERBS[first]] : Object.values(VERBS);
  return (await Promise.all(loads.map((load) => load?.()))) as readonly Verb<object>[];
}

const EPILOGUE = `Exit status: 0 done, 2 bad usage or recipe, 3 the host lacks something, 4 source or checksum, 5 machine,
6 provisioning, 7 packing, 8 verify, 9 publish, 130 interrupted.`;

/** What is said in place of words that only a programmer of yargs understands. */
const MISSING = 'an argument is missing (%s given, %s needed)';
const WORDS = {
  'Not enough non-option arguments: got %s, need at least %s': { one: MISSING, other: MISSING },
  'Not enough arguments following: %s': '--%s needs a value',
};

async function main(argv: readonly string[]): Promise<void> {
  const parser = globalOptions(yargs([...argv]))
    .scriptName('compose')
    // Else the parser's own words are in the language of the host, among ours.
    .locale('en')
    // Its types know of no words with a plural.
    .updateStrings(WORDS as object as Record<string, string>)
    .usage('$0 <command>\n\nComposes operating-system images for bare metal.')
    .version(packageVersion())
    .strict()
    .demandCommand(1, 'Name a command.')
    .recommendCommands()
    .wrap(Math.min(120, process.stdout.columns ?? 100))
    .epilogue(EPILOGUE)
    .completion('completion', 'print a script for shell completion', complete(argv) as never)
    .exitProcess(false)
    .fail((message, error) => {
      // Of the words themselves, such as a flag at the end that takes a value: no message, but an error of the parser's own.
      if (error !== undefined && error.name !== 'YError') throw error;
      throw new UsageError('usage', `Cannot run this command: ${message ?? error?.message}`, {
        hint: 'compose --help, or compose <command> --help, shows what there is.',
      });
    });
  keepNoHelp(parser);
  for (const verb of await verbsOf(argv[0])) parser.command(commandOf(verb));
  await parser.parseAsync();
}

/** What yargs has inside; its types leave it out. */
interface Inside {
  getInternalMethods(): { getUsageInstance(): { cacheHelpMessage(): void } };
}

/**
 * When a verb has begun, yargs composes its help, in case somebody asks the parser for it later. Nobody does, and it keeps the
 * verb from going on for 35 ms, a tenth of what it takes to the first chunk that is compressed.
 */
function keepNoHelp(parser: unknown): void {
  (parser as Inside).getInternalMethods().getUsageInstance().cacheHelpMessage = () => {};
}

type Done = (words: readonly string[]) => void;
type Defaults = (then: (error: Error | null, words: readonly string[] | undefined) => void) => void;

/** yargs knows verbs and flags; behind a verb that takes a recipe the catalogue's names are offered as well. */
function complete(argv: readonly string[]) {
  return (current: string, _: unknown, defaults: Defaults, done: Done): void => {
    defaults(async (_error, words = []) => {
      const takes = TAKES_RECIPE.has(argv.at(-2) ?? '');
      const names = takes ? (await import('../recipe/catalogue.ts')).catalogueNames() : [];
      done([...names.filter((name) => name.startsWith(current)), ...words]);
    });
  };
}

const TAKES_RECIPE = new Set(['show', 'plan', 'build', 'doctor', 'check']);

// Whoever reads has had enough (`compose plan --all --json | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

try {
  await main(hideBin(process.argv));
} catch (error) {
  const debug = process.argv.includes('--debug');
  process.stderr.write(`${errorText(error, painter(screenOf(process.stderr).color), debug)}\n`);
  process.exitCode = exitStatus(error);
}
