/** What comes out of one stream of a command: to its tail, the transcript, a listener, or a sink of bytes. */

import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { Tail } from './output.ts';
import { Preamble } from './preamble.ts';
import { Scrubber } from './scrub.ts';

export interface IntakeOptions {
  readonly mark: string;
  /** Takes the bytes as they are, instead of tail, transcript and listener. It is not ended. */
  readonly sink?: Writable | undefined;
  /** Told masked text. */
  readonly listeners: readonly ((text: string) => void)[];
  readonly active: () => void;
  readonly hold: () => void;
}

export class Intake {
  readonly tail = new Tail();
  readonly preamble: Preamble;
  readonly #decoder = new StringDecoder('utf8');
  readonly #scrubber: Scrubber;
  readonly #options: IntakeOptions;
  readonly #source: Readable;
  #waiting = false;

  constructor(source: Readable, options: IntakeOptions) {
    this.#source = source;
    this.#options = options;
    this.preamble = new Preamble(options.mark);
    this.#scrubber = new Scrubber((text) => {
      for (const listener of options.listeners) listener(text);
    });
    source.on('data', (chunk: Buffer) => {
      options.active();
      this.#take(this.preamble.push(chunk));
    });
  }

  /** Nothing more comes. */
  end(): void {
    this.#take(this.preamble.end());
    this.#text(this.#decoder.end());
    this.#scrubber.end();
  }

  #take(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const { sink, active, hold } = this.#options;
    if (sink === undefined) {
      this.#text(this.#decoder.write(bytes));
      return;
    }
    if (sink.destroyed || sink.write(bytes) || this.#waiting) return;
    this.#waiting = true;
    this.#source.pause();
    hold();
    sink.once('drain', () => {
      this.#waiting = false;
      active();
      this.#source.resume();
    });
  }

  #text(text: string): void {
    if (text === '') return;
    this.tail.add(text);
    this.#scrubber.write(text);
  }
}
