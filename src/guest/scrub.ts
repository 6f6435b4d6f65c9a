/** Secrets masked in text that comes in pieces. */
import { scrub, secretWords } from '../errors.ts';

/** A URL's password is waited for no longer than this many characters. */
const LONGEST_URL = 2048;
/** `scheme://user:` whose password may still be coming, or the beginning of it. */
const URL_OPEN = /:(?:\/(?:\/[^\s/@]*)?)?$/;

/**
 * Text with every secret replaced by `***`, also one cut by the pieces it came in. Only what may be the beginning of a
 * secret is held back, so that a prompt without a line's end is still told.
 */
export class Scrubber {
  readonly #write: (text: string) => void;
  #held = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  write(text: string): void {
    const whole = this.#held + text;
    const cut = safeCut(whole);
    this.#held = whole.slice(cut);
    if (cut > 0) this.#write(scrub(whole.slice(0, cut)));
  }

  end(): void {
    const held = this.#held;
    this.#held = '';
    if (held !== '') this.#write(scrub(held));
  }
}

/** Up to where `text` can be masked for good: no secret lies across that place, or may. */
function safeCut(text: string): number {
  const words = secretWords();
  let cut = text.length;
  for (const word of words) {
    for (let at = Math.max(0, text.length - word.length + 1); at < cut; at++) {
      if (text[at] === word[0] && word.startsWith(text.slice(at))) cut = at;
    }
  }
  const url = URL_OPEN.exec(text.slice(-LONGEST_URL));
  if (url !== null) cut = Math.min(cut, Math.max(0, text.length - LONGEST_URL) + url.index);
  for (let moved = true; moved; ) {
    moved = false;
    for (const word of words) {
      const at = text.indexOf(word, Math.max(0, cut - word.length + 1));
      if (at < 0 || at >= cut) continue;
      cut = at;
      moved = true;
    }
  }
  return cut;
}

/** The last lines of what a command wrote, masked, fit for an error's evidence. */
export function lastLines(text: string, count = 15): string[] {
  const lines = scrub(text).trimEnd().split('\n').slice(-count);
  return lines.map((line) => (line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)} …` : line));
}

const LONGEST_LINE = 400;
