import { connect, type Socket } from 'node:net';
import { type ComposeErrorOptions, type Evidence, PackError } from '../errors.ts';
import { encodeRequest, NBD_COMMAND, nbdDamaged } from '../formats/nbd.ts';
import { type NbdReply, NbdReplyDecoder } from '../formats/nbd-replies.ts';
import { type ByteServer, checkRange } from './block-source.ts';
import { NbdHandshake } from './nbd-handshake.ts';

export interface NbdOptions {
  /** Ends the session and all that waits for it. */
  readonly signal?: AbortSignal | undefined;
  /** @default the empty name, a server's default export */
  readonly exportName?: string;
  /** How long the server may send nothing while it owes an answer, ms. @default 60000 */
  readonly idleMs?: number;
  /** What else is known when the session fails: the server's standard error, say. */
  readonly evidence?: () => Evidence;
}

/** A run of an export: zeros, or bytes to be read. */
export interface NbdRun {
  readonly length: number;
  readonly zero: boolean;
}

/** A run of base:allocation with it reads as zeros; one without may be a hole too, whose bytes are anybody's guess. */
const STATE_ZERO = 2;
const IDLE_MS = 60_000;
/** Bytes of a request, and requests the server is sent before it answers the first: 16 MiB are in flight at most. */
const REQUEST_LIMIT = 1024 * 1024;
const IN_FLIGHT = 16;
const RECEIVE_ROOM = 256 * 1024;
/** Bytes one question about allocation covers; a request counts them in 32 bits. */
const STATUS_LIMIT = 1024 * 1024 * 1024;
/** Runs `status` tells apart; past them it counts all as bytes to be read, so that crumbs do not fill the memory. */
const RUNS_LIMIT = 65_536;
type Run = { -readonly [K in keyof NbdRun]: NbdRun[K] };

const ERRNO: Readonly<Record<number, string>> = { 1: 'EPERM', 5: 'EIO', 12: 'ENOMEM', 22: 'EINVAL', 28: 'ENOSPC' };

interface Request {
  readonly command: number;
  readonly offset: number;
  readonly length: number;
  /** Where the bytes go, of a read. */
  readonly into: Uint8Array | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  filled: number;
  runs: NbdRun[];
  failure: Error | undefined;
}

/** A read-only session with an NBD server at a unix socket. Requests are pipelined; answers may come in any order. */
export class NbdSession implements ByteServer, AsyncDisposable {
  readonly #socket: Socket;
  readonly #options: NbdOptions;
  readonly #idle: NodeJS.Timeout;
  readonly #closed: Promise<void>;
  readonly #replies = new NbdReplyDecoder();
  readonly #waiting: Request[] = [];
  readonly #sent = new Map<number, Request>();
  readonly #onAbort = (): void => this.#fail(this.#options.signal?.reason);
  /** Set until the transmission phase begins. */
  #handshake: NbdHandshake | undefined;
  #nextCookie = 1;
  #failure: unknown;
  #context: number | undefined;
  /** Bytes of the export. */
  size = 0;

