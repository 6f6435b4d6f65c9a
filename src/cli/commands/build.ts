import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { build } from '../../build/build.ts';
import { timingText } from '../../build/timings.ts';
import type { AcceleratorPolicy } from '../../machine/accelerator.ts';
import type { EngineName } from '../../pack/codec.ts';
import { ENGINE_NAMES } from '../../pack/engine.ts';
import type { PackTuning } from '../../pack/pack-options.ts';
import { parseSbomFormats } from '../../pack/package-records.ts';
import { artifactText } from '../artifact-text.ts';
import type { GlobalOptions, Verb } from '../command.ts';
import { planOptions, type RecipeFlags, recipeFlags } from '../recipe-flags.ts';

export interface PackFlags {
  readonly engine: EngineName | undefined;
  readonly level: number | undefined;
  readonly workers: number | undefined;
  readonly check: boolean;
  readonly 'keep-free': boolean;
  readonly packages: boolean;
  readonly sbom: string[] | undefined;
  readonly manifest: boolean;
}

export function packFlags<T>(yargs: Argv<T>): Argv<T & PackFlags> {
  return yargs.options({
    engine: { choices: ENGINE_NAMES, describe: 'compressor; the best one here for each codec by default' },
    level: { type: 'number', describe: 'gzip 0 to 12 (zlib: 9), xz 0 to 9, bzip2 1 to 9' },
    workers: { type: 'number', describe: 'threads that compress; as many as cores by default' },
    check: { type: 'boolean', default: false, describe: 'read each artifact back and compare it with the disk' },
    'keep-free': { type: 'boolean', default: false, describe: 'pack what blocks hold that no file uses' },
    packages: { type: 'boolean', default: false, describe: 'list the packages in <name>.packages.txt' },
    sbom: { type: 'string', array: true, nargs: 1, describe: 'bills of materials, comma-separated: spdx,cyclonedx' },
    manifest: { type: 'boolean', default: false, describe: 'list every file of the tree in <name>.files.jsonl' },
  }) as Argv<T & PackFlags>;
}

export function packSettings(flags: PackFlags): PackTuning {
  const { engine, level, workers, check, packages, sbom, manifest } = flags;
  return {
    ...(engine === undefined ? {} : { engine }),
    ...(level === undefined ? {} : { level }),
    ...(workers === undefined ? {} : { workers }),
    check,
    freeBlocks: flags['keep-free'] ? 'keep' : 'zero',
    packages,
    sbom: parseSbomFormats(sbom ?? []),
    manifest,
  };
}

type Flags = RecipeFlags & PackFlags & { out: string; accelerator: AcceleratorPolicy; 'keep-run': boolean };

export const buildVerb: Verb<Flags> = {
  command: 'build <recipe>',
  describe: 'build an image: boot, provision, pack',
  examples: [
    ['build debian-12 --out images', "from the vendor's cloud image"],
    ['build debian-12 --source packages --out images', "from the distribution's packages"],
    ['build ./web-node.yaml --format tgz --out images', 'a recipe of your own'],
  ],
  options: (yargs) =>
    packFlags(recipeFlags(yargs)).options({
      out: { type: 'string', default: 'images', describe: 'folder for the artifacts' },
      accelerator: {
        choices: ['auto', 'require', 'tcg'] as const,
        default: 'auto' as const,
        describe: 'KVM where it works; require it; or emulate',
      },
      'keep-run': { type: 'boolean', default: false, describe: "keep the run folder with the guest's disk and logs" },
    }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const result = await build(
      {
        ...planOptions(flags),
        ...packSettings(flags),
        out: resolve(flags.out),
        accelerator: flags.accelerator,
        keepRun: flags['keep-run'],
      },
      context,
    );
    const text = [
      timingText(result.timings, result.ms),
      '',
      artifactText(result, result.plan.maas),
      '',
      `manifest: ${result.manifest}`,
    ];
    if (result.runDir !== undefined) text.push(`run: ${result.runDir}`);
    return { data: result, text: text.join('\n') };
  },
};
