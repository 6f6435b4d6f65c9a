import { isComposeError } from '../errors.ts';
import type { Codec, Effort, Engine, EngineName } from './codec.ts';
import { codecOf, LEVELS, openEngine } from './engine.ts';
import type { PackTuning } from './pack-options.ts';

interface Way {
  readonly engine?: EngineName;
  readonly level: number;
}

/**
 * The ways of an effort, the best first; one without an engine takes whatever the host has. ISA-L's level 2 takes less
 * time than libdeflate's level 1 for four percent more (docs/dependencies.md). The smallest xz is the usual one:
 * levels above have larger dictionaries, and with them the process takes more than 300 MiB; `xz -6e` is a third of a percent
 * smaller for a third more time.
 */
export function waysOf(effort: Effort, codec: Codec): readonly Way[] {
  if (effort === 'fast') {
    if (codec === 'gzip') return [{ engine: 'isal', level: 2 }, { level: 1 }];
    return [{ level: codec === 'xz' ? 0 : 1 }];
  }
  return [{ level: codec === 'gzip' ? LEVELS.gzip.most : LEVELS[codec].usual }];
}

/**
 * The engine for the outputs of `codec` that `options` ask for.
 * @throws UsageError `engine.level`; HostError `engine.missing`
 */
export async function openForCodec(codec: Codec, options: PackTuning): Promise<Engine> {
  const { engine: named, effort, chunk, levels } = options;
  const size = codec === 'gzip' && chunk !== undefined ? { chunk } : {};
  const engine = named !== undefined && codecOf(named) === codec ? { engine: named } : {};
  if (effort === undefined) {
    const level = options.level ?? (named === undefined ? levels?.[codec] : undefined);
    return openEngine({ codec, ...engine, ...(level === undefined ? {} : { level }), ...size });
  }
  let lacking: unknown;
  for (const way of waysOf(effort, codec)) {
    // Of an engine that was named, only the levels are of interest.
    if (named !== undefined && way.engine !== undefined && way.engine !== named) continue;
    try {
      return await openEngine({ codec, ...engine, ...way, ...size });
    } catch (error) {
      if (!isComposeError(error) || error.code !== 'engine.missing') throw error;
      lacking = error;
    }
  }
  throw lacking;
}
