/** Finds the blocks of an .xz file of one stream, which `compose pack` and `xz -T` compress apart. */
import { open } from 'node:fs/promises';
import { readXzIndex, XZ_FRAME, xzIndexSize } from '../formats/xz/index.ts';
import { streamEnd, streamHeader } from '../formats/xz/stream.ts';
import { openLiblzma } from '../host/liblzma.ts';
import { isZero, type PackedIndex } from './packed-gzip.ts';
import type { PackedPiece } from './packed-source.ts';

/** A longer block cannot be unpacked for every look into it. */
const CONTENT_LIMIT = 32 * 1024 * 1024;
const INDEX_LIMIT = 16 * 1024 * 1024;
const MEMORY = 256 * 1024 * 1024;

/** As `indexGzip`, for .xz files. Undefined also where liblzma is not here. */
export async function indexXz(
  path: string,
  signal: AbortSignal,
  onContent: (content: Uint8Array) => void,
): Promise<PackedIndex | undefined> {
  const lzma = await openLiblzma().catch(() => undefined);
  if (lzma === undefined) return undefined;
  const unpack: PackedIndex['unpack'] = (stored, piece) => {
    const { unpaddedSize = piece.storedLength } = piece;
    const parts: Uint8Array[] = [];
    const decoder = lzma.decoder(MEMORY);
    try {
      const end = streamEnd([{ unpaddedSize, uncompressedSize: piece.length }]);
      for (const part of [streamHeader(), stored, end]) parts.push(...decoder.write(part));
      parts.push(...decoder.finish());
    } finally {
      decoder.close();
    }
    return Buffer.concat(parts, piece.length);
  };
  const file = await open(path, 'r');
  try {
    const blocks = await blocksOf(file);
    if (blocks === undefined) return undefined;
    const pieces: PackedPiece[] = [];
    for (const block of blocks) {
      signal.throwIfAborted();
      const stored = Buffer.alloc(block.storedLength);
      await file.read(stored, 0, stored.length, block.offset);
      const content = unpack(stored, block);
      pieces.push({ ...block, zero: isZero(content) });
      onContent(content);
    }
    return { pieces, unpack };
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  } finally {
    await file.close();
  }
}

/** The blocks as the index lists them, where they fill the file. */
async function blocksOf(file: Awaited<ReturnType<typeof open>>): Promise<PackedPiece[] | undefined> {
  const { size } = await file.stat();
  if (size < 2 * XZ_FRAME) return undefined;
  const bytes = async (position: number, length: number): Promise<Buffer> =>
    (await file.read(Buffer.alloc(length), 0, length, position)).buffer;
  const indexSize = xzIndexSize(await bytes(size - XZ_FRAME, XZ_FRAME));
  if (indexSize === undefined || indexSize > Math.min(INDEX_LIMIT, size - 2 * XZ_FRAME)) return undefined;
  const records = readXzIndex(await bytes(size - XZ_FRAME - indexSize, indexSize));
  if (records === undefined || records.some((one) => one.uncompressedSize > CONTENT_LIMIT)) return undefined;
  let [offset, position] = [XZ_FRAME, 0];
  const blocks = records.map(({ unpaddedSize, uncompressedSize: length }): PackedPiece => {
    const storedLength = Math.ceil(unpaddedSize / 4) * 4;
    const block = { offset, storedLength, position, length, zero: false, unpaddedSize };
    offset += storedLength;
    position += length;
    return block;
  });
  return offset === size - XZ_FRAME - indexSize ? blocks : undefined;
}
