import type { Argv } from 'yargs';
import type { GlobalOptions, Verb } from '../command.ts';

type Flags = {
  artifacts: readonly string[];
  out: string;
  key: string | undefined;
  name: string | undefined;
  title: string | undefined;
  architecture: string | undefined;
  filetype: readonly string[] | undefined;
};

export const streamVerb: Verb<Flags> = {
  command: 'stream <artifacts..>',
  describe: 'write a simplestreams tree that MAAS imports images from, or add to one',
  examples: [
    ['stream images --out /srv/stream --key secret.gpg', 'a signed tree'],
    ['stream rocky-9.tar.gz --name rhel/rocky9 --title "Rocky 9" --out /srv/stream', 'one image; older versions stay'],
  ],
  options: (yargs) =>
    yargs
      .positional('artifacts', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'artifacts, or folders of them',
      })
      .options({
        out: { type: 'string', default: 'stream', describe: 'root of the tree' },
        key: { type: 'string', describe: 'file with the secret OpenPGP key to sign with, without a passphrase' },
        name: { type: 'string', describe: 'os/release in MAAS, in place of the name in the record' },
        title: { type: 'string', describe: 'title of the release in MAAS' },
        architecture: { type: 'string', describe: 'such as amd64/generic' },
        filetype: {
          type: 'string',
          array: true,
          nargs: 1,
          describe: 'kind of the file; of a folder, the kinds to take',
        },
      }) as unknown as Argv<Flags & GlobalOptions>,
  run: async ({ artifacts, out, key, name, title, architecture, filetype }, context) => {
    const { stream } = await import('../../publish/stream.ts');
    const { streamText } = await import('../upload-text.ts');
    const overrides = {
      ...(name === undefined ? {} : { name }),
      ...(title === undefined ? {} : { title }),
      ...(architecture === undefined ? {} : { architecture }),
      ...(filetype === undefined ? {} : { filetypes: filetype }),
    };
    const report = await stream({ artifacts, out, key, overrides }, context);
    return { data: report, text: streamText(report) };
  },
};
