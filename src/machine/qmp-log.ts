import { createWriteStream, type WriteStream } from 'node:fs';
import { registerSecret, scrub } from '../errors.ts';
import { isRecord } from '../formats/qmp.ts';

/** A line longer than this is cut in the log: the schema alone has 200 KB. */
const SHOWN_LINE = 16 * 1024;
const SHOWN_START = 512;
/** Characters of one log; what comes later is left out. Bounds the disk, and the memory when the disk is slow. */
const MAX_LOG = 16 * 1024 * 1024;

/** `>` sent, `<` received, `!` what compose has to say about it. */
export type QmpLogSign = '>' | '<' | '!';

/**
 * The record of a QMP session: one line each, the milliseconds since it began first. A log that cannot be written ends
 * without a word: it is evidence, not what the session is for.
 */
export class QmpLog {
  readonly #stream: WriteStream;
  readonly #start = performance.now();
  readonly #ended: Promise<void>;
  #left = MAX_LOG;

  /** Appends to the file `path`. */
  constructor(path: string) {
    this.#stream = createWriteStream(path, { flags: 'a', mode: 0o600 });
    this.#ended = new Promise((resolve) => this.#stream.once('close', resolve));
    this.#stream.on('error', () => {
      this.#left = 0;
    });
    this.write('!', `session began ${new Date().toISOString()}`);
  }

  write(sign: QmpLogSign, text: string): void {
    if (this.#left <= 0 || this.#stream.writableEnded) return;
    // Before it is cut: half a secret would not be found.
    const clean = scrub(text);
    const cut = clean.length > SHOWN_LINE ? `${clean.slice(0, SHOWN_START)} … (${clean.length} characters)` : clean;
    const ms = (performance.now() - this.#start).toFixed(1).padStart(10);
    const line = `${ms} ${sign} ${cut}\n`;
    this.#left -= line.length;
    this.#stream.write(this.#left > 0 ? line : `${ms} ! the log is full\n`);
  }

  /** Resolves when the file is written and closed; may be called again. */
  async end(): Promise<void> {
    this.#stream.end();
    await this.#ended;
  }
}

const HIDDEN = '***';
const SECRET_NAME = /^(password|passphrase|secret|token)$/i;
/** What the human monitor takes a password in. */
const SECRET_TEXT = /^(\s*(?:set_password\s+\S+|change\s+\S+\s+password)\s+)(.+)/;

/**
 * A command's arguments as they may be seen. A password found among them is registered (`registerSecret`), so that
 * QEMU's answers, which may quote it, and every error hide it too; one of less than four characters is hidden only here.
 */
export function hideSecrets(args: object): object {
  const seen = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    if (SECRET_NAME.test(key)) {
      register(value);
      return HIDDEN;
    }
    return value.replace(SECRET_TEXT, (_, before: string, secret: string) => {
      // The word alone too: what follows it may be an option.
      for (const part of [secret, secret.split(/\s/)[0] ?? '']) register(part);
      return before + HIDDEN;
    });
  };
  const shown: unknown = JSON.parse(JSON.stringify(args, seen));
  return isRecord(shown) ? shown : {};
}

/** Also as it stands in the JSON that compose and QEMU write; QEMU's is ASCII. */
function register(secret: string): void {
  const escaped = JSON.stringify(secret).slice(1, -1);
  const unit = (char: string): string => `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  registerSecret(secret);
  registerSecret(escaped);
  registerSecret(escaped.replace(/[^\x20-\x7e]/g, unit));
}
