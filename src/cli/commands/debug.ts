import type { Argv } from 'yargs';
import { UsageError } from '../../errors.ts';
import type { GuestSession } from '../../guest/session.ts';
import type { AcceleratorPolicy } from '../../machine/accelerator.ts';
import type { GlobalOptions, Verb } from '../command.ts';
import { type ViewFlags, viewFlags, viewKind, viewTeller } from '../view-flag.ts';

interface Flags extends ViewFlags {
  readonly run: string | undefined;
  readonly discard: boolean;
  readonly accelerator: AcceleratorPolicy;
  readonly exec: string | undefined;
}

export const debugVerb: Verb<Flags> = {
  command: 'debug [run]',
  describe: 'boot the guest of a failed build again and open a shell in it',
  examples: [
    ['debug', 'the newest run'],
    ['debug 20240101T120000-debian-12-a1b2c3 --discard', 'leave the kept disk as it is'],
    ["debug --exec 'journalctl -b -p err'", 'one command instead of a shell'],
  ],
  options: (yargs) =>
    yargs
      .positional('run', { type: 'string', describe: 'run folder, or the name of one; the newest by default' })
      .options({
        discard: { type: 'boolean', default: false, describe: 'throw away what the session changes' },
        exec: {
          type: 'string',
          describe: 'run this command as root instead of a shell; its status is the exit status',
        },
        accelerator: {
          choices: ['auto', 'require', 'tcg'] as const,
          default: 'auto' as const,
          describe: 'KVM where it works; require it; or emulate',
        },
        ...viewFlags,
      }) as unknown as Argv<Flags & GlobalOptions>,
  run: async ({ run, discard, accelerator, exec, log, ...views }, context) => {
    const view = viewKind(views);
    const { debugRun } = await import('../../build/debug.ts');
    const { operatorAt } = await import('../operator.ts');
    const operator = operatorAt(process.stdin, process.stderr, context);
    if (exec === undefined && operator === undefined) {
      throw new UsageError('debug.no-terminal', 'Cannot open a shell: this is no terminal', {
        hint: "Run it at a terminal, or give it a command with --exec 'COMMAND'.",
      });
    }
    let said = { exitCode: 0, stdout: '' };
    const work = async (session: GuestSession): Promise<void> => {
      if (exec === undefined) return operator?.shell(session);
      const phase = 'exec';
      const { signal } = context;
      const onOutput = (stream: 'stdout' | 'stderr', text: string): void => {
        if (stream === 'stderr') context.emit({ type: 'output', phase, stream, text });
      };
      said = await session.exec(exec, { signal, onOutput });
    };
    const onView = await viewTeller({ log }, process.stderr, context);
    const result = await debugRun({ run, discard, accelerator, view, onView, work }, context);
    const text = exec === undefined ? `run: ${result.runDir} (changes ${result.changes})` : said.stdout.trimEnd();
    const exitCode = said.exitCode < 0 ? 6 : said.exitCode;
    return { data: { ...result, exitCode: said.exitCode }, text, ...(exitCode === 0 ? {} : { exitCode }) };
  },
};
