import { type Awaitable, type BlockSource, checkRange, type StoredExtent } from './block-source.ts';
import { ExtentList } from './extent-list.ts';
import type { StoredFile } from './file-identity.ts';

/**
 * A range of a disk that holds bytes of a volume: the volume's `stripeSize` bytes from `start` on, then those from
 * `start + stride` on, and so on. All of it in one go where `stripeSize` is `length`.
 */
export interface DiskArea {
  /** Byte position on the disk. */
  readonly position: number;
  readonly length: number;
  /** Byte position in the volume. */
  readonly start: number;
  readonly stripeSize: number;
  readonly stride: number;
}

/** The one area of a volume that lies on the disk as it is: a partition, or the disk itself. */
export function wholeArea(position: number, length: number): DiskArea {
  return { position, length, start: 0, stripeSize: length, stride: length };
}

/**
 * The whole of `disk` with [start, start + volume.size) taken from `volume`: a disk whose partition was edited. Disposing
 * it leaves both open.
 * @throws RangeError when the volume does not fit into the disk at `start`
 */
export function overlayPartition(disk: BlockSource, start: number, volume: BlockSource): BlockSource {
  return overlayAreas(disk, [wholeArea(start, volume.size)], volume);
}

/**
 * The whole of `disk` with `areas` taken from `volume`: a disk on which a volume was edited that lies in several places.
 * Disposing it leaves both open.
 * @throws RangeError when an area leaves the disk or the volume, or two overlap
 */
export function overlayAreas(disk: BlockSource, areas: readonly DiskArea[], volume: BlockSource): BlockSource {
  const sorted = areas.filter((area) => area.length > 0).sort((a, b) => a.position - b.position);
  for (const [index, area] of sorted.entries()) {
    checkRange(disk.size, area.position, area.length);
    const lastStripe = Math.ceil(area.length / area.stripeSize) - 1;
    checkRange(volume.size, area.start + lastStripe * area.stride, area.length - lastStripe * area.stripeSize);
    const next = sorted[index + 1];
    if (next !== undefined && area.position + area.length > next.position) {
      throw new RangeError(`the areas at ${area.position} and ${next.position} overlap`);
    }
  }
  const { files, indices } = joinFiles(disk.files, volume.files);
  const place = (extent: StoredExtent): StoredExtent =>
    'file' in extent ? { ...extent, file: indices[extent.file]! } : extent;
  return {
    size: disk.size,
    files,
    locate: (position, length) => {
      checkRange(disk.size, position, length);
      const out = new ExtentList();
      const parts = partsOf(sorted, position, position + length);
      const take = (): Awaitable<StoredExtent[]> => {
        for (let next = parts.next(); !next.done; next = parts.next()) {
          const { inVolume, at, count } = next.value;
          const add = (found: readonly StoredExtent[]): void => {
            for (const extent of found) out.add(inVolume ? place(extent) : extent);
          };
          const found = (inVolume ? volume : disk).locate(at, count);
          if (found instanceof Promise) return found.then(add).then(take);
          add(found);
        }
        return out.extents;
      };
      return take();
    },
    read: async (position, into) => {
      checkRange(disk.size, position, into.length);
      let done = 0;
      for (const { inVolume, at, count } of partsOf(sorted, position, position + into.length)) {
        await (inVolume ? volume : disk).read(at, into.subarray(done, done + count));
        done += count;
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** `count` bytes from `at` on, of the volume or of the disk. */
interface Part {
  readonly inVolume: boolean;
  readonly at: number;
  readonly count: number;
}

/** What makes up [position, end) of the disk, in order. */
function* partsOf(areas: readonly DiskArea[], position: number, end: number): Generator<Part> {
  let at = position;
  for (let index = firstAfter(areas, position); at < end; index++) {
    const area = areas[index];
    const begin = Math.min(end, area?.position ?? end);
    if (at < begin) yield { inVolume: false, at, count: begin - at };
    at = Math.max(at, begin);
    if (area === undefined) return;
    const stop = Math.min(end, area.position + area.length);
    while (at < stop) {
      const offset = at - area.position;
      const stripe = Math.floor(offset / area.stripeSize);
      const inStripe = offset - stripe * area.stripeSize;
      const count = Math.min(stop - at, area.stripeSize - inStripe);
      yield { inVolume: true, at: area.start + stripe * area.stride + inStripe, count };
      at += count;
    }
  }
}

/** Index of the first area that ends after `position`. */
function firstAfter(areas: readonly DiskArea[], position: number): number {
  let low = 0;
  let high = areas.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const area = areas[middle]!;
    if (area.position + area.length <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The files of both, those of the first before the others, and where each of the second's went. */
export function joinFiles(
  first: readonly StoredFile[],
  second: readonly StoredFile[],
): { readonly files: StoredFile[]; readonly indices: readonly number[] } {
  const files = [...first];
  const indices = second.map((file) => {
    const at = files.findIndex(({ identity }) => identity === file.identity);
    return at >= 0 ? at : files.push(file) - 1;
  });
  return { files, indices };
}
