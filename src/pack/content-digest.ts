/** Digests of file content, taken piece by piece and of holes without reading. */
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
export interface Piece {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** The digest of a file's content, given piece by piece. */
export interface ContentHash {
  /** Pieces come in order; what is between them is zeros. */
  add(piece: Piece): void;
  digest(): ContentDigest;
}

/**
 * The SHA-256 of the content of a file of `size` bytes. Beyond 1 GiB, where a file of a few blocks may say it has terabytes,
 * it is that of the blocks of 4096 bytes that are not all zeros, each after its number in 8 bytes, high first. Both are the
 * same whether zeros are stored or are a hole.
 */
export function contentHash(size: number): ContentHash {
  return size > LONGEST_WHOLE ? new BlockHash(size) : new WholeHash(size);
}

/** The digest of content that is read here. */
export async function contentDigest(data: FileData): Promise<ContentDigest> {
  const hash = contentHash(data.size);
  for await (const piece of storedPieces(data)) hash.add(piece);
  return hash.digest();
}

/** All of the content. */
class WholeHash implements ContentHash {
  readonly #hash = createHash('sha256');
  readonly #size: number;
  #at = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add({ position, bytes }: Piece): void {
    hashZeros(this.#hash, position - this.#at);
    this.#hash.update(bytes);
    this.#at = position + bytes.length;
  }

  digest(): ContentDigest {
    hashZeros(this.#hash, this.#size - this.#at);
    return { sha256: this.#hash.digest('hex') };
  }
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
class BlockHash implements ContentHash {
  readonly #hash = createHash('sha256');
  readonly #size: number;
  /** The block that a stretch ended in. */
  readonly #open = Buffer.alloc(BLOCK);
  #number = -1;

  constructor(size: number) {
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
        this.#open.set(bytes.subarray(at, at + length), within);
      }
      at += length;
    }
  }

  digest(): ContentDigest {
    this.#close();
    return { sha256Blocks: this.#hash.digest('hex') };
  }

  #close(): void {
    if (this.#number < 0) return;
    const length = Math.min(BLOCK, this.#size - this.#number * BLOCK);
    this.#block(this.#number, this.#open.subarray(0, length));
    this.#open.fill(0);
    this.#number = -1;
  }

  #block(number: number, bytes: Uint8Array): void {
    if (ZEROS.subarray(0, bytes.length).equals(bytes)) return;
    const counted = Buffer.alloc(8);
    counted.writeBigUInt64BE(BigInt(number));
    this.#hash.update(counted).update(bytes);
  }
}
