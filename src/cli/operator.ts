/** The person at this terminal: questions, pauses, shells. */
import { createInterface } from 'node:readline/promises';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Choice, Operator } from '../build/on-error.ts';
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
  const question = async (text: string): Promise<string> => {
    const line = createInterface({ input, output });
    // A terminal that goes away ends the question, not the process.
    const closed = new Promise<string>((resolve) => line.once('close', () => resolve('')));
    // In raw mode Ctrl-C is a key; readline turns it into this.
    line.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    try {
      return await Promise.race([line.question(text, { signal: context.signal }), closed]);
    } finally {
      line.close();
    }
  };
  return {
    choose: (failed, error, choices) =>
      alone(async () => {
        output.write(`${scrub(errorText(error, paint, false))}\n${failed} failed. What now?\n`);
        for (const choice of choices) output.write(`  ${paint('bold', choice)}: ${MEANING[choice]}\n`);
        for (let round = 0; round < 20; round++) {
          const answer = (await question(`${choices.join(', ')}? `)).trim().toLowerCase();
          const found = answer === '' ? undefined : choices.find((choice) => choice.startsWith(answer));
          if (found !== undefined) return found;
          context.signal.throwIfAborted();
        }
        return 'keep';
      }),
    shell: (session) =>
      alone(async () => {
        output.write('A root shell in the guest. Leave it with exit.\n');
        await openTerminal(session, { input, output }, context.signal);
      }),
    pause: (lines) =>
      alone(async () => {
        output.write(`${lines.map((line) => scrub(line)).join('\n')}\n`);
        await question('Enter goes on. ');
        context.signal.throwIfAborted();
      }),
  };
}
