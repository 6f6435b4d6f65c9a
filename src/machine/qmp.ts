import { connect, type Socket } from 'node:net';
import { MachineError } from '../errors.ts';
import {
  encodeCommand,
  LineSplitter,
  parseQmp,
  type QmpEvent,
  type QmpGreeting,
  type QmpMessage,
} from '../formats/qmp.ts';
import type { QmpCommandName, QmpCommands } from './qmp-commands.ts';
import { EventQueue } from './qmp-event-queue.ts';
import { eventTest, type QmpEventFilter, type QmpEventName, type QmpEventOf } from './qmp-events.ts';
import { hideSecrets, QmpLog, type QmpLogSign } from './qmp-log.ts';
import { type Mismatch, QmpSchema } from './qmp-schema.ts';
import { type QmpCommandOptions, RUN_FOLDER, type Sent, Unanswered } from './qmp-unanswered.ts';

export type { QmpCommandOptions } from './qmp-unanswered.ts';

export interface QmpOptions {
  /** Ends the connecting; a session that stands is ended by disposing it. */
  readonly signal: AbortSignal;
  /** File that every line sent and received is appended to, secrets hidden. */
  readonly log?: string | undefined;
  /** How long the greeting, and then the negotiation, may take, ms. @default 10000 */
  readonly greetingMs?: number;
}

/** How long an error waits for the schema that may explain it. */
const EXPLAIN_MS = 2000;

/**
 * A session with one QEMU: commands answered by id, events to every listener, closed when the peer closes.
 *
 * What this QEMU can do is asked once (`query-qmp-schema`), behind the first `cont` or when it is first needed, not
 * while connecting: QEMU works 25 to 30 ms on the answer and answers in order, so a guest would start that much later.
 * Until it is known a command is sent unchecked, which does no harm: QEMU refuses what it does not know before it does
 * anything (qmp-spec, "Compatibility Considerations"), and the refusal is then explained from the schema.
 */
