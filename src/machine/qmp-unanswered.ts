import { MachineError } from '../errors.ts';

export interface QmpCommandOptions {
  /** How long the answer may take, ms. @default 10000 */
  readonly timeoutMs?: number;
  /** Gives the answer up. QEMU does not hear of it: the command may still be carried out. */
  readonly signal?: AbortSignal | undefined;
  /** Neither arguments nor answer are logged or told in an error, as for keys that type a password. */
  readonly secret?: boolean;
  /** Left out of the log, answer and all, unless it fails: a question that is asked again and again. */
  readonly routine?: boolean;
}

/** A command whose answer has not come. */
export interface Sent {
  readonly id: number;
  readonly command: string;
  readonly secret: boolean;
  readonly routine: boolean;
  /** False when it took too long or was given up: what comes now is not wanted. */
  readonly wanted: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const COMMAND_MS = 10_000;
/** QEMU reads one command after the other: one that owes so many answers does not read any more. */
const MAX_UNANSWERED = 64;

/** Where to look when QEMU fell silent. */
export const RUN_FOLDER = 'qmp.log and qemu.stderr in the run folder tell what QEMU did last.';

/** The commands QEMU has not answered. One that was given up stays until its answer comes, and counts. */
export class Unanswered {
  readonly #sent = new Map<number, Sent>();
  #nextId = 1;

  /** The id of the next command; ids are never used again. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Enters a command under `nextId`. The promise rejects by itself after the time limit and when the signal is aborted. */
  add(command: string, options: QmpCommandOptions): Promise<unknown> {
    const { timeoutMs: limit = COMMAND_MS, signal, secret = false, routine = false } = options;
    if (this.#sent.size >= MAX_UNANSWERED) {
      throw new MachineError('qmp.busy', `Cannot ${command} in QEMU: it has not answered ${MAX_UNANSWERED} commands`, {
        hint: RUN_FOLDER,
        evidence: { command },
      });
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          then(value);
        };
      const sent = { id, command, secret, routine, wanted: true, resolve: settle(resolve), reject: settle(reject) };
      const giveUp = (error: unknown): void => {
        sent.wanted = false;
        sent.reject(error);
      };
      const onAbort = (): void => giveUp(signal?.reason);
      const timer = setTimeout(() => {
        giveUp(
          new MachineError('qmp.timeout', `Cannot ${command} in QEMU: no answer within ${limit} ms`, {
            hint: RUN_FOLDER,
            evidence: { command },
          }),
        );
      }, limit);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#sent.set(id, sent);
    });
  }

  /**
   * Takes out the command that an answer belongs to; undefined when there is none. An error without an id is about a
   * line QEMU could not read: with one command under way it can only be that one.
   */
  take(answer: { readonly type: 'return' | 'error'; readonly id: unknown }): Sent | undefined {
    const lone = answer.type === 'error' && answer.id === undefined && this.#sent.size === 1;
    const id = lone ? [...this.#sent.keys()][0] : answer.id;
    const sent = typeof id === 'number' ? this.#sent.get(id) : undefined;
    if (sent !== undefined) this.#sent.delete(sent.id);
    return sent;
  }

  rejectAll(error: (command: string) => unknown): void {
    const all = [...this.#sent.values()];
    this.#sent.clear();
    for (const sent of all) sent.reject(error(sent.command));
  }
}
