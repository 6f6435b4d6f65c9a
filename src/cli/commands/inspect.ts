import type { Argv } from 'yargs';
import type { GlobalOptions, Verb } from '../command.ts';
import { type DiskFormatFlag, diskFormatFlag } from '../disk-format-flag.ts';

type Flags = DiskFormatFlag & { path: string };

export const inspectVerb: Verb<Flags> = {
  command: 'inspect <path>',
  describe: 'partitions, file systems, system, packages and what MAAS would need, of a disk, an ISO or an artifact',
  examples: [
    ['inspect disk.qcow2', 'a disk and its backing chain'],
    ['inspect appliance.vmdk', 'a disk of another maker, read through qemu-nbd'],
    ['inspect debian-12-netinst.iso', 'an installer: volume name, kernel, initrd, boot entries'],
    ['inspect images/debian-12-amd64.tar.gz --json', 'a tgz, as JSON'],
  ],
  options: (yargs) =>
    yargs
      .positional('path', { type: 'string', demandOption: true, describe: 'a disk image, an ISO, a tgz or a ddgz' })
      .options(diskFormatFlag) as unknown as Argv<Flags & GlobalOptions>,
  run: async ({ path, 'disk-format': format }, context) => {
    const { inspect } = await import('../../verify/inspect-artifact.ts');
    const { inspectText } = await import('../../verify/inspect-text.ts');
    const data = await inspect(path, context, format);
    return { data, text: inspectText(path, data) };
  },
};
