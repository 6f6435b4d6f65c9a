import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { ON_ERROR, type OnError } from '../../build/on-error.ts';
import { keepHeapSmall } from '../../host/small-heap.ts';
import { keepMallocSmall } from '../../host/small-malloc.ts';
import type { AcceleratorPolicy } from '../../machine/accelerator.ts';
import { buildText, outcomesAnswer } from '../build-text.ts';
import type { GlobalOptions, Verb } from '../command.ts';
import { type PackFlags, packFlags, packSettings } from '../pack-flags.ts';
import { planAnswer } from '../plan-answer.ts';
import { planOptions, type RecipeFlags, recipeFlags } from '../recipe-flags.ts';
import { type ViewFlags, viewFlags, viewKind, viewTeller } from '../view-flag.ts';

type Flags = Omit<RecipeFlags, 'recipe'> &
  PackFlags &
  ViewFlags & {
    recipe: readonly string[];
    out: string;
    accelerator: AcceleratorPolicy;
    'keep-run': boolean;
    fresh: boolean;
    'on-error': OnError;
    jobs: number | undefined;
    'fail-fast': boolean;
    plan: boolean;
  };

export const buildVerb: Verb<Flags> = {
  command: 'build <recipe..>',
  describe: 'build an image: boot, provision, pack',
  examples: [
    ['build debian-12 --out images', "from the vendor's cloud image"],
    ['build debian-12 --source packages --out images', "from the distribution's packages"],
    ['build ./web-node.yaml --format tgz --out images', 'a recipe of your own'],
    ['build rocky-9 --arch arm64 --set packages=vim,tmux --plan', 'what that would do, and what sets it apart'],
    ['build --view debian-12', 'look at its screen with a VNC viewer'],
    ['build debian-12 ./web-node.yaml --jobs 2 --out images', 'several at once'],
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
      ...viewFlags,
      'keep-run': { type: 'boolean', default: false, describe: "keep the run folder with the guest's disk and logs" },
      fresh: { type: 'boolean', default: false, describe: 'run the installer even when the cache has its disk' },
      jobs: {
        type: 'number',
        describe: 'builds at once, where memory allows; as many as memory and cores carry by default',
      },
      plan: {
        type: 'boolean',
        default: false,
        describe: 'tell what it would do, as compose plan does, and do nothing',
      },
      'fail-fast': { type: 'boolean', default: false, describe: 'the first build that fails ends the others' },
    }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    if (flags.plan) {
      const plans = await Promise.all(
        flags.recipe.map((recipe) => planAnswer(recipe, planOptions({ ...flags, recipe }))),
      );
      const data = plans.map((one) => one.data);
      return { data: data.length === 1 ? data[0] : data, text: plans.map(({ text }) => text).join('\n\n') };
    }
    const view = viewKind(flags);
    const { operatorAt } = await import('../operator.ts');
    const { workers: saved, ...settings } = await packSettings(flags, context);
    keepHeapSmall();
    await keepMallocSmall();
    // Workers that were saved for one packing at a time are divided among several, as the default is.
    const workers = flags.recipe.length === 1 ? saved : flags.workers;
    const operator = operatorAt(process.stdin, process.stderr, context);
    const onView = await viewTeller(flags, process.stderr, context);
    const list = flags.recipe.map((recipe) => ({
      ...planOptions({ ...flags, recipe }),
      ...settings,
      ...(workers === undefined ? {} : { workers }),
      out: resolve(flags.out),
      accelerator: flags.accelerator,
      keepRun: flags['keep-run'],
      fresh: flags.fresh,
      onError: flags['on-error'],
      operator,
      view,
      onView,
    }));
    const { buildMany, checkLimits } = await import('../../build/build-many.ts');
    const limits = { jobs: flags.jobs, failFast: flags['fail-fast'] };
    checkLimits(limits);
    const [only] = list;
    if (list.length === 1 && only !== undefined) {
      const { build } = await import('../../build/build.ts');
      const result = await build(only, context);
      return { data: result, text: buildText(result) };
    }
    return outcomesAnswer(await buildMany(list, limits, context));
  },
};
