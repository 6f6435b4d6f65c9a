import type { ComposeEvent } from '../../events.ts';

export type LogStyle = 'tty' | 'plain' | 'ndjson';

/** A subscriber of a run's events that shows them on standard error; standard output is left to results. */
export interface Renderer {
  event(event: ComposeEvent): void;
  /** Leaves the terminal clean; called once before a result or an error is printed. */
  close(): void;
}

export interface Screen {
  write(text: string): void;
  readonly columns: number;
  /** Lines it has; undefined where nobody knows. */
  readonly rows?: number;
  readonly color: boolean;
}

/** The screen behind a stream: no colour when it is not a terminal or NO_COLOR is set. */
export function screenOf(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env): Screen {
  return {
    write: (text) => void stream.write(text),
    get columns() {
      return stream.columns ?? 100;
    },
    get rows() {
      return stream.rows ?? 24;
    },
    color: stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
  };
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

export type Paint = (style: keyof typeof CODES, text: string) => string;

export function painter(color: boolean): Paint {
  return (style, text) => (color ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text);
}

const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** `text` without escape sequences and other control bytes, so that a guest cannot move the operator's cursor. */
export function printable(text: string): string {
  return text.replace(ESCAPES, '').replace(CONTROLS, '');
}
