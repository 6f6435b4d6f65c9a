/** LZ4 in the legacy frames that kernels unpack (lz4: doc/lz4_Frame_format.md, "Legacy frame", and lz4_Block_format.md). */
import { concat } from './concat.ts';

export const LZ4_LEGACY_MAGIC = 0x184c2102;
/** Content of a block. */
const BLOCK = 8 * 1024 * 1024;
const LEAST_MATCH = 4;
const MORE = 15;

/**
 * The content of one or more legacy frames; zeros may follow them.
 * @throws RangeError where they are damaged or cut short, or more than `limit` bytes come of them
 */
export function unpackLz4Legacy(bytes: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let at = 0; at + 4 <= bytes.length; ) {
    const size = view.getUint32(at, true);
    at += 4;
    if (size === LZ4_LEGACY_MAGIC) continue;
    if (size === 0) break;
    if (at + size > bytes.length) throw new RangeError(`a block of ${size} bytes ends after the last one`);
    const block = unpackBlock(bytes.subarray(at, at + size));
    length += block.length;
    if (length > limit) throw new RangeError(`more than ${limit} bytes come of it`);
    parts.push(block);
    at += size;
  }
  return concat(parts);
}

function unpackBlock(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  let [at, end] = [0, 0];
  const longer = (nibble: number): number => {
    let length = nibble;
    if (nibble !== MORE) return length;
    for (let byte = 255; byte === 255; length += byte) {
      byte = bytes[at++] ?? -1;
      if (byte < 0) throw new RangeError('a block ends within a length');
    }
    return length;
  };
  while (at < bytes.length) {
    const token = bytes[at++] ?? 0;
    const literals = longer(token >> 4);
    if (at + literals > bytes.length || end + literals > BLOCK)
      throw new RangeError('a block has more literals than room');
    out.set(bytes.subarray(at, at + literals), end);
    at += literals;
    end += literals;
    // The last sequence of a block has literals alone.
    if (at === bytes.length) break;
    const offset = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    at += 2;
    const match = longer(token & MORE) + LEAST_MATCH;
    if (offset === 0 || offset > end || end + match > BLOCK)
      throw new RangeError('a block refers to what is not there');
    if (offset >= match) out.copyWithin(end, end - offset, end - offset + match);
    else for (let i = 0; i < match; i++) out[end + i] = out[end - offset + i] ?? 0;
    end += match;
  }
  return out.slice(0, end);
}
