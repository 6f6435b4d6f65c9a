import type { Compression, Result } from './chunk.ts';
import { type Framing, framing } from './framing.ts';
import type { FileSink } from './sink.ts';

const HOLE = new Uint8Array(64 * 1024);

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

  /** Writes a chunk and releases it. */
  async write(result: Result): Promise<void> {
    const { bytes, length, hole } = result;
    if (hole) {
      await this.#sink.skip(length, HOLE);
    } else {
      await this.#sink.write(bytes);
      this.#frame.note(bytes, length);
    }
    result.release();
  }

  end(): Promise<void> {
    return this.#sink.write(this.#frame.tail());
  }
}
