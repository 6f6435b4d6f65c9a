/** What the blocks still hold that no file uses: the bytes of deleted files, and old copies in a journal. */
import { type BlockSource, extents, readBytes } from '../disk/block-source.ts';
import { isZero } from '../disk/packed-gzip.ts';
import type { Range } from '../disk/patched.ts';
import { isComposeError } from '../errors.ts';
import { editExt4 } from '../filesystem/ext4/edit.ts';
import type { Ext4 } from '../filesystem/ext4/open.ts';
import type { Fat } from '../filesystem/fat/open.ts';
import type { FileSystem } from '../filesystem/file-system.ts';
import type { Xfs } from '../filesystem/xfs/open.ts';

export interface Leftovers {
  /** Bytes of free blocks that are not zero, whole blocks of 4 KiB. */
  readonly bytes: number;
  /** Printable beginnings of what is there, a few. */
  readonly samples: readonly string[];
  /** Why it was not looked for. */
  readonly unread: string | undefined;
}

const BLOCK = 4096;
const STEP = 1024 * 1024;
const SAMPLES = 5;

/** Looks into the free space of a clean file system. */
export async function findLeftovers(fs: FileSystem, signal: AbortSignal): Promise<Leftovers> {
  let bytes = 0;
  const samples: string[] = [];
  try {
    for await (const { position, length } of freeRanges(fs)) {
      signal.throwIfAborted();
      for await (const block of filledBlocks(fs.source, position, length)) {
        bytes += block.length;
        const text = /[\x20-\x7e]{6,60}/.exec(Buffer.from(block).toString('latin1'))?.[0];
        if (text !== undefined && samples.length < SAMPLES) samples.push(text);
      }
    }
    return { bytes, samples, unread: undefined };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return { bytes, samples, unread: error.message };
  }
}

async function* freeRanges(fs: FileSystem): AsyncGenerator<Range> {
  if (fs.kind === 'ext4') yield* (await editExt4(fs as Ext4, [])).zeros;
  else if (fs.kind === 'xfs') yield* (fs as Xfs).freeExtents();
  else yield* (fs as Fat).freeRanges();
}

async function* filledBlocks(source: BlockSource, position: number, length: number): AsyncGenerator<Uint8Array> {
  for await (const extent of extents(source, { position, length })) {
    if (extent.kind === 'zero') continue;
    for (let at = 0; at < extent.length; at += STEP) {
      const piece = await readBytes(source, extent.position + at, Math.min(STEP, extent.length - at));
      if (isZero(piece)) continue;
      for (let block = 0; block < piece.length; block += BLOCK) {
        const part = piece.subarray(block, block + BLOCK);
        if (!isZero(part)) yield part;
      }
    }
  }
}
