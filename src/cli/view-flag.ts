/** `--view`: the guest's screen for a VNC viewer. */
import type { Writable } from 'node:stream';
import type { Options } from 'yargs';
import { UsageError } from '../errors.ts';
import { type Context, EVENT_VERSION } from '../events.ts';
import type { View, ViewKind } from '../machine/view.ts';
import type { GlobalOptions } from './command.ts';

const KINDS: readonly ViewKind[] = ['socket', 'port'];

export const viewFlag = {
  type: 'string',
  describe: "open the guest's screen to one VNC viewer, on a socket of yours; --view=port: on a loopback port",
} as const satisfies Options;

/** What `--view` says. Not as yargs' own choices, which know no flag with a value or none. @throws UsageError `view.kind` */
export function viewKind(value: string | undefined): ViewKind | undefined {
  if (value === undefined) return undefined;
  const kind = value === '' ? 'socket' : KINDS.find((one) => one === value);
  if (kind !== undefined) return kind;
  throw new UsageError('view.kind', `Cannot open a view: there is none of the kind "${value}"`, {
    hint: 'Use --view or --view=port; --view alone comes last, or another flag after it.',
  });
}

/**
 * Writes how to look to `output`. Not as an event: the password is masked in those, and in every log. It is for the person,
 * or with `--log ndjson` the program, that asked for the view.
 */
export async function viewTeller(
  { log }: Pick<GlobalOptions, 'log'>,
  output: Writable,
  context: Context,
): Promise<(view: Pick<View, 'address' | 'password'>) => void> {
  const { viewerCommand } = await import('../machine/view.ts');
  return ({ address, password }) => {
    const command = viewerCommand(address);
    if (log === 'ndjson') {
      const event = { v: EVENT_VERSION, time: new Date().toISOString(), type: 'view', address, password, command };
      output.write(`${JSON.stringify(event)}\n`);
      return;
    }
    context.emit({ type: 'terminal', state: 'taken' });
    output.write(`To look at the screen: ${command}\n  password ${password}, good once, within an hour\n`);
    context.emit({ type: 'terminal', state: 'free' });
  };
}
