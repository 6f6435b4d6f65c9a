/** What the bench tries of each dimension. */
import type { EngineName } from '../pack/codec.ts';
import { codecOf, ENGINE_NAMES, openEngine } from '../pack/engine.ts';
import type { SearchOptions } from './search.ts';
import type { Setting } from './setting.ts';

const KIB = 1024;

/** Levels worth their time: --fast, the neighbours of the usual one, and --small. */
const LEVELS: Partial<Readonly<Record<EngineName, readonly number[]>>> = {
  libdeflate: [1, 3, 4, 5, 6, 8, 12],
  zlib: [1, 5, 6],
  isal: [2],
};
const CHUNKS = [256, 512, 1024, 2048, 4096].map((size) => size * KIB);
const WINDOWS = [2, 3, 4, 6, 8, 16];
/** Up to this many cores each number of workers is tried. */
const FEW_CORES = 8;

export interface AvailableEngine {
  readonly name: EngineName;
  readonly version: string;
}

/** The engines of gzip that this host has. */
export async function availableEngines(): Promise<AvailableEngine[]> {
  const found: AvailableEngine[] = [];
  for (const name of ENGINE_NAMES.filter((engine) => codecOf(engine) === 'gzip')) {
    try {
      const engine = await openEngine({ engine: name });
      engine.close();
      found.push({ name, version: engine.version });
    } catch {
      // It is not here: doctor and --engine tell why.
    }
  }
  return found;
}

/** The dimensions in the order they are tried: those first that move the most. */
export function dimensionsOf(baseline: Setting, engines: readonly AvailableEngine[]): SearchOptions['dimensions'] {
  const levels = engines.flatMap(({ name: engine }) => (LEVELS[engine] ?? []).map((level) => ({ engine, level })));
  return [
    { name: 'level', values: levels },
    { name: 'chunk', values: CHUNKS.map((chunk) => ({ chunk })) },
    { name: 'workers', values: workerCounts(baseline.workers).map((workers) => ({ workers })) },
    { name: 'window', values: WINDOWS.map((window) => ({ window })) },
  ];
}

/** 1 to `cores`; of many cores a selection, the halves and quarters. */
export function workerCounts(cores: number): number[] {
  if (cores <= FEW_CORES) return Array.from({ length: cores }, (_, at) => at + 1);
  const counts = [1, 2, 4, cores / 4, cores / 2, (3 * cores) / 4, cores - 1, cores].map(Math.floor);
  return [...new Set(counts)].sort((a, b) => a - b);
}
