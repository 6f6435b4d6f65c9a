/**
 * Every failure compose can explain. One class for each thing a caller would catch apart; `code` tells the cases of a
 * class from one another and never changes meaning.
 */

const BRAND = Symbol.for('compose.error');

/** Facts that prove the cause: the last serial lines, an argv, a path, a byte position. Printed as `key: value`. */
export type Evidence = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface ComposeErrorOptions {
  /** What the reader can do next, a whole sentence, with the command to type where there is one. */
  readonly hint?: string | undefined;
  readonly evidence?: Evidence | undefined;
  readonly cause?: unknown;
  /** The stage that failed; the conductor fills it in where the thrower did not. */
  readonly phase?: string | undefined;
}

let secrets: readonly string[] = [];

/**
 * From now on `value` is replaced by `***` in errors and events, its lines each by itself, and what base64 and URLs make of
 * it. Values shorter than four characters are ignored.
 */
export function registerSecret(value: string): void {
  if (value.length < 4 || secrets.includes(value)) return;
  const lines = value.includes('\n') ? value.split('\n').filter((line) => line.length >= 8) : [];
  const fresh = [value, ...lines, encodeURIComponent(value), ...base64Forms(value)];
  // Longest first: the lines of a key are secrets too, and masking one of them would hide the whole from its own mask.
  secrets = [...new Set([...secrets, ...fresh])].sort((a, b) => b.length - a.length);
}

/**
 * What stands in base64 for `value` wherever it begins in the encoded text: three bytes make four characters, so there are
 * three forms, each without the characters at its ends that neighbours share. Forms under six characters are left out.
 */
function base64Forms(value: string): string[] {
  const bytes = Buffer.from(value);
  const forms = [0, 1, 2].flatMap((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const shared = (shift + bytes.length) % 3 === 0 ? 0 : 1;
    const form = text.slice(shift === 0 ? 0 : shift + 1, text.length - shared);
    return [form, form.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return forms.filter((form) => form.length >= 6);
}

/** All that is masked, longest first. */
export function secretWords(): readonly string[] {
  return secrets;
}

/** `text` with every registered secret, and the password of every URL in it, replaced by `***`. */
export function scrub(text: string): string {
  // Not anchored at the scheme: its characters are those of base64, and a long line of them would take quadratic time.
  let out = text.replace(/(:\/\/[^\s/:@]*):[^\s/@]+@/g, '$1:***@');
  for (const secret of secrets) out = out.replaceAll(secret, '***');
  return out;
}

/** For `JSON.stringify`: texts without secrets. Scrubbed after it, one that JSON escapes would be missed. */
export function scrubbed(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? scrub(value) : value;
}

function scrubEvidence(evidence: Evidence): Evidence {
  const entries = Object.entries(evidence).map(([key, value]) => {
    if (typeof value === 'string') return [key, scrub(value)] as const;
    if (Array.isArray(value)) return [key, value.map((line: string) => scrub(line))] as const;
    return [key, value] as const;
  });
  return Object.fromEntries(entries);
}

/**
 * Base of all errors a user can reach. Message form: "Cannot <do what>: <why> (<value>)", no final period.
 * `code` is dotted lower case, `<area>.<case>` (`qcow2.truncated`, `ssh.auth-refused`).
 */
export class ComposeError extends Error {
  readonly code: string;
  /** Process exit status of the CLI for this class (design section 4). */
  readonly exitCode: number = 1;
  readonly hint: string | undefined;
  readonly evidence: Evidence;
  phase: string | undefined;

  constructor(code: string, message: string, options: ComposeErrorOptions = {}) {
    super(scrub(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint === undefined ? undefined : scrub(options.hint);
    this.evidence = scrubEvidence(options.evidence ?? {});
    this.phase = options.phase;
    Object.defineProperty(this, BRAND, { value: true });
  }

  toJSON(): Record<string, unknown> {
    return {
      name: this.name,
      code: this.code,
      message: this.message,
      phase: this.phase,
      hint: this.hint,
      evidence: this.evidence,
      exitCode: this.exitCode,
      cause: causeText(this.cause),
    };
  }
}

/** A command line that cannot be understood. Exit 2. */
export class UsageError extends ComposeError {
  override readonly exitCode = 2;
}
/** A recipe, variable or answer that cannot work. Exit 2. */
export class RecipeError extends ComposeError {
  override readonly exitCode = 2;
}
/** The host lacks something required: a tool, firmware, memory, disk. Exit 3. */
export class HostError extends ComposeError {
  override readonly exitCode = 3;
}
/** Media that cannot be fetched, or is not what its checksum says. Exit 4. */
export class SourceError extends ComposeError {
  override readonly exitCode = 4;
}
/** QEMU, firmware, boot and shutdown. Exit 5. */
export class MachineError extends ComposeError {
  override readonly exitCode = 5;
}
/** SSH and the provision steps. Exit 6. */
export class ProvisionError extends ComposeError {
  override readonly exitCode = 6;
}
/** A disk, partition table, file system or archive whose bytes are damaged or unsupported. Exit 7. */
export class FormatError extends ComposeError {
  override readonly exitCode = 7;
}
/** Reading the disk or writing an artifact. Exit 7. */
export class PackError extends ComposeError {
  override readonly exitCode = 7;
}
/** The artifact would not deploy or carries a secret. Exit 8. */
export class VerifyError extends ComposeError {
  override readonly exitCode = 8;
}
/** A MAAS that cannot be reached, refuses, or breaks an upload; a stream that cannot be written. Exit 9. */
export class PublishError extends ComposeError {
  override readonly exitCode = 9;
}
/** Interrupted by the user or a signal. Exit 130. */
export class InterruptedError extends ComposeError {
  override readonly exitCode = 130;
}

/** True for a ComposeError of any copy of this package, also after it crossed a realm. */
export function isComposeError(value: unknown): value is ComposeError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}

/** The cause chain in one line, outermost first. */
export function causeText(cause: unknown): string | undefined {
  const parts: string[] = [];
  for (let at = cause, depth = 0; at !== undefined && at !== null && depth < 8; depth++) {
    parts.push(scrub(at instanceof Error ? at.message : String(at)));
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.length > 0 ? parts.join(': ') : undefined;
}
