/** One command's channel: how it ends, and the clock it runs against. */
import type { ClientChannel } from 'ssh2';
import { ProvisionError } from '../errors.ts';

/** A command that has exited and writes nothing for so long has left a process behind that holds its output open. */
const LEFT_BEHIND_MS = 2000;

export interface OpenChannel {
  readonly channel: ClientChannel;
  readonly closed: Promise<{ exitCode: number; signal: string | undefined }>;
  /** Says that output has come. */
  readonly active: () => void;
  /** Says that output is not read for now, because whoever takes it is slow. */
  readonly hold: () => void;
}

/**
 * Watches a channel from inside the callback that opened it: acceptance, output and status may come in one piece, and a
 * listener added a microtask later misses the status.
 */
export function watchChannel(channel: ClientChannel): OpenChannel {
  let active = (): void => {};
  let hold = (): void => {};
  const closed = new Promise<{ exitCode: number; signal: string | undefined }>((resolve) => {
    let exitCode = -1;
    let signal: string | undefined;
    let idle: NodeJS.Timeout | undefined;
    let exited = false;
    let held = false;
    let over = false;
    const watch = (): void => {
      clearTimeout(idle);
      if (exited && !held && !over) idle = setTimeout(() => channel.close(), LEFT_BEHIND_MS);
    };
    active = () => {
      held = false;
      if (exited) watch();
    };
    hold = () => {
      held = true;
      clearTimeout(idle);
    };
    channel.on('exit', (code: number | null, name?: string) => {
      exitCode = code ?? -1;
      signal = name ?? undefined;
      exited = true;
      watch();
    });
    channel.on('close', () => {
      over = true;
      clearTimeout(idle);
      resolve({ exitCode, signal });
    });
  });
  return { channel, closed, active: () => active(), hold: () => hold() };
}

/** Rejects when a command has taken too long or was aborted. */
export class Deadline {
  readonly expired: Promise<never>;
  /** Whether the command took too long. */
  late = false;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #signal: AbortSignal | undefined;
  #onAbort: () => void = () => {};

  constructor(
    command: string,
    options: {
      readonly timeoutMs?: number | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly limit?: AbortSignal | undefined;
    },
  ) {
    const { timeoutMs, signal, limit } = options;
    let timer: NodeJS.Timeout | undefined;
    this.expired = new Promise((_, reject) => {
      this.#onAbort = () => {
        this.late ||= limit?.aborted === true;
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', this.#onAbort, { once: true });
      if (timeoutMs === undefined) return;
      timer = setTimeout(() => {
        this.late = true;
        const what = `Cannot go on: a command in the guest took longer than ${Math.round(timeoutMs / 1000)} s`;
        reject(new ProvisionError('command.timeout', what, { evidence: { command } }));
      }, timeoutMs);
    });
    this.expired.catch(() => {});
    this.#timer = timer;
    this.#signal = signal;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
