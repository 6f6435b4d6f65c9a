/** QMP's wire form: one JSON object a line (QEMU docs/interop/qmp-spec). */
import { FormatError } from '../errors.ts';

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** When QEMU saw it, microseconds since 1970. */
  readonly at: number;
}

export type QmpMessage =
  | { readonly type: 'greeting'; readonly version: string }
  | { readonly type: 'return'; readonly id: unknown; readonly value: unknown }
  | { readonly type: 'error'; readonly id: unknown; readonly errorClass: string; readonly description: string }
  | ({ readonly type: 'event' } & QmpEvent);

/** Longest line taken: `query-qmp-schema` answers about 200 KiB. */
export const MAX_LINE = 16 * 1024 * 1024;

/** Splits a byte stream into lines, however it was cut on the way. */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  #length = 0;

  /** Whole lines that `bytes` completes. @throws FormatError `qmp.too-long` */
  push(bytes: Uint8Array): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      this.#keep(bytes.subarray(start, end));
      lines.push(this.#take());
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    return lines;
  }

  #keep(part: Uint8Array): void {
    this.#length += part.length;
    if (this.#length > MAX_LINE) {
      throw new FormatError('qmp.too-long', `Cannot read QMP: a line is longer than ${MAX_LINE} bytes`);
    }
    if (part.length > 0) this.#parts.push(part.slice());
  }

  #take(): string {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    return new TextDecoder().decode(whole).trim();
  }
}

/** What a line says. @throws FormatError `qmp.damaged` */
export function parseQmp(line: string): QmpMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw damaged(line, cause);
  }
  if (typeof value !== 'object' || value === null) throw damaged(line);
  const message = value as Record<string, unknown>;
  if (isRecord(message.QMP)) return { type: 'greeting', version: versionText(message.QMP.version) };
  if ('return' in message) return { type: 'return', id: message.id, value: message.return };
  if (isRecord(message.error)) {
    const { class: errorClass, desc } = message.error;
    return { type: 'error', id: message.id, errorClass: String(errorClass), description: String(desc) };
  }
  if (typeof message.event === 'string') {
    const stamp = isRecord(message.timestamp) ? message.timestamp : {};
    const at = Number(stamp.seconds ?? 0) * 1e6 + Number(stamp.microseconds ?? 0);
    return { type: 'event', event: message.event, data: isRecord(message.data) ? message.data : {}, at };
  }
  throw damaged(line);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function versionText(version: unknown): string {
  const qemu = isRecord(version) && isRecord(version.qemu) ? version.qemu : {};
  return [qemu.major, qemu.minor, qemu.micro].map((part) => String(part ?? '?')).join('.');
}

function damaged(line: string, cause?: unknown): FormatError {
  return new FormatError('qmp.damaged', `Cannot read QMP: this is not a message of it (${line.slice(0, 80)})`, {
    cause,
  });
}
