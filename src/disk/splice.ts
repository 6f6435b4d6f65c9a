import { type Awaitable, type BlockSource, checkRange, type StoredExtent } from './block-source.ts';
import { ExtentList } from './extent-list.ts';

/**
 * The whole of `disk` with [start, start + volume.size) taken from `volume`: a disk whose partition was edited. Disposing
 * it leaves both open.
 * @throws RangeError when the volume does not fit into the disk at `start`
 */
export function overlayPartition(disk: BlockSource, start: number, volume: BlockSource): BlockSource {
  checkRange(disk.size, start, volume.size);
  const stop = start + volume.size;
  const { files, indices } = joinFiles(disk.files, volume.files);
  const parts = (position: number, end: number): Part[] =>
    [
      { source: disk, position, end: Math.min(end, start), shift: 0 },
      { source: volume, position: Math.max(position, start), end: Math.min(end, stop), shift: start },
      { source: disk, position: Math.max(position, stop), end, shift: 0 },
    ].filter((part) => part.position < part.end);
  return {
    size: disk.size,
    files,
    locate: (position, length) => {
      checkRange(disk.size, position, length);
      return gather(new ExtentList(), parts(position, position + length), (part, extent) =>
        part.source === volume && 'file' in extent ? { ...extent, file: indices[extent.file]! } : extent,
      );
    },
    read: async (position, into) => {
      checkRange(disk.size, position, into.length);
      for (const part of parts(position, position + into.length)) {
        await part.source.read(
          part.position - part.shift,
          into.subarray(part.position - position, part.end - position),
        );
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** [position, end) of the disk, which `source` has `shift` bytes earlier. */
interface Part {
  readonly source: BlockSource;
  readonly position: number;
  readonly end: number;
  readonly shift: number;
}

type Place = (part: Part, extent: StoredExtent) => StoredExtent;

function gather(out: ExtentList, parts: readonly Part[], place: Place): Awaitable<StoredExtent[]> {
  for (const [index, part] of parts.entries()) {
    const add = (extents: readonly StoredExtent[]): void => {
      for (const extent of extents) out.add(place(part, extent));
    };
    const found = part.source.locate(part.position - part.shift, part.end - part.position);
    if (found instanceof Promise) return found.then(add).then(() => gather(out, parts.slice(index + 1), place));
    add(found);
  }
  return out.extents;
}

/** The files of both, those of the disk first, and where each of the volume's went. */
function joinFiles(disk: readonly string[], volume: readonly string[]): { files: string[]; indices: number[] } {
  const files = [...disk];
  const indices = volume.map((file) => {
    const at = files.indexOf(file);
    return at >= 0 ? at : files.push(file) - 1;
  });
  return { files, indices };
}
