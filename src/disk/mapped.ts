import { type Awaitable, type BlockSource, checkRange, type StoredExtent } from './block-source.ts';
import { ExtentList } from './extent-list.ts';
import type { StoredFile } from './file-identity.ts';
import { type DiskArea, joinFiles } from './splice.ts';

/**
 * A run of a mapped address space. Its bytes lie in one area, or striped over several of the same length: `stripeSize`
 * bytes in the first, as many in the second, and so on round.
 */
export interface MappedSegment {
  /** Byte position in the mapped address space. */
  readonly start: number;
  readonly length: number;
  /** Bytes; divides the length of an area. The length of the segment where there is one area. */
  readonly stripeSize: number;
  /** At least one. `source` is an index into the sources of the map, `position` in bytes. */
  readonly areas: readonly { readonly source: number; readonly position: number }[];
}

interface Run {
  readonly source: number;
  readonly position: number;
  readonly length: number;
}

/**
 * The address space that `segments` make of `sources`: as device-mapper's linear and striped targets do. Segments are
 * sorted and follow each other from 0 on without a gap. Disposing it leaves the sources open.
 */
export function mappedSource(segments: readonly MappedSegment[], sources: readonly BlockSource[]): BlockSource {
  const last = segments.at(-1);
  const size = last === undefined ? 0 : last.start + last.length;
  let files: readonly StoredFile[] = [];
  const indices = sources.map((source) => {
    const joined = joinFiles(files, source.files);
    files = joined.files;
    return joined.indices;
  });
  const place = (source: number, extent: StoredExtent): StoredExtent =>
    'file' in extent ? { ...extent, file: indices[source]![extent.file]! } : extent;
  return {
    size,
    files,
    locate: (position, length) => {
      checkRange(size, position, length);
      const out = new ExtentList();
      const runs = runsOf(segments, position, length);
      const take = (): Awaitable<StoredExtent[]> => {
        for (let run = runs.next(); !run.done; run = runs.next()) {
          const { source } = run.value;
          const add = (found: readonly StoredExtent[]): void => {
            for (const extent of found) out.add(place(source, extent));
          };
          const found = sources[source]!.locate(run.value.position, run.value.length);
          if (found instanceof Promise) return found.then(add).then(take);
          add(found);
        }
        return out.extents;
      };
      return take();
    },
    read: async (position, into) => {
      checkRange(size, position, into.length);
      let at = 0;
      for (const { source, position: from, length } of runsOf(segments, position, into.length)) {
        await sources[source]!.read(from, into.subarray(at, at + length));
        at += length;
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Where [position, position + length) lies, in order. */
function* runsOf(segments: readonly MappedSegment[], position: number, length: number): Generator<Run> {
  const end = position + length;
  let at = position;
  for (let index = segmentAt(segments, position); at < end; index++) {
    const { start, length: bytes, stripeSize, areas } = segments[index]!;
    const stop = Math.min(end, start + bytes);
    while (at < stop) {
      const offset = at - start;
      const stripe = Math.floor(offset / stripeSize);
      const inStripe = offset - stripe * stripeSize;
      const { source, position: base } = areas[stripe % areas.length]!;
      const count = Math.min(stop - at, stripeSize - inStripe);
      yield { source, position: base + Math.floor(stripe / areas.length) * stripeSize + inStripe, length: count };
      at += count;
    }
  }
}

/** Index of the segment that holds `position`. */
function segmentAt(segments: readonly MappedSegment[], position: number): number {
  let low = 0;
  let high = segments.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (segments[middle]!.start <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Where the segments lie on a disk that has source `i` at byte `starts[i]`: what `overlayAreas` takes. */
export function areasOnDisk(segments: readonly MappedSegment[], starts: readonly number[]): DiskArea[] {
  return segments.flatMap(({ start, length, stripeSize, areas }) =>
    areas.map(({ source, position }, index) => ({
      position: starts[source]! + position,
      length: length / areas.length,
      start: start + index * stripeSize,
      stripeSize,
      stride: areas.length * stripeSize,
    })),
  );
}
