/** What a login shell printed before a command began, told apart from what the command printed. */

/** Withheld until the mark is seen; a shell that greets with more is not waited for. */
const MOST = 64 * 1024;

const NEWLINE = 0x0a;

/** Passes on what follows the line that begins with a mark. Without one, all is passed on in the end. */
export class Preamble {
  /** What followed the mark on its line; undefined while it has not been seen. */
  rest: string | undefined;
  readonly #mark: Buffer;
  #held: Buffer | undefined = Buffer.alloc(0);

  constructor(mark: string) {
    this.#mark = Buffer.from(mark);
  }

  push(chunk: Buffer): Buffer {
    if (this.#held === undefined) return chunk;
    const held = Buffer.concat([this.#held, chunk]);
    const at = held.indexOf(this.#mark);
    const end = at < 0 ? -1 : held.indexOf(NEWLINE, at);
    if (end >= 0) {
      this.rest = held.toString('latin1', at + this.#mark.length, end).trim();
      this.#held = undefined;
      return held.subarray(end + 1);
    }
    if (held.length > MOST) {
      this.#held = undefined;
      return held;
    }
    this.#held = held;
    return Buffer.alloc(0);
  }

  /** What was withheld for a mark that did not come. */
  end(): Buffer {
    const held = this.#held ?? Buffer.alloc(0);
    this.#held = undefined;
    return held;
  }
}
