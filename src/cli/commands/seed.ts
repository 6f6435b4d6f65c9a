import { basename } from 'node:path';
import type { Argv } from 'yargs';
import { humanSize } from '../../formats/human.ts';
import type { SeedFile } from '../../seed/files.ts';
import { SEED_KINDS, type SeedKind } from '../../seed/volume.ts';
import type { GlobalOptions, Verb } from '../command.ts';

type Flags = {
  kind: SeedKind;
  out: string;
  file: readonly string[];
  label: string | undefined;
  'user-data': string | undefined;
  'meta-data': string | undefined;
  'network-config': string | undefined;
  'instance-id': string | undefined;
};

export const seedVerb: Verb<Flags> = {
  command: 'seed',
  describe: 'a volume of answers for cloud-init or an installer: NoCloud, OEMDRV, a floppy, or any labelled ISO or FAT',
  examples: [
    ['seed --user-data user-data.yaml --out seed.iso', 'NoCloud, checked before it is written'],
    ['seed --kind autoinstall --user-data autoinstall.yaml --out seed.iso', "for Ubuntu's server installer"],
    ['seed --kind oemdrv --file ks.cfg=./rocky.ks --out ks.iso', 'Anaconda takes ks.cfg from it by itself'],
    ['seed --kind floppy --file Autounattend.xml --out a.img', 'a 1.44 MB floppy for Windows Setup'],
    ['seed --kind iso --label ANSWERS --file drivers=./drivers --out drivers.iso', 'a folder with all that is in it'],
  ],
  options: (yargs) =>
    yargs.options({
      kind: { choices: SEED_KINDS, default: 'nocloud', describe: 'what it is for' },
      out: { type: 'string', demandOption: true, describe: 'the image to write' },
      file: {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        defaultDescription: 'none',
        describe: 'NAME=PATH: a file or folder and its name on the volume; again for more',
      },
      label: { type: 'string', describe: 'volume label; NoCloud and OEMDRV have their own' },
      'user-data': { type: 'string', describe: 'NoCloud: file with the user data' },
      'meta-data': { type: 'string', describe: 'NoCloud: file with the meta data; an instance-id by default' },
      'network-config': { type: 'string', describe: 'NoCloud: file with the network configuration' },
      'instance-id': { type: 'string', describe: 'NoCloud: instance id where there is no meta-data file' },
    }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const { makeSeed } = await import('../../seed/make.ts');
    const made = await makeSeed(
      {
        kind: flags.kind,
        out: flags.out,
        files: flags.file.map(seedFile),
        label: flags.label,
        userData: flags['user-data'],
        metaData: flags['meta-data'],
        networkConfig: flags['network-config'],
        instanceId: flags['instance-id'],
      },
      context,
    );
    const { kind, path, label, files, size } = made;
    return { data: made, text: `${path}: ${kind}, label ${label}, ${humanSize(size)}, ${files.join(', ')}` };
  },
};

/** `NAME=PATH`, or a path whose last component is the name. */
function seedFile(text: string): SeedFile {
  const at = text.indexOf('=');
  return at > 0 ? { name: text.slice(0, at), path: text.slice(at + 1) } : { name: basename(text), path: text };
}
