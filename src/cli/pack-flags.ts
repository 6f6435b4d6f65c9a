/** Flags of the verbs that pack. */
import type { Argv } from 'yargs';
import { UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { parseSize } from '../formats/human.ts';
import type { Effort, EngineName } from '../pack/codec.ts';
import { ENGINE_NAMES } from '../pack/engine.ts';
import { type PackTuning, packTuning } from '../pack/pack-options.ts';
import { parseSbomFormats } from '../pack/sbom-formats.ts';
import { savedDefaults } from '../tune/saved.ts';
import type { VerifySettings } from '../verify/settings.ts';

export interface PackFlags {
  readonly engine: EngineName | undefined;
  readonly level: number | undefined;
  readonly workers: number | undefined;
  readonly fast: boolean;
  readonly small: boolean;
  readonly chunk: string | undefined;
  readonly window: number | undefined;
  readonly tuning: boolean;
  readonly check: boolean;
  readonly 'keep-free': boolean;
  readonly packages: boolean;
  readonly sbom: string[] | undefined;
  readonly manifest: boolean;
  readonly allow: string[] | undefined;
  readonly off: string[] | undefined;
  readonly target: string | undefined;
}

export function packFlags<T>(yargs: Argv<T>): Argv<T & PackFlags> {
  return yargs.options({
    engine: { choices: ENGINE_NAMES, describe: 'compressor; the best one here for each codec by default' },
    level: { type: 'number', describe: 'gzip 0 to 12 (zlib: 9), xz 0 to 9, bzip2 1 to 9' },
    fast: { type: 'boolean', default: false, describe: 'the quickest level of each codec, in place of --level' },
    small: {
      type: 'boolean',
      default: false,
      describe: 'the smallest gzip, in place of --level; for xz and bzip2 their usual level',
    },
    workers: { type: 'number', describe: 'threads that compress; as many as cores by default' },
    chunk: { type: 'string', describe: 'bytes in a member of gzip, 256K to 16M; 1M by default' },
    window: { type: 'number', describe: 'chunks in flight for each worker, 2 to 16; 4 by default' },
    tuning: { type: 'boolean', default: true, describe: 'take what compose bench --save chose as defaults' },
    check: { type: 'boolean', default: false, describe: 'read each artifact back and compare it with the disk' },
    'keep-free': { type: 'boolean', default: false, describe: 'pack what blocks hold that no file uses' },
    packages: { type: 'boolean', default: false, describe: 'list the packages in <name>.packages.txt' },
    sbom: { type: 'string', array: true, nargs: 1, describe: 'bills of materials, comma-separated: spdx,cyclonedx' },
    manifest: { type: 'boolean', default: false, describe: 'list every file of the tree in <name>.files.jsonl' },
    allow: {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'RULE=reason: a rule of verify that may fail; RULE may have *',
    },
    off: {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'a rule of verify that is off; of hygiene, not sealed either',
    },
    target: { type: 'string', describe: 'release of MAAS to verify for, maas-3.3 to maas-3.8; all of them by default' },
  }) as Argv<T & PackFlags>;
}

/** What `flags` say, over what was saved for this host. @throws UsageError `pack.effort`, `pack.chunk`, `verify.…` */
export async function packSettings(flags: PackFlags, context: Context): Promise<PackTuning> {
  const { engine, level, workers, window, check, packages, sbom, manifest } = flags;
  const off = flags.off ?? [];
  const allow = flags.allow ?? [];
  const effort = effortOf(flags);
  const chunk = chunkOf(flags.chunk);
  return {
    ...(flags.tuning ? await savedDefaults(context) : {}),
    ...packTuning({ engine, level, workers, window, effort, chunk } as PackTuning),
    check,
    freeBlocks: flags['keep-free'] ? 'keep' : 'zero',
    packages,
    sbom: parseSbomFormats(sbom ?? []),
    manifest,
    verify: await verifySettings(allow, off, flags.target),
    keep: off,
  };
}

function effortOf({ fast, small }: PackFlags): Effort | undefined {
  if (fast && small) {
    throw new UsageError('pack.effort', 'Cannot pack with --fast and --small: each tells the level', {
      hint: 'Leave one of them out.',
    });
  }
  if (fast) return 'fast';
  return small ? 'small' : undefined;
}

function chunkOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const chunk = parseSize(text);
  if (chunk !== undefined) return chunk;
  throw new UsageError('pack.chunk', `Cannot make members of "${text}": it is no size`, {
    hint: 'A chunk is 256K to 16M, a multiple of 64K; leave --chunk out for 1M.',
  });
}

/** Told now where they are wrong, and not after minutes or, where nothing is verified, never. */
async function verifySettings(
  texts: readonly string[],
  off: readonly string[],
  target: string | undefined,
): Promise<VerifySettings> {
  if (texts.length + off.length === 0 && target === undefined) return {};
  const { allowsOf, offOf, parseAllows, wantsOf } = await import('../verify/settings.ts');
  const settings = { allow: parseAllows(texts), off, target };
  allowsOf(settings.allow);
  offOf(settings.off);
  wantsOf(settings);
  return settings;
}
