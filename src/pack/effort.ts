import { availableParallelism, freemem } from 'node:os';
import { isComposeError } from '../errors.ts';
import type { Codec, Effort, Engine, EngineName } from './codec.ts';
import { codecOf, openEngine } from './engine.ts';
import type { PackTuning } from './pack-options.ts';

/** Memory of one liblzma encoder at level 9: a dictionary of 32 MiB, eleven and a half times, and its chunk of 96 MiB. */
const XZ_9_MEMORY = (370 + 2 * 96) * 1024 * 1024;

interface Way {
  readonly engine?: EngineName;
  readonly level: number;
}

/**
 * The ways of an effort, the best first; one without an engine takes whatever the host has. ISA-L's level 2 takes less
 * than a quarter of the time of libdeflate's level 1 for one to two percent more (docs/dependencies.md).
 * @param memory bytes each worker may have
 */
export function waysOf(effort: Effort, codec: Codec, memory: number): readonly Way[] {
  if (effort === 'fast') {
    if (codec === 'gzip') return [{ engine: 'isal', level: 2 }, { level: 1 }];
    return [{ level: codec === 'xz' ? 0 : 1 }];
  }
  if (codec === 'gzip') return [{ level: 12 }];
  if (codec === 'bzip2') return [{ level: 9 }];
  return [{ level: memory >= XZ_9_MEMORY ? 9 : 6 }];
}

/**
 * The engine for the outputs of `codec` that `options` ask for.
 * @throws UsageError `engine.level`; HostError `engine.missing`
 */
export async function openForCodec(codec: Codec, options: PackTuning): Promise<Engine> {
  const { engine: named, effort, chunk, levels, workers = availableParallelism() } = options;
  const size = codec === 'gzip' && chunk !== undefined ? { chunk } : {};
  const engine = named !== undefined && codecOf(named) === codec ? { engine: named } : {};
  if (effort === undefined) {
    const level = options.level ?? (named === undefined ? levels?.[codec] : undefined);
    return openEngine({ codec, ...engine, ...(level === undefined ? {} : { level }), ...size });
  }
  let lacking: unknown;
  for (const way of waysOf(effort, codec, freemem() / 2 / workers)) {
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
