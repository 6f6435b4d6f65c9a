import { createWriteStream, type WriteStream } from 'node:fs';

/** Entries are at least so far apart, ms: a console that never rests makes no more of them than these. */
const APART_MS = 100;

/**
 * When what of a console came, beside its bytes: lines of `seconds offset`, the seconds since the console was connected and
 * the offset in serial.log of the first byte that came then. An index that cannot be written ends without a word: it is
 * evidence, not what the machine is for.
 */
export class SerialIndex {
  readonly #stream: WriteStream;
  readonly #start = performance.now();
  readonly #ended: Promise<void>;
  #last = Number.NEGATIVE_INFINITY;
  #offset = 0;
  #broken = false;

  /** Writes the file `path` anew. */
  constructor(path: string) {
    this.#stream = createWriteStream(path, { mode: 0o600 });
    this.#ended = new Promise((resolve) => this.#stream.once('close', resolve));
    this.#stream.on('error', () => {
      this.#broken = true;
    });
    this.#stream.write(`# since ${new Date().toISOString()}: seconds, offset in serial.log\n`);
  }

  /** So many bytes came now. */
  note(bytes: number): void {
    const now = performance.now();
    if (now - this.#last >= APART_MS && !this.#broken && !this.#stream.writableEnded) {
      this.#last = now;
      this.#stream.write(`${((now - this.#start) / 1000).toFixed(3).padStart(10)} ${this.#offset}\n`);
    }
    this.#offset += bytes;
  }

  /** Resolves when the file is written and closed; may be called again. */
  async end(): Promise<void> {
    this.#stream.end();
    await this.#ended;
  }
}
