/** A disk inside a compressed file, read where it is: pieces that were compressed apart are unpacked as they are asked for. */
import { type FileHandle, open } from 'node:fs/promises';
import { type BlockSource, checkRange, type StoredExtent } from './block-source.ts';
import { ExtentList } from './extent-list.ts';
import { LruCache } from './lru.ts';

/** A piece of the file that unpacks by itself. Positions and lengths are bytes. */
export interface PackedPiece {
  /** In the file. */
  readonly offset: number;
  readonly storedLength: number;
  /** Of the content. */
  readonly position: number;
  readonly length: number;
  /** Whether all of its content is zeros. */
  readonly zero: boolean;
  /** Of a block of xz: `storedLength` without the padding at its end. */
  readonly unpaddedSize?: number;
}

/** Unpacks one piece; the answer is the caller's to keep and has the piece's length. */
export type UnpackPiece = (stored: Uint8Array, piece: PackedPiece) => Uint8Array;

/** Content that is kept unpacked. */
const KEPT = 96 * 1024 * 1024;

/**
 * The content of `path` as an address space. `pieces` are in order, without gap. Disposing it closes the file.
 * @throws what `unpack` throws, when it is read
 */
export async function packedSource(
  path: string,
  pieces: readonly PackedPiece[],
  unpack: UnpackPiece,
): Promise<BlockSource> {
  return new PackedSource(await open(path, 'r'), pieces, unpack);
}

class PackedSource implements BlockSource {
  readonly size: number;
  readonly files: BlockSource['files'] = [];
  readonly #file: FileHandle;
  readonly #pieces: readonly PackedPiece[];
  readonly #unpack: UnpackPiece;
  readonly #kept = new LruCache<PackedPiece, Promise<Uint8Array>>(KEPT);

  constructor(file: FileHandle, pieces: readonly PackedPiece[], unpack: UnpackPiece) {
    const last = pieces.at(-1);
    this.size = last === undefined ? 0 : last.position + last.length;
    this.#file = file;
    this.#pieces = pieces;
    this.#unpack = unpack;
  }

  locate(position: number, length: number): StoredExtent[] {
    checkRange(this.size, position, length);
    const out = new ExtentList();
    for (const { piece, from, count } of this.#parts(position, length)) {
      if (piece.zero) out.zero(count);
      else out.add({ kind: 'served', length: count, from: this, offset: from });
    }
    return out.extents;
  }

  async read(position: number, into: Uint8Array): Promise<void> {
    checkRange(this.size, position, into.length);
    for (const { piece, from, count } of this.#parts(position, into.length)) {
      const room = into.subarray(from - position, from - position + count);
      if (piece.zero) room.fill(0);
      else room.set((await this.#content(piece)).subarray(from - piece.position, from - piece.position + count));
    }
  }

  *#parts(position: number, length: number): Generator<{ piece: PackedPiece; from: number; count: number }> {
    const end = position + length;
    for (let index = this.#indexAt(position), from = position; from < end; index++) {
      const piece = this.#pieces[index]!;
      const count = Math.min(end, piece.position + piece.length) - from;
      if (count > 0) yield { piece, from, count };
      from += count;
    }
  }

  #indexAt(position: number): number {
    let low = 0;
    for (let high = this.#pieces.length - 1; low < high; ) {
      const middle = (low + high + 1) >>> 1;
      if (this.#pieces[middle]!.position <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #content(piece: PackedPiece): Promise<Uint8Array> {
    const kept = this.#kept.get(piece);
    if (kept !== undefined) return kept;
    const content = this.#load(piece);
    // Whoever asks next must not get this failure from the cache before the asker does.
    content.catch(() => this.#kept.delete(piece));
    this.#kept.set(piece, content, piece.length);
    return content;
  }

  async #load(piece: PackedPiece): Promise<Uint8Array> {
    const stored = Buffer.alloc(piece.storedLength);
    await this.#file.read(stored, 0, stored.length, piece.offset);
    return this.#unpack(stored, piece);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}
