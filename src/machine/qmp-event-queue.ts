import { MachineError } from '../errors.ts';
import type { QmpEvent } from '../formats/qmp.ts';

/** Events held for a reader that is busy. */
export const MAX_QUEUED = 1024;

interface Waiter {
  readonly resolve: (result: IteratorResult<QmpEvent, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Events in their order and without gaps: a reader that lets more than `MAX_QUEUED` of them wait is handed those that
 * wait, and then the error `qmp.events-lost`. It never goes on as if it had seen all.
 */
export class EventQueue implements AsyncIterableIterator<QmpEvent, undefined, undefined> {
  readonly #queued: QmpEvent[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #onEnd: (queue: EventQueue) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #ended: { readonly error?: unknown } | undefined;

  /** `onEnd` is called once, when no more events are wanted. */
  constructor(onEnd: (queue: EventQueue) => void, signal?: AbortSignal) {
    this.#onEnd = onEnd;
    this.#signal = signal;
    this.#onAbort = () => {
      this.#queued.length = 0;
      this.end({ error: signal?.reason });
    };
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** False when no more events are taken. */
  get open(): boolean {
    return this.#ended === undefined;
  }

  push(event: QmpEvent): void {
    if (this.#ended !== undefined) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter.resolve({ done: false, value: event });
    else if (this.#queued.length < MAX_QUEUED) this.#queued.push(event);
    else {
      const error = new MachineError(
        'qmp.events-lost',
        `Cannot follow the events of QEMU: over ${MAX_QUEUED} of them wait to be read (${event.event})`,
        { hint: 'Ask only for the events that are wanted, and read them without waiting for other things.' },
      );
      this.end({ error });
    }
  }

  /** No more events: readers get what is queued, then `error` where there is one, or the end. */
  end(how: { readonly error?: unknown }): void {
    if (this.#ended !== undefined) return;
    this.#ended = how;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#onEnd(this);
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter);
  }

  /** The error is thrown once; after it the iteration is over, as for a generator. */
  #settle({ resolve, reject }: Waiter): void {
    const ended = this.#ended;
    this.#ended = {};
    if (ended !== undefined && 'error' in ended) reject(ended.error);
    else resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<QmpEvent, undefined>> {
    return new Promise((resolve, reject) => {
      const event = this.#queued.shift();
      if (event !== undefined) resolve({ done: false, value: event });
      else if (this.#ended !== undefined) this.#settle({ resolve, reject });
      else this.#waiters.push({ resolve, reject });
    });
  }

  async return(): Promise<IteratorResult<QmpEvent, undefined>> {
    this.#queued.length = 0;
    this.end({});
    this.#ended = {};
    return { done: true, value: undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
