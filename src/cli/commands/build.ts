import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { ON_ERROR, type OnError } from '../../build/on-error.ts';
import type { AcceleratorPolicy } from '../../machine/accelerator.ts';
import { artifactText } from '../artifact-text.ts';
import type { GlobalOptions, Verb } from '../command.ts';
import { type PackFlags, packFlags, packSettings } from '../pack-flags.ts';
import { planOptions, type RecipeFlags, recipeFlags } from '../recipe-flags.ts';
import { viewFlag, viewKind, viewTeller } from '../view-flag.ts';

type Flags = RecipeFlags &
  PackFlags & {
    out: string;
    accelerator: AcceleratorPolicy;
    'keep-run': boolean;
    'on-error': OnError;
    view: string | undefined;
  };

export const buildVerb: Verb<Flags> = {
  command: 'build <recipe>',
  describe: 'build an image: boot, provision, pack',
  examples: [
    ['build debian-12 --out images', "from the vendor's cloud image"],
    ['build debian-12 --source packages --out images', "from the distribution's packages"],
    ['build ./web-node.yaml --format tgz --out images', 'a recipe of your own'],
    ['build debian-12 --view', 'look at its screen with a VNC viewer'],
  ],
  options: (yargs) =>
    packFlags(recipeFlags(yargs)).options({
      out: { type: 'string', default: 'images', describe: 'folder for the artifacts' },
      accelerator: {
        choices: ['auto', 'require', 'tcg'] as const,
        default: 'auto' as const,
        describe: 'KVM where it works; require it; or emulate',
      },
      'on-error': {
        choices: ON_ERROR,
        default: 'keep' as const,
        describe: 'of a build that fails keep the run folder, remove it, open a shell in the guest, or ask',
      },
      view: viewFlag,
      'keep-run': { type: 'boolean', default: false, describe: "keep the run folder with the guest's disk and logs" },
    }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const view = viewKind(flags.view);
    const { build } = await import('../../build/build.ts');
    const { timingText } = await import('../../build/timings.ts');
    const { operatorAt } = await import('../operator.ts');
    const result = await build(
      {
        ...planOptions(flags),
        ...(await packSettings(flags, context)),
        out: resolve(flags.out),
        accelerator: flags.accelerator,
        keepRun: flags['keep-run'],
        onError: flags['on-error'],
        operator: operatorAt(process.stdin, process.stderr, context),
        view,
        onView: await viewTeller(flags, process.stderr, context),
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