  private constructor(path: string, options: NbdOptions) {
    this.#options = options;
    const limit = options.idleMs ?? IDLE_MS;
    this.#idle = setTimeout(() => {
      if (this.#handshake === undefined && this.#sent.size === 0) return;
      this.#fail(
        new PackError(
          'nbd.silent',
          `Cannot read the disk over NBD: its server sent nothing for ${limit} ms`,
          this.#details(),
        ),
      );
    }, limit);
    const callback = (count: number, buffer: Uint8Array): boolean => {
      this.#take(buffer.subarray(0, count));
      return true;
    };
    this.#handshake = new NbdHandshake({
      write: (bytes) => {
        if (this.#failure !== undefined) throw this.#failure;
        this.#idle.refresh();
        this.#socket.write(bytes);
      },
      refused: (why) => new PackError('nbd.refused', `Cannot read the disk over NBD: ${why}`, this.#details()),
    });
    // One buffer for all that comes: the stream's own would be allocated anew for each piece.
    this.#socket = connect({ path, onread: { buffer: Buffer.allocUnsafe(RECEIVE_ROOM), callback } });
    this.#socket.on('error', (cause) =>
      this.#fail(new PackError('nbd.closed', `Cannot read the disk over NBD: ${cause.message}`, this.#details(cause))),
    );
    this.#closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        this.#fail(
          new PackError(
            'nbd.closed',
            'Cannot read the disk over NBD: its server closed the connection',
            this.#details(),
          ),
        );
        resolve();
      });
    });
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /**
   * Connects to the socket at `path` and negotiates structured replies and, where the server has it, base:allocation.
   * @throws PackError `nbd.closed`, `nbd.silent`, `nbd.refused`; FormatError `nbd.damaged`; the reason of the signal
   */
  static async connect(path: string, options: NbdOptions = {}): Promise<NbdSession> {
    options.signal?.throwIfAborted();
    const session = new NbdSession(path, options);
    try {
      await session.#negotiate();
      return session;
    } catch (error) {
      session.#fail(error);
      await session.#closed;
      throw session.#failure;
    }
  }

  async #negotiate(): Promise<void> {
    const { size, context } = await this.#handshake!.negotiate(this.#options.exportName ?? '');
    this.size = size;
    this.#context = context;
    this.#handshake = undefined;
  }

  /**
   * Fills `into` from `offset` of the export.
   * @throws RangeError beyond the export; PackError `nbd.read-failed`, `nbd.closed`, `nbd.silent`; FormatError
   *   `nbd.damaged`; the reason of the signal
   */
  async read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(this.size, offset, into.length);
    const parts: Promise<unknown>[] = [];
    for (let at = 0; at < into.length; at += REQUEST_LIMIT) {
      const part = into.subarray(at, Math.min(into.length, at + REQUEST_LIMIT));
      parts.push(this.#request(NBD_COMMAND.read, offset + at, part.length, part));
    }
    await Promise.all(parts);
  }

  /** What is allocated of [offset, offset + length): runs in order that cover it exactly. Throws as `read` does. */
  async status(offset: number, length: number): Promise<NbdRun[]> {
    checkRange(this.size, offset, length);
    if (this.#context === undefined) return length === 0 ? [] : [{ length, zero: false }];
    const runs: Run[] = [];
    for (let at = 0; at < length; ) {
      if (runs.length >= RUNS_LIMIT) {
        addRun(runs, length - at, false);
        break;
      }
      const told = await this.#request(NBD_COMMAND.blockStatus, offset + at, Math.min(STATUS_LIMIT, length - at));
      for (const run of told) {
        // The last run may lead past what was asked for.
        const within = Math.min(run.length, length - at);
        addRun(runs, within, run.zero);
        at += within;
      }
    }
    return runs;
  }

  #request(command: number, offset: number, length: number, into?: Uint8Array): Promise<NbdRun[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      const request: Request = {
        ...{ command, offset, length, into, reject, filled: 0, runs: [], failure: undefined },
        resolve: () => resolve(request.runs),
      };
      this.#waiting.push(request);
      this.#send();
    });
  }

  #send(): void {
    while (this.#sent.size < IN_FLIGHT) {
      const request = this.#waiting.shift();
      if (request === undefined) return;
      if (this.#sent.size === 0) this.#idle.refresh();
      const cookie = this.#nextCookie++;
      this.#sent.set(cookie, request);
      this.#socket.write(encodeRequest(request.command, cookie, request.offset, request.length));
    }
  }

  #take(bytes: Uint8Array): void {
    if (this.#failure !== undefined) return;
    this.#idle.refresh();
    try {
      if (this.#handshake !== undefined) this.#handshake.push(bytes);
      else for (const reply of this.#replies.push(bytes)) this.#answer(reply);
    } catch (error) {
      this.#fail(error);
    }
  }

  #answer(reply: NbdReply): void {
    const request = this.#sent.get(reply.cookie);
    if (request === undefined) throw nbdDamaged(`it answers request ${reply.cookie}, which was not sent`);
    if (reply.type === 'error') {
      const code = `${ERRNO[reply.code] ?? `error ${reply.code}`}${reply.message === '' ? '' : `: ${reply.message}`}`;
      const why = `Cannot read the disk over NBD: its server cannot read at ${request.offset} (${code})`;
      request.failure ??= new PackError('nbd.read-failed', why, this.#details());
    } else if (reply.type === 'status') {
      if (request.command !== NBD_COMMAND.blockStatus) throw nbdDamaged('it answers a read by block status');
      if (reply.context === this.#context) request.runs = runsOf(reply.words);
    } else if (reply.type === 'done') {
      settle(request);
      this.#sent.delete(reply.cookie);
      this.#send();
    } else {
      fill(request, reply);
    }
  }

  #details(cause?: unknown): ComposeErrorOptions {
    const hint = 'What the server wrote to its standard error says more, where there is any.';
    return { hint, evidence: this.#options.evidence?.(), cause };
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    clearTimeout(this.#idle);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
    this.#handshake?.fail(this.#failure);
    for (const request of [...this.#sent.values(), ...this.#waiting.splice(0)]) request.reject(this.#failure);
    this.#sent.clear();
  }

  /** Takes leave of the server; what still waits is rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#failure === undefined) {
      const closed = new PackError(
        'nbd.closed',
        'Cannot read the disk over NBD: the session was closed',
        this.#details(),
      );
      this.#socket.write(encodeRequest(NBD_COMMAND.disconnect, this.#nextCookie++, 0, 0), () => this.#fail(closed));
      // A server that takes nothing any more must not keep the session open.
      setImmediate(() => this.#fail(closed));
    }
    await this.#closed;
  }
}

/** Ends a request whose answer is over. */
function settle(request: Request): void {
  const whole = request.into === undefined ? request.runs.length > 0 : request.filled === request.length;
  if (request.failure !== undefined) request.reject(request.failure);
  else if (whole) request.resolve();
  else throw nbdDamaged(`its answer for ${request.length} bytes at ${request.offset} is not whole`);
}

/** Puts data or a hole where the request wants it. */
function fill(request: Request, reply: Extract<NbdReply, { type: 'data' | 'hole' }>): void {
  const length = reply.type === 'data' ? reply.bytes.length : reply.length;
  const at = reply.offset - request.offset;
  if (request.into === undefined || at < 0 || at + length > request.length) {
    throw nbdDamaged(`it sends ${length} bytes at ${reply.offset}, which were not asked for`);
  }
  request.filled += length;
  if (request.filled > request.length) throw nbdDamaged(`it sends the bytes at ${reply.offset} twice`);
  if (reply.type === 'data') request.into.set(reply.bytes, at);
  else request.into.fill(0, at, at + length);
}

function runsOf(words: Uint32Array): NbdRun[] {
  const runs: Run[] = [];
  for (let index = 0; index < words.length; index += 2) {
    const length = words[index]!;
    if (length === 0) throw nbdDamaged('it tells of a run of 0 bytes');
    addRun(runs, length, (words[index + 1]! & STATE_ZERO) !== 0);
  }
  return runs;
}

/** Joins the run to the last one where it is of the same kind. */
function addRun(runs: Run[], length: number, zero: boolean): void {
  const last = runs.at(-1);
  if (length <= 0) return;
  if (last?.zero === zero) last.length += length;
  else runs.push({ length, zero });
}
