/** The programs of this host that compress the same bytes, in the same turns. */
import { spawn, spawnSync } from 'node:child_process';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { which } from '../host/tools.ts';
import type { Run } from './setting.ts';

export interface Rival {
  /** The command as a person types it, without the file. */
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly args: readonly string[];
}

/** A rival as it was measured: its runs, or how long it ran when there was no more time. */
export interface RivalResult {
  readonly name: string;
  readonly version: string;
  readonly runs: readonly Run[];
  /** Milliseconds after which it was stopped without an end. */
  readonly stoppedAfter?: number;
  /** Why it has no figures. */
  readonly failure?: string;
  /** Least time over that of the baseline in the same turn, and size over its size. */
  readonly time?: number;
  readonly size?: number;
}

/** The quick ones first: the slow ones get the time that is left. */
const COMMANDS: readonly (readonly [tool: string, args: readonly string[]])[] = [
  ['libdeflate-gzip', ['-6', '-c']],
  ['pigz', ['-6', '-c']],
  ['gzip', ['-6', '-c']],
  ['xz', ['-6', '-T0', '-c']],
];

/** Options of the user's environment would make other commands of them. */
function environment(): NodeJS.ProcessEnv {
  const { XZ_OPT: _, XZ_DEFAULTS: __, GZIP: ___, PIGZ: ____, ...rest } = process.env;
  return { ...rest, LC_ALL: 'C' };
}

/** Those that are installed, each with its version. */
export function installedRivals(): Rival[] {
  return COMMANDS.flatMap(([tool, args]) => {
    const path = which(tool);
    if (path === undefined) return [];
    const flag = tool === 'libdeflate-gzip' ? '-V' : '--version';
    const told = spawnSync(path, [flag], { env: environment(), encoding: 'utf8', input: '', timeout: 5000 });
    const version = /\d+\.\d+(?:\.\d+)*/.exec(`${told.stdout}${told.stderr}`)?.[0] ?? 'unknown';
    return [{ name: [tool, ...args.slice(0, -1)].join(' '), version, path, args }];
  });
}

/**
 * Runs `rival` over `path`, its output into a file of `folder` that is removed again. It is killed after `limit`
 * milliseconds.
 * @returns undefined where it was killed
 * @throws Error with its last words; the reason of the signal
 */
export async function runRival(
  rival: Rival,
  options: { readonly path: string; readonly folder: string; readonly limit: number; readonly signal: AbortSignal },
): Promise<Run | undefined> {
  const { path, folder, limit, signal } = options;
  signal.throwIfAborted();
  const target = join(folder, 'rival.out');
  const file = await open(target, 'w');
  let late = false;
  try {
    const start = performance.now();
    const child = spawn(rival.path, [...rival.args, path], { env: environment(), stdio: ['ignore', file.fd, 'pipe'] });
    const kill = (): void => void child.kill('SIGKILL');
    const timer = setTimeout(
      () => {
        late = true;
        kill();
      },
      Math.max(1, limit),
    );
    signal.addEventListener('abort', kill, { once: true });
    let words = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-500);
    });
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (ended) => resolve(ended));
      });
      signal.throwIfAborted();
      if (late) return undefined;
      if (code !== 0) throw new Error(`${rival.name} ended with ${code}: ${words.trim()}`);
      return { ms: performance.now() - start, size: (await stat(target)).size };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
    }
  } finally {
    await file.close();
    await rm(target, { force: true });
  }
}

/**
 * The rivals in turns with the baseline, `runs` times each while there is time; one that does not end is stopped and
 * said to be. `now` and `deadline` are milliseconds of the same clock.
 */
export async function measureRivals(options: {
  readonly rivals: readonly Rival[];
  readonly baseline: () => Promise<Run>;
  readonly measure: (rival: Rival, limit: number) => Promise<Run | undefined>;
  readonly runs: number;
  readonly now: () => number;
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly onRival?: (rival: Rival) => void;
}): Promise<RivalResult[]> {
  const { rivals, baseline, measure, runs, now, deadline } = options;
  const own: Run[] = [];
  const taken = rivals.map((): Run[] => []);
  const ended = new Map<number, { readonly stoppedAfter: number } | { readonly failure: string }>();
  for (let round = 0; round < runs && rivals.length > 0; round++) {
    if (round > 0 && now() >= deadline) break;
    own.push(await baseline());
    for (const [at, rival] of rivals.entries()) {
      const before = taken[at]!.at(-1)?.ms;
      const left = deadline - now();
      // A second run is begun only where it will end in time.
      if (ended.has(at) || (round > 0 && (before === undefined || before > left))) continue;
      if (round === 0) options.onRival?.(rival);
      if (left <= 0) {
        ended.set(at, { failure: 'there was no time left' });
        continue;
      }
      try {
        const run = await measure(rival, left);
        if (run === undefined) ended.set(at, { stoppedAfter: left });
        else taken[at]!.push(run);
      } catch (error) {
        if (options.signal.aborted) throw error;
        ended.set(at, { failure: (error as Error).message });
      }
    }
  }
  const base = fastest(own);
  return rivals.map(({ name, version }, at) => {
    const best = fastest(taken[at]!);
    const ratios = base && best ? { time: best.ms / base.ms, size: best.size / base.size } : {};
    return { name, version, runs: taken[at]!, ...ratios, ...(best ? {} : ended.get(at)) };
  });
}

function fastest(runs: readonly Run[]): Run | undefined {
  return runs.reduce<Run | undefined>((best, run) => (best === undefined || run.ms < best.ms ? run : best), undefined);
}
