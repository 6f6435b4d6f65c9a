import type { Compression, Result } from './chunk.ts';
import { type Framing, framing } from './framing.ts';
import type { FileSink } from './sink.ts';

/** Zeros that a hole is hashed by. */
export const HOLE = new Uint8Array(64 * 1024);

/** One output: what workers made, in order, with what its kind of file has around it. */
export class FramedOutput {
  readonly #sink: FileSink;
  readonly #frame: Framing;

  constructor(kind: Compression['kind'], sink: FileSink) {
    this.#sink = sink;
    this.#frame = framing(kind);
  }

  begin(): Promise<void> {
    return this.#sink.write(this.#frame.head);
  }

  /** Begins to write a chunk; answers once it is written and released. The next one may be given before. */
  async write(result: Result): Promise<void> {
    const { bytes, length, hole } = result;
    if (hole) {
      await this.#sink.skip(length, HOLE);
    } else {
      this.#frame.note(bytes, length);
      await this.#sink.write(bytes);
    }
    result.release();
  }

  end(): Promise<void> {
    return this.#sink.write(this.#frame.tail());
  }
}
