import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { UsageError } from '../../errors.ts';
import { parseSize } from '../../formats/human.ts';
import type { AcceleratorPolicy } from '../../machine/accelerator.ts';
import type { Arch } from '../../machine/arch.ts';
import type { RehearseReport } from '../../rehearse/report.ts';
import type { GlobalOptions, Verb } from '../command.ts';

interface Flags {
  readonly artifact: string;
  readonly storage: 'flat' | 'lvm' | undefined;
  readonly firmware: 'bios' | 'uefi';
  readonly 'secure-boot': boolean;
  readonly disk: string;
  readonly memory: string;
  readonly curtin: string | undefined;
  readonly filetype: string | undefined;
  readonly arch: Arch | undefined;
  readonly 'base-image': string | undefined;
  readonly user: string | undefined;
  readonly network: 'private' | 'open';
  readonly console: boolean;
  readonly 'keep-disk': boolean;
  readonly report: 'text' | 'json' | 'junit';
  readonly output: string | undefined;
  readonly accelerator: AcceleratorPolicy;
}

export const rehearseVerb: Verb<Flags> = {
  command: 'rehearse <artifact>',
  describe: 'deploy an artifact here as MAAS and curtin will, and boot what comes of it',
  examples: [
    ['rehearse images/debian-12-amd64.tar.gz', 'a tree: partitions, tar, hooks, boot, cloud-init, login'],
    ['rehearse images/debian-12-amd64.tar.gz --storage lvm --firmware bios', 'another layout'],
    ['rehearse images/debian-12-amd64.dd.gz --disk 20G', 'a disk image, which has to grow'],
    [
      'rehearse images/debian-12-amd64.tar.gz --curtin ~/curtin',
      "curtin's own source tree in place of the built-in steps",
    ],
  ],
  options: (yargs) =>
    yargs
      .positional('artifact', { type: 'string', demandOption: true, describe: 'the file MAAS would be given' })
      .options({
        storage: { choices: ['flat', 'lvm'] as const, describe: "MAAS's storage layout for a tree; flat by default" },
        firmware: { choices: ['bios', 'uefi'] as const, default: 'uefi' as const, describe: 'of the machine' },
        'secure-boot': { type: 'boolean', default: false, describe: 'start the installed disk under Secure Boot' },
        disk: { type: 'string', default: '8G', describe: 'length of the blank disk' },
        memory: { type: 'string', default: '1536M', describe: 'of the installed machine' },
        curtin: { type: 'string', describe: 'folder of a curtin source tree' },
        filetype: { type: 'string', describe: 'tgz, ddgz, …; by the record or the name of the artifact' },
        arch: { choices: ['amd64', 'arm64'] as const, describe: 'by the record of the artifact; amd64' },
        'base-image': { type: 'string', describe: 'what MAAS is told, as ubuntu/jammy; by the record' },
        user: { type: 'string', describe: 'account that is given the key; rehearsal' },
        network: {
          choices: ['private', 'open'] as const,
          default: 'private' as const,
          describe: 'metadata alone, or what this host reaches, for an image that needs packages at its first boot',
        },
        console: { type: 'boolean', default: true, describe: 'tell the installed boot loader of the serial console' },
        'keep-disk': { type: 'boolean', default: false, describe: 'keep the deployed disk with the evidence' },
        report: {
          choices: ['text', 'json', 'junit'] as const,
          default: 'text' as const,
          describe: 'form of the report',
        },
        output: { type: 'string', describe: 'file for the report; standard output by default' },
        accelerator: {
          choices: ['auto', 'require', 'tcg'] as const,
          default: 'auto' as const,
          describe: 'KVM where it works; require it; or emulate',
        },
      }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const { rehearse } = await import('../../rehearse/rehearse.ts');
    const { artifact, storage, firmware, curtin, filetype, arch, user, network, accelerator } = flags;
    const report = await rehearse(
      {
        ...{ artifact, layout: storage, firmware, curtin, filetype, arch, user, network, accelerator },
        secureBoot: flags['secure-boot'],
        disk: size('disk', flags.disk),
        memory: size('memory', flags.memory),
        baseImage: flags['base-image'],
        console: flags.console,
        keepDisk: flags['keep-disk'],
      },
      context,
    );
    return { data: report, text: await writtenReport(flags, report), ...(report.passed ? {} : { exitCode: 8 }) };
  },
};

/** The report for standard output, or where it was written. */
async function writtenReport({ report: form, output }: Flags, report: RehearseReport): Promise<string> {
  const { rehearseText } = await import('../../rehearse/report-text.ts');
  const { rehearseJunit } = await import('../../rehearse/report-junit.ts');
  const text = rehearseText(report);
  const forms = { text: () => text, json: () => JSON.stringify(report, null, 2), junit: () => rehearseJunit(report) };
  const written = forms[form]().trimEnd();
  if (output === undefined) return written;
  const { writeWhole } = await import('../../pack/sink.ts');
  const { path } = await writeWhole(resolve(output), `${written}\n`);
  return `${text}\nreport: ${path}`;
}

function size(flag: string, text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new UsageError('rehearse.size', `Cannot understand --${flag} ${text}: it is no size`, {
    hint: 'For example 8G.',
  });
}
