import { inspect } from '../../verify/inspect-artifact.ts';
import { inspectText } from '../../verify/inspect-text.ts';
import type { Verb } from '../command.ts';

export const inspectVerb: Verb<{ path: string }> = {
  command: 'inspect <path>',
  describe: 'partitions, file systems, system, packages and what MAAS would need, of a disk or an artifact',
  examples: [
    ['inspect disk.qcow2', 'a disk and its backing chain'],
    ['inspect images/debian-12-amd64.tar.gz --json', 'a tgz, as JSON'],
  ],
  options: (yargs) =>
    yargs.positional('path', { type: 'string', demandOption: true, describe: 'a disk image, a tgz or a ddgz' }),
  run: async ({ path }, context) => {
    const data = await inspect(path, context);
    return { data, text: inspectText(path, data) };
  },
};