export class QmpSession implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #socketClosed: Promise<void>;
  readonly #log: QmpLog | undefined;
  readonly #unanswered = new Unanswered();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #queues = new Map<EventQueue, (event: QmpEvent) => boolean>();
  readonly #greeting: Promise<QmpGreeting>;
  #onGreeting: { resolve(greeting: QmpGreeting): void; reject(error: unknown): void } | undefined;
  /** Why the session is over, for a command that needed it. */
  #ended: ((command: string) => unknown) | undefined;
  #schema: QmpSchema | undefined;
  #schemaAsked: Promise<QmpSchema> | undefined;
  /** QEMU's version, from the greeting. */
  version = '';

  private constructor(path: string, log: string | undefined) {
    this.#log = log === undefined ? undefined : new QmpLog(log);
    this.#greeting = new Promise((resolve, reject) => {
      this.#onGreeting = { resolve, reject };
    });
    this.#greeting.catch(() => {});
    this.#socket = connect(path);
    this.#socketClosed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.#read();
  }

  /**
   * Connects to the unix socket at `path`, takes the greeting and negotiates capabilities.
   * @throws MachineError `qmp.unreachable`, `qmp.no-greeting`, `qmp.timeout`, `qmp.closed`, `qmp.damaged`,
   *   `qmp.too-long`, `qmp.refused`; the signal's reason
   */
  static async connect(path: string, options: QmpOptions): Promise<QmpSession> {
    const { signal, greetingMs: limit = 10_000 } = options;
    signal.throwIfAborted();
    const session = new QmpSession(path, options.log);
    const onAbort = (): void => session.#end(() => signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(() => {
      session.#end(
        () => new MachineError('qmp.no-greeting', `Cannot talk to QEMU: no QMP greeting within ${limit} ms`),
      );
    }, limit);
    try {
      session.version = (await session.#greeting).version;
      clearTimeout(timer);
      await session.command('qmp_capabilities', {}, { timeoutMs: limit });
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #read(): void {
    const splitter = new LineSplitter();
    this.#socket.on('data', (data) => {
      try {
        splitter.push(data, (line) => {
          if (this.#ended === undefined && line.trim() !== '') this.#take(line);
        });
      } catch (error) {
        this.#end(() => error);
      }
    });
    let connected = false;
    this.#socket.once('connect', () => {
      connected = true;
    });
    this.#socket.on('error', (cause: NodeJS.ErrnoException) => {
      if (connected) this.#end((command) => closedByPeer(command, cause));
      else this.#end(() => unreachable(cause));
    });
    this.#socket.once('close', () => this.#end((command) => closedByPeer(command)));
  }

  #take(line: string): void {
    let message: QmpMessage;
    try {
      message = parseQmp(line);
    } catch (error) {
      this.#note('<', line);
      throw error;
    }
    if (message.type === 'greeting' || message.type === 'event') {
      this.#note('<', line);
      if (message.type === 'event') this.#dispatch(message);
      else if (this.#onGreeting === undefined) this.#note('!', 'a second greeting, ignored');
      else this.#onGreeting.resolve(message);
      if (message.type === 'greeting') this.#onGreeting = undefined;
      return;
    }
    const sent = this.#unanswered.take(message);
    const quiet = sent?.routine && sent.wanted && message.type === 'return';
    if (!quiet) this.#note('<', sent?.secret ? `(the answer to id ${sent.id} is secret)` : line);
    if (sent === undefined) this.#note('!', 'an answer to no command, ignored');
    else if (!sent.wanted) this.#note('!', 'a late answer, ignored');
    else if (message.type === 'return') sent.resolve(message.value);
    else sent.reject(refused(sent, message.errorClass, message.description));
  }

  #dispatch(event: QmpEvent): void {
    for (const listener of this.#listeners) this.#guard(event, () => listener(event));
    for (const [queue, wanted] of this.#queues) {
      this.#guard(event, () => {
        if (wanted(event)) queue.push(event);
      });
    }
  }

  /** What one listener throws must not keep an event from the others, nor end the session. */
  #guard({ event }: QmpEvent, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#note('!', `a listener of ${event} failed: ${error}`);
    }
  }

  #note(sign: QmpLogSign, text: string): void {
    this.#log?.write(sign, text);
  }

  /** The first end counts. `error` makes what a command is told that was under way or comes later. */
  #end(error: (command: string) => unknown, quietly = false): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    const told = error('go on');
    this.#note('!', `session ended${quietly ? '' : `: ${told}`}`);
    this.#socket.destroy();
    this.#onGreeting?.reject(error('connect'));
    this.#unanswered.rejectAll(error);
    const clean = told instanceof MachineError && told.code === 'qmp.closed';
    for (const queue of [...this.#queues.keys()]) queue.end(clean ? {} : { error: told });
    this.#listeners.clear();
  }

  /**
   * Sends a command and answers what QEMU returns.
   * @throws MachineError `qmp.refused` when QEMU answers with an error, `qmp.unsupported` when this QEMU does not know
   *   the command or an argument, `qmp.timeout`, `qmp.closed`, `qmp.busy`, `qmp.unsendable`; the signal's reason
   */
  async command<C extends QmpCommandName>(
    command: C,
    args?: QmpCommands[C]['arguments'],
    options: QmpCommandOptions = {},
  ): Promise<QmpCommands[C]['answer']> {
    options.signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended(command);
    const id = this.#unanswered.nextId;
    const line = encodeCommand(command, args ?? {}, id);
    const shown = options.secret ? '***' : hideSecrets(args ?? {});
    const mismatch = this.#schema?.mismatch(command, args ?? {});
    if (mismatch !== undefined) throw this.#unsupported(command, mismatch, options.secret);
    const answer = this.#unanswered.add(command, options);
    if (!options.routine) this.#note('>', JSON.stringify({ execute: command, arguments: shown, id }));
    this.#socket.write(line);
    if (command === 'cont') this.schema().catch(() => {});
    try {
      return await answer;
    } catch (error) {
      // The question was left out of the log; that it had no good answer is not.
      if (options.routine && this.#ended === undefined) this.#note('!', `id ${id} failed: ${error}`);
      if (!(error instanceof MachineError) || error.code !== 'qmp.refused') throw error;
      throw (await this.#explain(error, command, args ?? {}, options)) ?? error;
    }
  }

  /** Why QEMU refused, where the schema tells; undefined where it does not. */
  async #explain(
    error: MachineError,
    command: QmpCommandName,
    args: object,
    options: QmpCommandOptions,
  ): Promise<unknown> {
    if (command === 'qmp_capabilities' || command === 'query-qmp-schema' || this.#ended !== undefined) return undefined;
    if (error.evidence.class === 'CommandNotFound') {
      return this.#unsupported(command, { kind: 'command', what: 'the command' }, options.secret, error);
    }
    // Before the first `cont` asking would hold up the guest, and a picture of a machine without a screen is no reason to.
    if (this.#schema === undefined && options.routine) return undefined;
    const schema =
      this.#schema ??
      (await soon(this.schema(), Math.min(EXPLAIN_MS, options.timeoutMs ?? EXPLAIN_MS), options.signal));
    const mismatch = schema?.mismatch(command, args);
    return mismatch && this.#unsupported(command, mismatch, options.secret, error);
  }

  #unsupported(command: string, { kind, what }: Mismatch, secret?: boolean, cause?: unknown): MachineError {
    const missing = secret && kind === 'value' ? 'one of the values' : what;
    return new MachineError(
      'qmp.unsupported',
      `Cannot ${command} in QEMU: QEMU ${this.version} does not know ${missing}`,
      { hint: 'Install a newer QEMU.', evidence: { command, missing, qemu: this.version }, cause },
    );
  }

  /** What this QEMU takes. It is asked once. @throws as `command`, and MachineError `qmp.schema` */
  schema(): Promise<QmpSchema> {
    this.#schemaAsked ??= this.command('query-qmp-schema').then((answer) => {
      this.#schema = new QmpSchema(answer);
      return this.#schema;
    });
    const asked = this.#schemaAsked;
    asked.catch(() => {
      if (this.#schemaAsked === asked) this.#schemaAsked = undefined;
    });
    return asked;
  }

  /** Whether this QEMU knows a command, an argument of it (`format`, `keys.data`), a value of that. @throws as `schema` */
  async has(command: QmpCommandName | (string & {}), argument?: string, value?: string): Promise<boolean> {
    return (this.#schema ?? (await this.schema())).has(command, argument, value);
  }

  /** Calls `listener` for every event until the answer is disposed. */
  onEvent(listener: (event: QmpEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /**
   * The events from now on, to be iterated once: from this call, not from the first step. It ends with the session, or
   * throws what broke it; `signal` ends it with its reason. Leaving the loop ends it too. A reader that falls more than
   * 1024 events behind is told so by MachineError `qmp.events-lost`, after those that wait.
   */
  events<E extends QmpEventName>(filter: E | readonly E[], signal?: AbortSignal): AsyncIterableIterator<QmpEventOf<E>>;
  events(filter?: QmpEventFilter, signal?: AbortSignal): AsyncIterableIterator<QmpEvent>;
  events(filter?: QmpEventFilter, signal?: AbortSignal): AsyncIterableIterator<QmpEvent> {
    const queue = new EventQueue((ended) => this.#queues.delete(ended), signal);
    if (this.#ended !== undefined) queue.end({});
    if (queue.open) this.#queues.set(queue, eventTest(filter));
    return queue;
  }

  /** Ends the session. Commands under way are rejected with `qmp.closed`; nothing is sent to QEMU. May be called again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end((command) => closed(command, 'the QMP session is over'), true);
    await this.#socketClosed;
    await this.#log?.end();
  }
}

function refused({ command, secret }: Sent, errorClass: string, description: string): MachineError {
  const why = secret ? 'why is not shown, it is secret' : description;
  return new MachineError('qmp.refused', `Cannot ${command} in QEMU: ${why} (${errorClass})`, {
    evidence: { command, class: errorClass, description: why },
  });
}

function closed(command: string, why: string, cause?: unknown): MachineError {
  return new MachineError('qmp.closed', `Cannot ${command} in QEMU: ${why}`, {
    hint: RUN_FOLDER,
    evidence: { command },
    cause,
  });
}

function closedByPeer(command: string, cause?: unknown): MachineError {
  return closed(command, 'it closed the QMP socket', cause);
}

function unreachable(cause: NodeJS.ErrnoException): MachineError {
  const why = cause.code ?? cause.message;
  return new MachineError('qmp.unreachable', `Cannot talk to QEMU: its QMP socket does not answer (${why})`, {
    hint: RUN_FOLDER,
    cause,
  });
}

/** What a promise comes to within `ms`; undefined when it is late, fails, or the signal is aborted. */
async function soon<T>(promise: Promise<T>, ms: number, signal: AbortSignal | undefined): Promise<T | undefined> {
  let give: () => void = () => {};
  const late = new Promise<undefined>((resolve) => {
    give = () => resolve(undefined);
  });
  const timer = setTimeout(give, ms);
  signal?.addEventListener('abort', give, { once: true });
  try {
    return await Promise.race([promise.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', give);
  }
}
