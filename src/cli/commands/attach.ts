import type { Argv } from 'yargs';
import { LAYOUTS } from '../../machine/keys-layouts.ts';
import type { AttachFlags } from '../attach-run.ts';
import type { GlobalOptions, Verb } from '../command.ts';

export const attachVerb: Verb<AttachFlags> = {
  command: 'attach [run]',
  describe: "a running machine's screen and serial console in this terminal; what is typed goes to the guest",
  examples: [
    ['attach', 'the machine that runs; Ctrl-] leaves it'],
    ['attach debian-12 --screenshot now.png', 'one picture of its screen'],
    ['attach --keys "<esc><wait:login:>root<enter>"', "type as Packer's boot_command does, each key seen to arrive"],
    ['attach --serial', 'follow the serial console'],
  ],
  options: (yargs) =>
    yargs.positional('run', { type: 'string', describe: 'a run folder, its name, or the name of the recipe' }).options({
      screenshot: { type: 'string', describe: 'write the screen to this PNG file and end' },
      serial: { type: 'boolean', default: false, describe: 'follow the serial console only; Ctrl-C ends it' },
      keys: { type: 'string', describe: 'type this and end' },
      layout: { choices: LAYOUTS, default: 'us' as const, describe: "the guest's keyboard layout" },
    }) as unknown as Argv<AttachFlags & GlobalOptions>,
  run: async (flags, context) => {
    const { attachAs } = await import('../attach-run.ts');
    return attachAs(flags, context);
  },
};
