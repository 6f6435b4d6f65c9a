/** Bytes taken from a stream of chunks, however they were cut. */
export class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Up to `most` bytes of the chunk at hand; empty at the end. The bytes may be those of the source. */
  async some(most: number): Promise<Uint8Array> {
    while (this.#at === this.#chunk.length) {
      const next = await this.#source.next();
      if (next.done) return new Uint8Array(0);
      // A Buffer's slice() is a view; a plain array's is a copy, which take() promises.
      const { buffer, byteOffset, length } = next.value;
      this.#chunk = new Uint8Array(buffer, byteOffset, length);
      this.#at = 0;
    }
    const part = this.#chunk.subarray(this.#at, this.#at + most);
    this.#at += part.length;
    return part;
  }

  /** `length` bytes of their own; fewer only at the end. Grows with what arrives, not with what was asked for. */
  async take(length: number): Promise<Uint8Array> {
    const first = length === 0 ? new Uint8Array(0) : await this.some(length);
    if (first.length === length) return first.slice();
    const parts: Uint8Array[] = [first];
    let have = first.length;
    while (have < length) {
      const part = await this.some(length - have);
      if (part.length === 0) break;
      parts.push(part);
      have += part.length;
    }
    const whole = new Uint8Array(have);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
