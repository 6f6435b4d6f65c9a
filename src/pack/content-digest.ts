/** Digests of file content, read piece by piece and holes not at all. */
import { createHash, type Hash } from 'node:crypto';
import type { FileData } from '../filesystem/file-tree.ts';

/** Content as a manifest tells it: one of the two, by the size of the file. */
export type ContentDigest = { readonly sha256: string } | { readonly sha256Blocks: string };

/** Bytes; a file longer than it is told by the blocks that hold something. */
export const LONGEST_WHOLE = 1024 ** 3;
/** Bytes; blocks are counted from the start of the file, and the last one ends with it. */
const BLOCK = 4096;
const STEP = 1024 * 1024;
const ZEROS = Buffer.alloc(STEP);

/** A stretch of a file that is stored; `bytes` are good until the next one is asked for. */
interface Piece {
  readonly position: number;
  readonly bytes: Buffer;
}

/**
 * The SHA-256 of a file's content. Beyond 1 GiB, where a file of a few blocks may say it has terabytes, it is that of the
 * blocks of 4096 bytes that are not all zeros, each after its number in 8 bytes, high first. Both are the same whether zeros
 * are stored or are a hole.
 */
export async function contentDigest(data: FileData): Promise<ContentDigest> {
  const hash = createHash('sha256');
  if (data.size > LONGEST_WHOLE) {
    const blocks = new BlockHash(hash, data.size);
    for await (const piece of storedPieces(data)) blocks.add(piece);
    return { sha256Blocks: blocks.digest() };
  }
  let at = 0;
  for await (const { position, bytes } of storedPieces(data)) {
    hashZeros(hash, position - at);
    hash.update(bytes);
    at = position + bytes.length;
  }
  hashZeros(hash, data.size - at);
  return { sha256: hash.digest('hex') };
}

function hashZeros(hash: Hash, length: number): void {
  for (let left = length; left > 0; left -= STEP) hash.update(ZEROS.subarray(0, left));
}

async function* storedPieces(data: FileData): AsyncGenerator<Piece> {
  if (data.inline !== undefined) yield { position: 0, bytes: Buffer.from(data.inline) };
  const longest = data.extents.reduce((most, { length }) => Math.max(most, length), 0);
  const room = Buffer.allocUnsafe(Math.min(STEP, longest));
  for (const extent of data.extents) {
    for (let at = 0; at < extent.length; at += STEP) {
      const bytes = room.subarray(0, Math.min(STEP, extent.length - at));
      await data.source?.read(extent.position + at, bytes);
      yield { position: extent.logical + at, bytes };
    }
  }
}

/** Takes stretches in order and hashes the blocks they make that are not all zeros. */
class BlockHash {
  readonly #hash: Hash;
  readonly #size: number;
  /** The block that a stretch ended in. */
  readonly #open = Buffer.alloc(BLOCK);
  #number = -1;

  constructor(hash: Hash, size: number) {
    this.#hash = hash;
    this.#size = size;
  }

  add({ position, bytes }: Piece): void {
    for (let at = 0; at < bytes.length; ) {
      const number = Math.floor((position + at) / BLOCK);
      const within = (position + at) % BLOCK;
      const length = Math.min(BLOCK - within, bytes.length - at);
      if (length === BLOCK) {
        this.#close();
        this.#block(number, bytes.subarray(at, at + BLOCK));
      } else {
        if (number !== this.#number) this.#close();
        this.#number = number;
        bytes.copy(this.#open, within, at, at + length);
      }
      at += length;
    }
  }

  digest(): string {
    this.#close();
    return this.#hash.digest('hex');
  }

  #close(): void {
    if (this.#number < 0) return;
    const length = Math.min(BLOCK, this.#size - this.#number * BLOCK);
    this.#block(this.#number, this.#open.subarray(0, length));
    this.#open.fill(0);
    this.#number = -1;
  }

  #block(number: number, bytes: Buffer): void {
    if (bytes.equals(ZEROS.subarray(0, bytes.length))) return;
    const counted = Buffer.alloc(8);
    counted.writeBigUInt64BE(BigInt(number));
    this.#hash.update(counted).update(bytes);
  }
}
