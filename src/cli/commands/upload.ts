import type { Argv } from 'yargs';
import { UsageError } from '../../errors.ts';
import type { Context } from '../../events.ts';
import type { MaasLogin } from '../../publish/access.ts';
import type { Overrides } from '../../publish/candidate.ts';
import { EXISTING, type Existing } from '../../publish/existing-modes.ts';
import type { Answer, GlobalOptions, Verb } from '../command.ts';

type Flags = {
  artifacts: readonly string[] | undefined;
  profile: string | undefined;
  url: string | undefined;
  'api-key-file': string | undefined;
  ca: string | undefined;
  name: string | undefined;
  title: string | undefined;
  architecture: string | undefined;
  'base-image': string | undefined;
  filetype: readonly string[] | undefined;
  existing: Existing;
  wait: boolean;
  'dry-run': boolean;
  list: boolean;
  delete: string | undefined;
};

export const uploadVerb: Verb<Flags> = {
  command: 'upload [artifacts..]',
  describe: 'put artifacts into MAAS, whole and checked; list and delete what is there',
  examples: [
    ['upload images/web.tar.gz --profile admin', 'with the login of the maas command'],
    ['upload images --filetype tgz --existing replace --profile admin', 'the tgz of a build, in place of the last one'],
    ['upload web.tar.gz --url http://maas:5240/MAAS --api-key-file key', 'without the maas command'],
    ['upload images/web.tar.gz --dry-run', 'print the maas command that does the same'],
    ['upload --list --profile admin', 'the uploaded images'],
    ['upload --delete web-amd64 --profile admin', 'delete one'],
  ],
  options: (yargs) =>
    yargs
      .positional('artifacts', {
        type: 'string',
        array: true,
        describe: 'artifacts, or folders of them with their records',
      })
      .options({
        profile: { type: 'string', describe: 'profile of the maas command (maas login NAME …)' },
        url: { type: 'string', describe: 'address of MAAS; MAAS_URL by default' },
        'api-key-file': { type: 'string', describe: 'file with the API key; the key in MAAS_API_KEY by default' },
        ca: { type: 'string', describe: 'PEM file with certificates to trust besides the usual ones' },
        name: { type: 'string', describe: 'name in MAAS, in place of the one in the record' },
        title: { type: 'string', describe: 'title in MAAS' },
        architecture: {
          type: 'string',
          describe: 'such as amd64/generic; for --delete: of several, the one to delete',
        },
        'base-image': { type: 'string', describe: 'system that unpacks a custom image, such as ubuntu/noble' },
        filetype: {
          type: 'string',
          array: true,
          nargs: 1,
          describe: 'kind of the file; of a folder, the kinds to upload',
        },
        existing: { choices: EXISTING, default: 'fail', describe: 'when MAAS has another image of that name' },
        wait: { type: 'boolean', default: true, describe: 'wait until every region controller has it' },
        'dry-run': {
          type: 'boolean',
          default: false,
          describe: 'check, and print the maas command that does the same',
        },
        list: { type: 'boolean', default: false, describe: 'list the uploaded images' },
        delete: { type: 'string', describe: 'delete the uploaded image of this name' },
      }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const asked = [flags.list, flags.delete !== undefined, (flags.artifacts ?? []).length > 0].filter(Boolean).length;
    if (asked !== 1) {
      throw new UsageError('upload.what', 'Cannot tell what to do: name artifacts, or --list, or --delete NAME', {
        hint: 'compose upload --help has examples.',
      });
    }
    if (flags.list) return listAnswer(flags, context);
    if (flags.delete !== undefined) return deleteAnswer(flags, flags.delete, context);
    return flags['dry-run'] ? dryRunAnswer(flags, context) : uploadAnswer(flags, context);
  },
};

function loginOf(flags: Flags): MaasLogin {
  return { profile: flags.profile, url: flags.url, apiKeyFile: flags['api-key-file'], ca: flags.ca };
}

function overridesOf({ name, title, architecture, filetype, 'base-image': baseImage }: Flags): Overrides {
  return {
    ...(name === undefined ? {} : { name }),
    ...(title === undefined ? {} : { title }),
    ...(architecture === undefined ? {} : { architecture }),
    ...(baseImage === undefined ? {} : { baseImage }),
    ...(filetype === undefined ? {} : { filetypes: filetype }),
  };
}

async function uploadAnswer(flags: Flags, context: Context): Promise<Answer> {
  const { upload } = await import('../../publish/upload.ts');
  const { reportText } = await import('../upload-text.ts');
  const { artifacts = [], existing, wait } = flags;
  const options = { artifacts, maas: loginOf(flags), overrides: overridesOf(flags), existing, wait };
  const report = await upload(options, context);
  return { data: report, text: reportText(report) };
}

async function dryRunAnswer(flags: Flags, context: Context): Promise<Answer> {
  const { dryRun } = await import('../../publish/dry-run.ts');
  const options = { artifacts: flags.artifacts ?? [], overrides: overridesOf(flags), profile: flags.profile };
  const commands = await dryRun(options, context);
  return { data: { commands }, text: commands.join('\n') };
}

async function listAnswer(flags: Flags, context: Context): Promise<Answer> {
  const { listImages } = await import('../../publish/images.ts');
  const { imagesText } = await import('../upload-text.ts');
  const images = await listImages({ maas: loginOf(flags) }, context);
  return { data: { images }, text: imagesText(images) };
}

async function deleteAnswer(flags: Flags, name: string, context: Context): Promise<Answer> {
  const { deleteImage } = await import('../../publish/images.ts');
  const image = await deleteImage({ maas: loginOf(flags), name, architecture: flags.architecture }, context);
  return { data: image, text: `deleted ${image.name} (${image.architecture})` };
}
