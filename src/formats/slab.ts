/** Buffers longer than this part of a slab are made by themselves. */
const PART = 8;

/**
 * Cuts small buffers from larger ones. A buffer of its own for each name and header of a tree keeps malloc and the collector
 * busy for as long as all else that is done about it; a slab is kept as long as any piece of it.
 */
export class Slab {
  readonly #size: number;
  #bytes = new Uint8Array(0);
  #used = 0;

  constructor(size = 64 * 1024) {
    this.#size = size;
  }

  /** Zeros that nobody else has. */
  take(length: number): Uint8Array {
    if (length > this.#size / PART) return new Uint8Array(length);
    if (this.#used + length > this.#bytes.length) {
      this.#bytes = new Uint8Array(this.#size);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    return this.#bytes.subarray(start, this.#used);
  }
}
