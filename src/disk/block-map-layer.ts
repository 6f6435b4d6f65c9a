import { FormatError } from '../errors.ts';
import type { BlockMap, ReadImage } from '../formats/block-map.ts';
import { readVdi } from '../formats/vdi.ts';
import { readVhd } from '../formats/vhd.ts';
import { readVhdx } from '../formats/vhdx.ts';
import type { HostFile } from './host-file.ts';
import { FORMAT_NAMES, type ServedFormat } from './image-format.ts';
import type { Layer } from './layer.ts';

/**
 * The block map of `file`, an image of `format`; undefined where compose leaves reading it to QEMU: every VMDK, and what
 * has a parent, a log to be replayed, or something about it that is not as it should be.
 */
export async function readBlockMap(file: HostFile, format: ServedFormat): Promise<BlockMap | undefined> {
  const read: ReadImage = async (position, length) => {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, file.size - position)));
    await file.read(position, bytes);
    return bytes;
  };
  if (format === 'vdi') return readVdi(read);
  if (format === 'vhd') return readVhd(read, file.size);
  return format === 'vhdx' ? readVhdx(read) : undefined;
}

/** The disk that `map` describes; `index` is that of `file` in the chain's list of files. */
export function blockMapLayer(file: HostFile, index: number, format: ServedFormat, map: BlockMap): Layer {
  const { size, blockSize } = map;
  return {
    size,
    locate: (out, position, end) => {
      const stop = Math.max(position, Math.min(end, size));
      for (let at = position; at < stop; ) {
        const within = at % blockSize;
        const length = Math.min(stop - at, blockSize - within);
        const offset = map.offsetOf((at - within) / blockSize);
        if (offset === undefined) {
          out.zero(length);
        } else {
          if (offset >= file.size) throw truncated(file, format, at, offset);
          // The last block may be there in part only; the rest of it reads as zeros, in QEMU too.
          const present = Math.max(0, Math.min(length, file.size - offset - within));
          out.data(index, offset + within, present);
          out.zero(length - present);
        }
        at += length;
      }
      out.zero(end - stop);
    },
  };
}

function truncated(file: HostFile, format: ServedFormat, position: number, offset: number): FormatError {
  return new FormatError(
    'disk.truncated',
    `Cannot read the ${FORMAT_NAMES[format]} image: the data at ${position} should be at byte ${offset}, the file ends at ${file.size} (${file.path})`,
    {
      hint: 'The file was copied or downloaded incompletely; fetch it again and compare its checksum.',
      evidence: { file: file.path, position: offset, size: file.size },
    },
  );
}
