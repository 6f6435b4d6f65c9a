import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { UsageError } from '../../errors.ts';
import { parseSize } from '../../formats/human.ts';
import type { GlobalOptions, Verb } from '../command.ts';
import { type DiskFormatFlag, diskFormatFlag } from '../disk-format-flag.ts';

type Flags = DiskFormatFlag & {
  disk: string | undefined;
  out: string;
  budget: number;
  runs: number;
  sample: string;
  save: boolean;
};

export const benchVerb: Verb<Flags> = {
  command: 'bench [disk]',
  describe: 'measure levels, chunks, workers and windows on this host, beside the compressors it has',
  examples: [
    ['bench', 'with a disk made for it; prints a table, writes bench.json and bench.svg'],
    ['bench disk.qcow2 --budget 600', 'with the content of a disk of yours, for ten minutes'],
    ['bench --save', 'the best becomes the default of pack and build'],
  ],
  options: (yargs) =>
    yargs
      .positional('disk', { type: 'string', describe: 'a disk image to measure with; one is made without it' })
      .options({
        ...diskFormatFlag,
        out: { type: 'string', default: 'bench-results', describe: 'folder for bench.json and bench.svg' },
        budget: { type: 'number', default: 120, describe: 'seconds of measuring' },
        runs: { type: 'number', default: 3, describe: 'runs of each setting; the best counts' },
        sample: { type: 'string', default: '512M', describe: 'bytes to measure with; less where the budget is short' },
        save: { type: 'boolean', default: false, describe: 'make the best the default of pack and build' },
      }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const { disk, budget, runs, save, 'disk-format': format } = flags;
    const sample = parseSize(flags.sample);
    if (sample === undefined) {
      throw new UsageError('bench.sample', `Cannot measure with "${flags.sample}": it is no size`, {
        hint: 'A size is a number with K, M or G, such as 512M.',
      });
    }
    const which = { ...(disk === undefined ? {} : { disk }), ...(format === undefined ? {} : { format }) };
    const { bench } = await import('../../tune/bench.ts');
    const { benchText } = await import('../../tune/report.ts');
    const result = await bench({ ...which, out: resolve(flags.out), budget, runs, sample, save }, context);
    return { data: result, text: benchText(result) };
  },
};
