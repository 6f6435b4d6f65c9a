/** The person at this terminal: questions, pauses, shells. */
import { createInterface } from 'node:readline/promises';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Choice, Failed, Operator } from '../build/on-error.ts';
import { scrub } from '../errors.ts';
import type { Context } from '../events.ts';
import { openTerminal } from '../guest/terminal.ts';
import { errorText } from './print-error.ts';
import { painter, screenOf } from './render/renderer.ts';

const MEANING: Readonly<Record<Choice, string>> = {
  retry: 'run the step once more',
  shell: 'a shell in the guest, then this question again',
  keep: 'end the build and keep the run folder',
  clean: 'end the build and remove the run folder',
};

/** Whoever sits at `input` and `output`; undefined where that is no terminal. */
export function operatorAt(input: ReadStream, output: WriteStream, context: Context): Operator | undefined {
  if (!input.isTTY || !output.isTTY) return undefined;
  const paint = painter(screenOf(output).color);
  /** The progress leaves the terminal alone meanwhile. */
  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    context.emit({ type: 'terminal', state: 'taken' });
    try {
      return await work();
    } finally {
      context.emit({ type: 'terminal', state: 'free' });
    }
  };
  /** Asks until an answer is `taken`; a terminal that goes away ends the questions, not the process. */
  const ask = async <T>(text: string, taken: (answer: string) => T | undefined): Promise<T | undefined> => {
    // One reader for every round: one that is closed throws away the lines typed ahead of the next question.
    const reader = createInterface({ input, output, prompt: text });
    // In raw mode Ctrl-C is a key; readline turns it into this.
    reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    const close = (): void => reader.close();
    context.signal.addEventListener('abort', close, { once: true });
    try {
      context.signal.throwIfAborted();
      reader.prompt();
      for await (const line of reader) {
        const found = taken(line.trim().toLowerCase());
        if (found !== undefined) return found;
        reader.prompt();
      }
      // Nobody has ended the line of the question.
      output.write('\n');
      context.signal.throwIfAborted();
      return undefined;
    } finally {
      context.signal.removeEventListener('abort', close);
      reader.close();
    }
  };
  const show = ({ what, error, about }: Failed, question: string): void => {
    const lines = [errorText(error, paint, false), ...about.map((line) => `  ${line}`), `${what} failed.${question}`];
    output.write(`${lines.map((line) => scrub(line)).join('\n')}\n`);
  };
  return {
    choose: (failed, choices, shown) =>
      alone(async () => {
        if (!shown) {
          show(failed, ' What now?');
          for (const choice of choices) output.write(`  ${paint('bold', choice)}: ${MEANING[choice]}\n`);
        }
        const answer = await ask(`${choices.join(', ')}? `, (said) => {
          const found = said === '' ? undefined : choices.find((choice) => choice.startsWith(said));
          if (found === undefined) output.write('One of these words, or its first letter.\n');
          return found;
        });
        return answer ?? 'keep';
      }),
    shell: (session, failed) =>
      alone(async () => {
        if (failed !== undefined) show(failed, '');
        const then = failed === undefined ? '' : ', which ends the build';
        output.write(`A root shell in the guest. Leave it with exit${then}.\n`);
        await openTerminal(session, { input, output }, context.signal);
      }),
    pause: (lines) =>
      alone(async () => {
        output.write(`${lines.map((line) => scrub(line)).join('\n')}\n`);
        await ask('Enter goes on. ', () => true);
      }),
  };
}
