import type { Argv } from 'yargs';
import type { GlobalOptions, Verb } from '../command.ts';

type Flags = {
  recipe: string;
  arch: string;
  source: string | undefined;
  image: string | undefined;
  install: boolean;
  out: string | undefined;
};

/** Exit status when something required is missing (design section 4). */
const NOT_READY = 3;

export const doctorVerb: Verb<Flags> = {
  command: 'doctor [recipe]',
  describe: 'what this host has and lacks for building a recipe, each line with its remedy',
  examples: [
    ['doctor debian-12 --source packages', 'look only'],
    ['doctor debian-12 --source packages --install', 'let the package manager bring what is missing'],
  ],
  options: (yargs) =>
    yargs.positional('recipe', { type: 'string', default: 'debian-12', describe: 'the recipe to look for' }).options({
      arch: { type: 'string', default: 'amd64', describe: 'architecture of the image' },
      source: { type: 'string', describe: 'cloudimg, packages or installer' },
      image: { type: 'string', describe: 'cloud image, a qcow2 file, for --source cloudimg' },
      install: {
        type: 'boolean',
        default: false,
        describe: 'install what is missing with apt-get, as root or by sudo',
      },
      out: { type: 'string', describe: 'folder the artifacts would go to' },
    }) as unknown as Argv<Flags & GlobalOptions>,
  run: async ({ recipe, arch, source, image, install, out }, context) => {
    const { doctor, doctorText } = await import('../../build/doctor.ts');
    const { plan } = await import('../../recipe/plan.ts');
    const needs = plan({
      recipe,
      arch,
      image,
      env: process.env,
      mediumLater: true,
      ...(source === undefined ? {} : { source }),
    });
    const checks = await doctor(needs, { install, ...(out === undefined ? {} : { out }) }, context);
    const ready = checks.every((check) => check.state !== 'missing');
    return { data: checks, text: doctorText(checks), ...(ready ? {} : { exitCode: NOT_READY }) };
  },
};
