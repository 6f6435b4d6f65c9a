/** What becomes of the text a command writes. */
import { scrub } from '../errors.ts';

const KEPT = 1024 * 1024;

/** Text with its secrets masked, a line at a time: a secret may come in two pieces. */
export class Masked {
  readonly #write: (text: string) => void;
  #partial = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  write(text: string): void {
    const whole = this.#partial + text;
    const end = whole.length > LONGEST_LINE ? whole.length : whole.lastIndexOf('\n') + 1;
    this.#partial = whole.slice(end);
    if (end > 0) this.#write(scrub(whole.slice(0, end)));
  }

  end(): void {
    if (this.#partial !== '') this.#write(`${scrub(this.#partial)}\n`);
    this.#partial = '';
  }
}

const LONGEST_LINE = 256 * 1024;

/** The end of a text, bounded. */
export class Tail {
  text = '';

  add(more: string): void {
    this.text = (this.text + more).slice(-KEPT);
  }
}
