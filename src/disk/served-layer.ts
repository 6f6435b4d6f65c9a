import type { Awaitable } from './block-source.ts';
import type { ExtentList } from './extent-list.ts';
import type { Layer } from './layer.ts';
import { LruCache } from './lru.ts';
import type { NbdRun } from './nbd.ts';
import type { ServedDisk } from './served-disk.ts';

/** Bytes of the disk one question about allocation covers, and one entry of the cache. */
const SPAN = 64 * 1024 * 1024;
/** What is known of allocation, in runs; a run is two numbers and an object. */
const CACHE_LIMIT = 128 * 1024;

/** A disk another process reads: its zeros are known here, its bytes are `served` extents. */
export function servedLayer(disk: ServedDisk): Layer {
  const cache = new LruCache<number, readonly NbdRun[]>(CACHE_LIMIT);
  const asking = new Map<number, Promise<readonly NbdRun[]>>();
  const ask = (span: number): Promise<readonly NbdRun[]> => {
    const running = asking.get(span);
    if (running !== undefined) return running;
    const length = Math.min(SPAN, disk.size - span * SPAN);
    const started = disk.status(span * SPAN, length).finally(() => asking.delete(span));
    asking.set(span, started);
    return started.then((runs) => {
      cache.set(span, runs, runs.length);
      return runs;
    });
  };
  const walk = (out: ExtentList, position: number, end: number): Awaitable<void> => {
    for (let at = position; at < end; ) {
      const span = Math.floor(at / SPAN);
      const stop = Math.min(end, (span + 1) * SPAN);
      const runs = cache.get(span);
      if (runs === undefined) {
        const from = at;
        return ask(span).then((told) => {
          add(out, disk, told, span * SPAN, from, stop);
          return walk(out, stop, end);
        });
      }
      add(out, disk, runs, span * SPAN, at, stop);
      at = stop;
    }
  };
  return {
    size: disk.size,
    locate: (out, position, end) => {
      const stop = Math.max(position, Math.min(end, disk.size));
      const walked = walk(out, position, stop);
      if (walked instanceof Promise) return walked.then(() => out.zero(end - stop));
      return out.zero(end - stop);
    },
  };
}

/** Adds [position, end) as `runs`, which begin at `start`, have it. */
function add(
  out: ExtentList,
  disk: ServedDisk,
  runs: readonly NbdRun[],
  start: number,
  position: number,
  end: number,
): void {
  let at = start;
  for (const { length, zero } of runs) {
    if (at >= end) return;
    const from = Math.max(at, position);
    const count = Math.min(at + length, end) - from;
    if (zero) out.zero(count);
    else if (count > 0) out.add({ kind: 'served', length: count, from: disk, offset: from });
    at += length;
  }
}
