import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { UsageError } from '../../errors.ts';
import { parseSize } from '../../formats/human.ts';
import type { VerifyReport } from '../../verify/judge.ts';
import type { GlobalOptions, Verb } from '../command.ts';

type ReportForm = 'text' | 'json' | 'sarif' | 'junit';

interface Flags {
  readonly artifact: string[];
  readonly target: string | undefined;
  readonly filetype: string | undefined;
  readonly name: string | undefined;
  readonly title: string | undefined;
  readonly 'base-image': string | undefined;
  readonly architecture: string | undefined;
  readonly allow: string[] | undefined;
  readonly off: string[] | undefined;
  readonly 'target-disk': string | undefined;
  readonly forbid: string[] | undefined;
  readonly user: string | undefined;
  readonly report: ReportForm;
  readonly output: string | undefined;
}

export const verifyVerb: Verb<Flags> = {
  command: 'verify <artifact..>',
  describe:
    'hold artifacts of any tool against what MAAS and curtin will do with them, and look for what must not ship',
  examples: [
    ['verify images/debian-12-amd64.tar.gz', 'with what its .maas.json says'],
    ['verify disk.img.gz --filetype ddgz --architecture amd64/generic --target maas-3.5', "another tool's image"],
    ["verify web.tar.gz --allow 'boot.bios=our machines have UEFI'", 'one rule let pass, with its reason'],
    ['verify images/*.gz --report junit --output verify.xml', 'for a build server'],
  ],
  options: (yargs) =>
    yargs
      .positional('artifact', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'tgz, txz, tbz or a dd image',
      })
      .options({
        target: { type: 'string', describe: 'a release of MAAS, maas-3.3 to maas-3.8; all of them by default' },
        filetype: { type: 'string', describe: 'MAAS filetype; told by its .maas.json, its name or its content' },
        name: { type: 'string', describe: 'name in MAAS' },
        title: { type: 'string', describe: 'title in MAAS' },
        'base-image': { type: 'string', describe: 'base_image in MAAS, such as ubuntu/noble' },
        architecture: { type: 'string', describe: 'architecture in MAAS, such as amd64/generic' },
        allow: { type: 'string', array: true, nargs: 1, describe: 'RULE=reason: let it pass; RULE may have *' },
        off: { type: 'string', array: true, nargs: 1, describe: 'a rule that is not looked at' },
        'target-disk': { type: 'string', describe: 'size of the smallest disk it is deployed on; 64G' },
        forbid: { type: 'string', array: true, nargs: 1, describe: 'text that may not be in it, free space included' },
        user: { type: 'string', describe: 'account the build logged in with' },
        report: {
          choices: ['text', 'json', 'sarif', 'junit'] as const,
          default: 'text',
          describe: 'form of the report',
        },
        output: { type: 'string', describe: 'file for the report; standard output by default' },
      }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const { verify } = await import('../../verify/verify.ts');
    const { parseAllows } = await import('../../verify/settings.ts');
    const { target, filetype, name, title, architecture, off, forbid: forbidden, user } = flags;
    const maas = given({ name, title, architecture, base_image: flags['base-image'] });
    const settings = {
      target,
      off,
      forbidden,
      user,
      allow: parseAllows(flags.allow ?? []),
      targetDisk: targetDisk(flags),
    };
    const reports: VerifyReport[] = [];
    for (const path of flags.artifact) reports.push(await verify({ path, filetype, maas, ...settings }, context));
    const failed = reports.some(({ verdict }) => verdict === 'fail');
    const text = await writtenReport(flags, reports);
    return { data: reports.length === 1 ? reports[0] : reports, text, ...(failed ? { exitCode: 8 } : {}) };
  },
};

/** The report for standard output, or where it was written. */
async function writtenReport({ report, output }: Flags, reports: readonly VerifyReport[]): Promise<string> {
  const { verifyText } = await import('../../verify/reports/text.ts');
  const text = reports.map(verifyText).join('\n\n');
  const form = report === 'text' ? text : await formOf(report, reports);
  if (output === undefined) return form.trimEnd();
  const { writeWhole } = await import('../../pack/sink.ts');
  const { path } = await writeWhole(resolve(output), form.endsWith('\n') ? form : `${form}\n`);
  return `${text}\n\nreport: ${path}`;
}

async function formOf(form: 'json' | 'sarif' | 'junit', reports: readonly VerifyReport[]): Promise<string> {
  if (form === 'json') return `${JSON.stringify(reports, null, 2)}\n`;
  if (form === 'junit') return (await import('../../verify/reports/junit.ts')).junit(reports);
  const { packageVersion } = await import('../../host/built-module.ts');
  return (await import('../../verify/reports/sarif.ts')).sarif(reports, packageVersion());
}

/** What was given of `fields`. */
function given<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function targetDisk(flags: Flags): number | undefined {
  const text = flags['target-disk'];
  if (text === undefined) return undefined;
  const size = parseSize(text);
  if (size !== undefined) return size;
  throw new UsageError('verify.target-disk', `Cannot take "${text}" for the size of a disk`, {
    hint: 'A size is a number of bytes, or one with K, M, G or T: --target-disk 40G.',
  });
}
