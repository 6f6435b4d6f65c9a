import { createWriteStream } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { isComposeError, MachineError } from '../errors.ts';
import { LineSplitter, parseQmp, type QmpEvent } from '../formats/qmp.ts';

/** The commands compose sends, with what they take and answer (QEMU qapi/). */
export interface QmpCommands {
  qmp_capabilities: { arguments: Record<string, never>; answer: unknown };
  'query-status': { arguments: Record<string, never>; answer: { status: string; running: boolean } };
  'query-kvm': { arguments: Record<string, never>; answer: { enabled: boolean; present: boolean } };
  cont: { arguments: Record<string, never>; answer: unknown };
  stop: { arguments: Record<string, never>; answer: unknown };
  quit: { arguments: Record<string, never>; answer: unknown };
  system_powerdown: { arguments: Record<string, never>; answer: unknown };
  system_reset: { arguments: Record<string, never>; answer: unknown };
  'human-monitor-command': { arguments: { 'command-line': string }; answer: string };
  'query-blockstats': { arguments: Record<string, never>; answer: readonly BlockStats[] };
  'query-cpus-fast': { arguments: Record<string, never>; answer: readonly { 'thread-id': number }[] };
  'object-add': { arguments: { 'qom-type': string; id: string; [property: string]: unknown }; answer: unknown };
  'object-del': { arguments: { id: string }; answer: unknown };
  'set-action': { arguments: { reboot?: 'reset' | 'shutdown'; shutdown?: 'poweroff' | 'pause' }; answer: unknown };
  screendump: { arguments: { filename: string; format?: 'ppm' | 'png' }; answer: unknown };
}

/** Counters of one block device (qapi/block-core.json, BlockStats); those compose looks at. */
export interface BlockStats {
  readonly device?: string;
  readonly 'node-name'?: string;
  readonly qdev?: string;
  readonly stats: {
    readonly rd_operations: number;
    readonly wr_operations: number;
    readonly flush_operations: number;
    readonly wr_bytes: number;
  };
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface QmpOptions {
  readonly signal: AbortSignal;
  /** Every line sent and received is appended here. */
  readonly log?: string | undefined;
  /** How long the greeting may take, ms. @default 10000 */
  readonly greetingMs?: number;
}

const COMMAND_MS = 10_000;

/** A session with one QEMU: commands answered by id, events to every listener, closed when the peer closes. */
export class QmpSession implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #log: NodeJS.WritableStream | undefined;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #nextId = 1;
  #closed: MachineError | undefined;
  /** QEMU's version, from the greeting. */
  version = '';

  private constructor(socket: Socket, log: string | undefined) {
    this.#socket = socket;
    this.#log = log === undefined ? undefined : createWriteStream(log, { flags: 'a', mode: 0o600 });
  }

  /**
   * Connects to the unix socket at `path`, takes the greeting and negotiates capabilities.
   * @throws MachineError `qmp.no-greeting`, `qmp.closed`
   */
  static async connect(path: string, options: QmpOptions): Promise<QmpSession> {
    const socket = connect(path);
    const session = new QmpSession(socket, options.log);
    const greeted = session.#read();
    const onAbort = (): void => session.#close(options.signal.reason);
    options.signal.addEventListener('abort', onAbort, { once: true });
    const limit = options.greetingMs ?? 10_000;
    const timer = setTimeout(() => {
      session.#close(new MachineError('qmp.no-greeting', `Cannot talk to QEMU: no QMP greeting within ${limit} ms`));
    }, limit);
    try {
      session.version = await greeted;
      await session.command('qmp_capabilities', {});
      return session;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', onAbort);
    }
  }

  #read(): Promise<string> {
    const splitter = new LineSplitter();
    return new Promise((resolve, reject) => {
      this.#pending.set(0, { command: 'greeting', resolve: (version) => resolve(String(version)), reject });
      this.#socket.on('data', (data) => {
        try {
          for (const line of splitter.push(data)) if (line !== '') this.#take(line);
        } catch (error) {
          this.#close(error);
        }
      });
      this.#socket.on('error', (error) => this.#close(error));
      this.#socket.on('close', () => this.#close(undefined));
    });
  }

  #take(line: string): void {
    this.#log?.write(`< ${line}\n`);
    const message = parseQmp(line);
    if (message.type === 'event') {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    const id = message.type === 'greeting' ? 0 : Number(message.id);
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    if (message.type === 'greeting') pending.resolve(message.version);
    else if (message.type === 'return') pending.resolve(message.value);
    else {
      const what = `Cannot ${pending.command} in QEMU: ${message.description} (${message.errorClass})`;
      pending.reject(new MachineError('qmp.error', what));
    }
  }

  #close(cause: unknown): void {
    this.#closed ??= new MachineError('qmp.closed', 'Cannot talk to QEMU: it closed the QMP socket', { cause });
    this.#socket.destroy();
    this.#log?.end();
    for (const pending of this.#pending.values()) {
      pending.reject(isComposeError(cause) ? cause : this.#closed);
    }
    this.#pending.clear();
  }

  /** Sends a command and answers what QEMU returns. @throws MachineError `qmp.error`, `qmp.timeout`, `qmp.closed` */
  command<C extends keyof QmpCommands>(
    command: C,
    args: QmpCommands[C]['arguments'],
    options: { readonly timeoutMs?: number } = {},
  ): Promise<QmpCommands[C]['answer']> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    const limit = options.timeoutMs ?? COMMAND_MS;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new MachineError('qmp.timeout', `Cannot ${command} in QEMU: no answer within ${limit} ms`));
      }, limit);
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          then(value);
        };
      this.#pending.set(id, { command, resolve: settle(resolve), reject: settle(reject) });
      const line = JSON.stringify({ execute: command, arguments: args, id });
      this.#log?.write(`> ${line}\n`);
      this.#socket.write(`${line}\n`);
    });
  }

  /** Calls `listener` for every event until the answer is disposed. */
  onEvent(listener: (event: QmpEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close(undefined);
  }
}
