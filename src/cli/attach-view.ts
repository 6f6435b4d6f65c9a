import { isComposeError, scrub } from '../errors.ts';
import type { Attached } from '../machine/attach.ts';
import { followFile } from '../machine/attach.ts';
import type { Layout } from '../machine/keys-layouts.ts';
import { readTextScreen } from '../machine/screen-text.ts';
import { withoutEscapes } from '../machine/serial-tap.ts';
import { Bell } from '../machine/watch.ts';
import { type Canvas, colorsOf, pictureLines, textScreenLines } from './render/guest-screen.ts';
import { printable } from './render/renderer.ts';
import { readTerminal, strokeEvents } from './terminal-keys.ts';

/** Looks are at least so far apart, ms; on a slow host they take at most a fifth of the time. */
const FRAME_MS = 150;
const SHARE = 5;
/** Lines of the serial console under the screen, where the terminal has room for them. */
const SERIAL_LINES = 6;
const SERIAL_BACK = 8 * 1024;

/** Such a machine shows its serial console alone; what is typed goes to its keyboard, as ever. */
const NO_SCREEN = { lines: [] as string[], what: 'no display adapter: its serial console, which takes no keys' };

const ENTER = '\u001b[?1049h\u001b[?25l\u001b[2J';
const EXIT = '\u001b[?25h\u001b[?1049l';

export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

/** Why the view ended. */
export type ViewEnd = 'left' | 'machine ended';

/** One picture of the guest as lines of text: its characters in a PC's text mode, else half blocks. */
export async function frame(
  attached: Attached,
  canvas: Canvas,
): Promise<{ readonly lines: string[]; readonly what: string }> {
  const picture = await attached.screen.take();
  const text = await readTextScreen(attached.screen, picture);
  const size = `${picture.width}x${picture.height}`;
  return text === undefined
    ? { lines: pictureLines(picture, canvas), what: size }
    : { lines: textScreenLines(text, canvas), what: `${size} text` };
}

/**
 * Shows the guest's screen and the end of its serial console in the terminal, and sends it what is typed there, until
 * Ctrl-] is typed, the machine ends, or `signal` aborts. The terminal is as it was afterwards.
 */
export async function viewGuest(
  attached: Attached,
  layout: Layout,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ViewEnd> {
  const { input, output } = terminal;
  const ending = new AbortController();
  const bell = new Bell();
  const serial = new SerialEnd(() => bell.ring());
  let end: ViewEnd | undefined;
  let sending = Promise.resolve();
  const stop = (why: ViewEnd): void => {
    end ??= why;
    bell.ring();
  };
  const onError = (error: unknown): void => {
    // A machine that is paused refuses keys, and one that hangs is late with its picture; only a closed socket is the end.
    if (isComposeError(error) && error.code !== 'qmp.closed') bell.ring();
    else stop('machine ended');
  };
  const onData = (data: string): void => {
    const { strokes, leave } = readTerminal(data, layout);
    const events = strokeEvents(strokes);
    if (events.length > 0) {
      // One after the other, in the order they were typed.
      sending = sending.then(() => attached.press(events)).then(() => bell.ring(), onError);
    }
    if (leave) stop('left');
  };
  const onAbort = (): void => stop('left');
  const painter = new Painter(output);
  const onResize = (): void => {
    painter.forget();
    bell.ring();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  input.setRawMode(true);
  input.setEncoding('utf8').on('data', onData).resume();
  output.on('resize', onResize);
  output.write(ENTER);
  const following = followFile(attached.run.serialLog, {
    back: SERIAL_BACK,
    signal: ending.signal,
    onText: (text) => serial.add(text),
  }).catch(() => {});
  try {
    while (end === undefined) {
      const { rung } = bell;
      const start = performance.now();
      try {
        await painter.paint(attached, serial);
      } catch (error) {
        onError(error);
      }
      const took = performance.now() - start;
      // Keys and serial text ask for a picture at once, but never for more than the host can give.
      if (end === undefined)
        await bell.next(Math.max(FRAME_MS, took * SHARE), took > FRAME_MS / SHARE ? bell.rung : rung);
    }
    return end;
  } finally {
    signal.removeEventListener('abort', onAbort);
    output.off('resize', onResize);
    input.off('data', onData).pause();
    input.setRawMode(false);
    output.write(EXIT);
    ending.abort();
    await following;
    await sending;
  }
}

/** Draws what differs from what it drew before. */
class Painter {
  readonly #output: NodeJS.WriteStream;
  #drawn: string[] = [];

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
  }

  /** The terminal has another size: all is drawn again. */
  forget(): void {
    this.#drawn = [];
    this.#output.write('\u001b[2J');
  }

  async paint(attached: Attached, serial: SerialEnd): Promise<void> {
    const [columns, rows] = [this.#output.columns ?? 80, this.#output.rows ?? 24];
    const canvas = { columns, rows: rows - 1, colors: colorsOf() };
    const { lines, what } = await frame(attached, canvas).catch((error: unknown) => {
      if (isComposeError(error) && error.code === 'screen.none') return NO_SCREEN;
      throw error;
    });
    const room = Math.min(lines.length === 0 ? rows : SERIAL_LINES, rows - 2 - lines.length);
    const console = room > 0 ? ['', ...serial.last(room).map((line) => line.slice(0, columns))] : [];
    const whole = [...lines, ...console];
    while (whole.length < rows - 1) whole.push('');
    const status = ` ${attached.run.name} · ${what} · Ctrl-] leaves `.slice(0, columns).padEnd(columns);
    whole.push(`\u001b[7m${status}\u001b[0m`);
    let out = '';
    for (const [row, line] of whole.entries()) {
      if (this.#drawn[row] !== line) out += `\u001b[${row + 1};1H${line}\u001b[0m\u001b[K`;
    }
    this.#drawn = whole;
    if (out !== '') this.#output.write(out);
  }
}

/** The last lines of a serial console, as plain text. */
class SerialEnd {
  #lines: string[] = [''];
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  add(text: string): void {
    const [first = '', ...more] = plainSerial(text).split('\n');
    this.#lines = [...this.#lines.slice(0, -1), `${this.#lines.at(-1)}${first}`.slice(-1000), ...more].slice(-50);
    this.#changed();
  }

  last(count: number): string[] {
    return this.#lines.filter((line, at) => line.trim() !== '' || at === this.#lines.length - 1).slice(-count);
  }
}

/** Serial text as it may be printed: no escape sequence of a guest reaches the operator's terminal, and no secret. */
export function plainSerial(text: string): string {
  return scrub(printable(withoutEscapes(text).replace(/\r\n|\n\r|\r/g, '\n')));
}
