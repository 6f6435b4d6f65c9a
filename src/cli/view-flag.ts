/** `--view` and `--view-port`: the guest's screen for a VNC viewer. */
import type { Writable } from 'node:stream';
import type { Options } from 'yargs';
import { type Context, EVENT_VERSION } from '../events.ts';
import type { View, ViewKind } from '../machine/view.ts';
import type { GlobalOptions } from './command.ts';

export interface ViewFlags {
  readonly view: boolean;
  readonly 'view-port': boolean;
}

/** Two flags without a value: one with an optional value would take the recipe after it for that. */
export const viewFlags = {
  view: {
    type: 'boolean',
    default: false,
    describe: "open the guest's screen to one VNC viewer, on a socket of yours",
  },
  'view-port': { type: 'boolean', default: false, describe: 'the same on a loopback port' },
} as const satisfies Record<keyof ViewFlags, Options>;

export function viewKind(flags: ViewFlags): ViewKind | undefined {
  if (flags['view-port']) return 'port';
  return flags.view ? 'socket' : undefined;
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
