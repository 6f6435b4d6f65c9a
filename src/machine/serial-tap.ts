import type { Context, Emit } from '../events.ts';
import { Bell } from './watch.ts';

/** Characters kept; a waiter that is further behind has lost the beginning. */
const KEPT = 256 * 1024;
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[()][0-9A-Za-z]|[@-_])/g;
/** Bytes that move the cursor or draw nothing. A terminal that wraps writes a space before the return; it is no text. */
const MOVES = / \r(?!\n)|[\u0000-\u001f\u007f]/g;

/** What a guest says on its serial line, to be looked at by position. */
export class SerialTap {
  /** In pieces: one long string would be copied for every look at its end. */
  readonly #pieces: string[] = [];
  #kept = 0;
  #end = 0;
  /** Rung for every piece of text. */
  readonly bell = new Bell();

  /** Adds text as it comes. */
  push(text: string): void {
    this.#pieces.push(text);
    this.#kept += text.length;
    this.#end += text.length;
    while (this.#kept - (this.#pieces[0]?.length ?? 0) > KEPT) this.#kept -= this.#pieces.shift()?.length ?? 0;
    this.bell.ring();
  }

  /** Position behind the last character; grows only. */
  get end(): number {
    return this.#end;
  }

  /** What was said from `position` on, as far as it is kept. */
  since(position: number): string {
    let start = this.#end;
    let first = this.#pieces.length;
    while (start > position && first > 0) start -= this.#pieces[--first]!.length;
    return this.#pieces
      .slice(first)
      .join('')
      .slice(Math.max(0, position - start));
  }
}

/** `text` as it stands on a terminal in one long line: without escape sequences, returns and other movements. */
export function flat(text: string): string {
  return text.replace(ESCAPES, '').replace(MOVES, '');
}

/** `text` without escape sequences, its lines as they are. */
export function withoutEscapes(text: string): string {
  return text.replace(ESCAPES, '');
}

/** `context` as before, and a tap of every serial line whose output is told through it. */
export function tapSerial(context: Context): { readonly context: Context; readonly tap: SerialTap } {
  const tap = new SerialTap();
  const emit: Emit = (event) => {
    if (event.type === 'output' && event.stream === 'serial') tap.push(event.text);
    context.emit(event);
  };
  return { context: { emit, signal: context.signal }, tap };
}
