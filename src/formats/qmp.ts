/**
 * QMP's wire form: one JSON object a line (QEMU docs/interop/qmp-spec). QEMU ends its lines with CRLF, writes ASCII and
 * reads UTF-8.
 *
 * Numbers are doubles on this side: an integer beyond 2^53 that QEMU sends is rounded to the nearest double, and one
 * that compose would send is refused, since it may already be another than was meant.
 */
import { MachineError } from '../errors.ts';

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** When QEMU saw it, microseconds since 1970; negative when QEMU could not tell the time. */
  readonly at: number;
}

export interface QmpGreeting {
  /** `7.2.22`; a part that is not told is `?`. */
  readonly version: string;
  /** What the distributor calls it, often empty. */
  readonly package: string;
  readonly capabilities: readonly string[];
}

export type QmpMessage =
  | ({ readonly type: 'greeting' } & QmpGreeting)
  | { readonly type: 'return'; readonly id: unknown; readonly value: unknown }
  /** `id` is undefined when QEMU could not read so far (qmp-spec, "Error"). */
  | { readonly type: 'error'; readonly id: unknown; readonly errorClass: string; readonly description: string }
  | ({ readonly type: 'event' } & QmpEvent);

/** Longest line taken, bytes: twenty times what `query-qmp-schema` answers. */
export const MAX_LINE = 4 * 1024 * 1024;
/** Deepest nesting taken and sent; QEMU's own parser stops here too (qobject/json-parser.c). */
export const MAX_DEPTH = 1024;

const FIRST_HELD = 4096;
const LF = 0x0a;
const CR = 0x0d;

/** Splits a byte stream into lines, however it was cut on the way. What is held grows no longer than a line may be. */
export class LineSplitter {
  readonly #max: number;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #held = new Uint8Array(0);
  #length = 0;

  constructor(max: number = MAX_LINE) {
    this.#max = max;
  }

  /**
   * Hands each line that `bytes` completes to `take`, without its LF or CRLF. A callback, so that the lines before one
   * that is too long are taken. Bytes that are no UTF-8 become U+FFFD.
   * @throws MachineError `qmp.too-long`
   */
  push(bytes: Uint8Array, take: (line: string) => void): void {
    let start = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
      const piece = bytes.subarray(start, end);
      start = end + 1;
      if (this.#length === 0) take(this.#text(piece));
      else {
        this.#hold(piece);
        const whole = this.#held.subarray(0, this.#length);
        this.#length = 0;
        const line = this.#text(whole);
        if (this.#held.length > 16 * FIRST_HELD) this.#held = new Uint8Array(0);
        take(line);
      }
    }
    this.#hold(bytes.subarray(start));
  }

  #hold(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    this.#check(length);
    if (length > this.#held.length) {
      const size = Math.min(this.#max, Math.max(FIRST_HELD, 2 * this.#held.length, length));
      const grown = new Uint8Array(size);
      grown.set(this.#held.subarray(0, this.#length));
      this.#held = grown;
    }
    this.#held.set(piece, this.#length);
    this.#length = length;
  }

  #text(line: Uint8Array): string {
    this.#check(line.length);
    return this.#decoder.decode(line.at(-1) === CR ? line.subarray(0, -1) : line);
  }

  #check(length: number): void {
    if (length <= this.#max) return;
    throw new MachineError('qmp.too-long', `Cannot read QMP: a line is longer than ${this.#max} bytes`, {
      hint: 'What QEMU wrote before it is in qmp.log.',
    });
  }
}

/** What a line says. @throws MachineError `qmp.damaged` */
export function parseQmp(line: string): QmpMessage {
  let message: unknown;
  try {
    if (line.length > 2 * MAX_DEPTH && isDeep(line)) throw new RangeError(`nested deeper than ${MAX_DEPTH}`);
    message = JSON.parse(line);
  } catch (cause) {
    throw damaged(line, cause);
  }
  if (!isRecord(message)) throw damaged(line);
  const kinds = ['QMP', 'return', 'error', 'event'].filter((kind) => Object.hasOwn(message, kind));
  if (kinds.length !== 1) throw damaged(line);
  const { id } = message;
  if (isRecord(message.QMP)) return greeting(message.QMP);
  if (kinds[0] === 'return') return { type: 'return', id, value: message.return };
  if (isRecord(message.error)) {
    const { class: errorClass, desc } = message.error;
    return { type: 'error', id, errorClass: text(errorClass, 'unknown'), description: text(desc, 'no reason') };
  }
  if (typeof message.event === 'string') {
    const stamp = isRecord(message.timestamp) ? message.timestamp : {};
    const at = wholeNumber(stamp.seconds) * 1e6 + wholeNumber(stamp.microseconds);
    return { type: 'event', event: message.event, data: isRecord(message.data) ? message.data : {}, at };
  }
  throw damaged(line);
}

/**
 * The line that sends a command, LF included. Members that are undefined are left out.
 * @throws MachineError `qmp.unsendable` for text with half a surrogate pair, an integer beyond 2^53, a number that is
 * none, and what JSON has no form for: QEMU would answer such a line without its id, or take another value
 */
export function encodeCommand(command: string, args: object, id: number): string {
  const refuse = (why: string, cause?: unknown): MachineError =>
    new MachineError('qmp.unsendable', `Cannot send ${command} to QEMU: ${why}`, { cause });
  const check = (key: string, value: unknown): unknown => {
    if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) throw refuse(`half a character in ${key}`);
    if (typeof value === 'bigint') throw refuse(`a big integer in ${key}`);
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) throw refuse(`no number in ${key} (${value})`);
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw refuse(`not exact: ${key} (${value})`);
    }
    return value;
  };
  try {
    const line = JSON.stringify({ execute: command, arguments: args, id }, check);
    if (line.length > 2 * MAX_DEPTH && isDeep(line)) throw refuse(`nested deeper than ${MAX_DEPTH}`);
    return `${line}\n`;
  } catch (cause) {
    throw cause instanceof MachineError ? cause : refuse('its arguments have no JSON form', cause);
  }
}

/** Brackets outside of strings, counted before the parser makes an object of each: a line of 4 MiB can open millions. */
function isDeep(line: string): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < line.length; at++) {
    const unit = line.charCodeAt(at);
    if (inString) {
      if (unit === 0x5c) at++;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > MAX_DEPTH) return true;
    } else if (unit === 0x7d || unit === 0x5d) depth--;
  }
  return false;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function greeting(body: Record<string, unknown>): QmpMessage {
  const version = isRecord(body.version) ? body.version : {};
  const qemu = isRecord(version.qemu) ? version.qemu : {};
  const part = (value: unknown): string => (Number.isSafeInteger(value) ? String(value) : '?');
  const capabilities = Array.isArray(body.capabilities) ? body.capabilities : [];
  return {
    type: 'greeting',
    version: [qemu.major, qemu.minor, qemu.micro].map(part).join('.'),
    package: text(version.package, ''),
    capabilities: capabilities.filter((name): name is string => typeof name === 'string'),
  };
}

function text(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

function wholeNumber(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
}

function damaged(line: string, cause?: unknown): MachineError {
  const shown = JSON.stringify(line.slice(0, 80));
  return new MachineError('qmp.damaged', `Cannot read QMP: this is not a message of it (${shown})`, { cause });
}
