import type { Argv } from 'yargs';
import type { GlobalOptions, Verb } from '../command.ts';

type Flags = {
  out: string;
  'user-data': string;
  'meta-data': string | undefined;
  'network-config': string | undefined;
  'instance-id': string | undefined;
};

export const seedVerb: Verb<Flags> = {
  command: 'seed',
  describe: 'a NoCloud seed: an ISO that cloud-init takes its answers from',
  examples: [['seed --user-data user-data.yaml --out seed.iso', 'checked before it is written']],
  options: (yargs) =>
    yargs.options({
      out: { type: 'string', demandOption: true, describe: 'the ISO to write' },
      'user-data': { type: 'string', demandOption: true, describe: 'file with the user data' },
      'meta-data': { type: 'string', describe: 'file with the meta data; instance-id and host name by default' },
      'network-config': { type: 'string', describe: 'file with the network configuration' },
      'instance-id': { type: 'string', describe: 'instance id where there is no meta-data file' },
    }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const { makeSeed } = await import('../../seed/make.ts');
    const made = await makeSeed(
      {
        out: flags.out,
        userData: flags['user-data'],
        metaData: flags['meta-data'],
        networkConfig: flags['network-config'],
        instanceId: flags['instance-id'],
      },
      context,
    );
    return { data: made, text: `${made.path}: NoCloud seed, label ${made.label}, ${made.files.join(', ')}` };
  },
};
