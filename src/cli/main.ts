#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { UsageError } from '../errors.ts';
import { packageVersion } from '../host/built-module.ts';
import { commandOf, globalOptions, type Verb } from './command.ts';
import { attachVerb } from './commands/attach.ts';
import { benchVerb } from './commands/bench.ts';
import { buildVerb } from './commands/build.ts';
import { initVerb, list, planVerb, show } from './commands/catalogue.ts';
import { debugVerb } from './commands/debug.ts';
import { doctorVerb } from './commands/doctor.ts';
import { inspectVerb } from './commands/inspect.ts';
import { packVerb } from './commands/pack.ts';
import { recipeVerb } from './commands/recipe.ts';
import { rehearseVerb } from './commands/rehearse.ts';
import { seedVerb } from './commands/seed.ts';
import { streamVerb } from './commands/stream.ts';
import { uploadVerb } from './commands/upload.ts';
import { verifyVerb } from './commands/verify.ts';
import { errorText, exitStatus } from './print-error.ts';
import { painter, screenOf } from './render/renderer.ts';

const VERBS = [
  list,
  show,
  planVerb,
  initVerb,
  buildVerb,
  recipeVerb,
  attachVerb,
  packVerb,
  inspectVerb,
  rehearseVerb,
  verifyVerb,
  uploadVerb,
  streamVerb,
  seedVerb,
  benchVerb,
  debugVerb,
  doctorVerb,
] as unknown as readonly Verb<object>[];

const EPILOGUE = `Exit status: 0 done, 2 bad usage or recipe, 3 the host lacks something, 4 source or checksum, 5 machine,
6 provisioning, 7 packing, 8 verify, 9 publish, 130 interrupted.`;

async function main(argv: readonly string[]): Promise<void> {
  const parser = globalOptions(yargs([...argv]))
    .scriptName('compose')
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
      throw (
        error ??
        new UsageError('usage', `Cannot run this command: ${message}`, {
          hint: 'compose --help, or compose <command> --help, shows what there is.',
        })
      );
    });
  for (const verb of VERBS) parser.command(commandOf(verb));
  await parser.parseAsync();
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
