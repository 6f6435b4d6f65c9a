import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HostError, MachineError, RecipeError, registerSecret } from '../errors.ts';
import type { Context } from '../events.ts';
import { type ByteRange, parseRange } from './answer-range.ts';

/** A file to serve: bytes, or a file of this host as it is when serving begins. */
export interface AnswerFile {
  /** Path below the server's address; no leading slash. */
  readonly name: string;
  readonly content: Uint8Array | { readonly file: string };
}

/** Serves its files and nothing else until it is disposed. */
export interface AnswerServer extends AsyncDisposable {
  readonly port: number;
  /** Where this host reaches it, with a slash at the end: `http://127.0.0.1:PORT/TOKEN/`. */
  readonly hostUrl: string;
  /** Where a guest on QEMU's user network does: `http://10.0.2.2:PORT/TOKEN/`. */
  readonly guestUrl: string;
  /** How many times each file was asked for, HEAD included. */
  readonly asked: ReadonlyMap<string, number>;
  /** Requests for anything else. */
  readonly refused: number;
  /**
   * @throws MachineError `installer.never-asked` when no file was ever asked for, which is why an installer that should
   *   take its answers from here waits for somebody to type them
   */
  assertAsked(): void;
}

/** What QEMU's user network calls the host (net/slirp.c). */
const GUEST_VIEW = '10.0.2.2';
const TOKEN_BYTES = 16;
const STEP = 64 * 1024;
const MOST_CONNECTIONS = 64;
const MOST_HEADER = 16 * 1024;
/** For a client to send its request; how long it takes to read the answer is its own business. */
const REQUEST_MS = 30_000;

interface Source extends AsyncDisposable {
  readonly name: string;
  readonly size: number;
  chunks(range: ByteRange): AsyncGenerator<Uint8Array>;
}

/**
 * Serves `files` on a port of the loopback address, below a path nobody can guess.
 * @throws RecipeError `answers.file`, `answers.name`; HostError `answers.listen`
 */
export async function serveAnswers(files: readonly AnswerFile[], context: Context): Promise<AnswerServer> {
  context.signal.throwIfAborted();
  const sources = new Map<string, Source>();
  try {
    for (const file of files) {
      const parts = file.name.split('/');
      if (parts.some((part) => part === '' || part === '.' || part === '..') || sources.has(file.name)) {
        throw new RecipeError(
          'answers.name',
          `Cannot serve ${JSON.stringify(file.name)}: it is no name, or there twice`,
        );
      }
      sources.set(file.name, await openSource(file));
    }
    const server = new Answers(sources, context);
    await server.listen();
    return server;
  } catch (error) {
    for (const source of sources.values()) await source[Symbol.asyncDispose]();
    throw error;
  }
}

class Answers implements AnswerServer {
  readonly asked = new Map<string, number>();
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #context: Context;
  readonly #token = randomBytes(TOKEN_BYTES).toString('hex');
  readonly #server: Server;
  readonly #onAbort = (): void => {
    this.#server.close();
    this.#server.closeAllConnections();
  };
  #refused: string[] = [];
  refused = 0;
  port = 0;

  constructor(sources: ReadonlyMap<string, Source>, context: Context) {
    registerSecret(this.#token);
    this.#sources = sources;
    this.#context = context;
    const options = { maxHeaderSize: MOST_HEADER, requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS };
    this.#server = createServer(options, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.on('clientError', (_, socket) => {
      this.#refuse('what is no request');
      socket.destroy();
    });
  }

  async listen(): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject).listen(0, '127.0.0.1', () => {
          this.#server.off('error', reject);
          resolve();
        });
      });
    } catch (cause) {
      throw new HostError('answers.listen', `Cannot serve answers on 127.0.0.1: ${(cause as Error).message}`, {
        cause,
      });
    }
    this.port = (this.#server.address() as AddressInfo).port;
    this.#context.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get hostUrl(): string {
    return `http://127.0.0.1:${this.port}/${this.#token}/`;
  }
  get guestUrl(): string {
    return `http://${GUEST_VIEW}:${this.port}/${this.#token}/`;
  }

  assertAsked(): void {
    if (this.asked.size > 0) return;
    throw new MachineError(
      'installer.never-asked',
      'Cannot finish the installation: the installer never asked for its answers',
      {
        hint: 'Check the address on its kernel command line, and that the guest has a network (user-mode, with DHCP).',
        evidence: { offered: [...this.#sources.keys()], refusedRequests: this.refused, lastRefused: this.#refused },
      },
    );
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers } = request;
    response.setHeader('cache-control', 'no-store');
    const source = this.#find(request.url ?? '');
    if (source === undefined) {
      this.#refuse(`${method} ${JSON.stringify((request.url ?? '').slice(0, 200))}`);
      return void end(response, 404);
    }
    if (method !== 'GET' && method !== 'HEAD') {
      this.#refuse(`${method} ${source.name}`);
      response.setHeader('allow', 'GET, HEAD');
      return void end(response, 405);
    }
    this.asked.set(source.name, (this.asked.get(source.name) ?? 0) + 1);
    // Nothing is known that could prove a part to be of the same file, so that If-Range always means the whole.
    const range = headers['if-range'] === undefined ? parseRange(headers.range, source.size) : undefined;
    response.setHeader('accept-ranges', 'bytes');
    if (range === 'none') {
      response.setHeader('content-range', `bytes */${source.size}`);
      this.#tell(method, source.name, 416, 0);
      return void end(response, 416);
    }
    const part = range ?? { start: 0, end: source.size };
    const length = part.end - part.start;
    if (range !== undefined) response.setHeader('content-range', `bytes ${part.start}-${part.end - 1}/${source.size}`);
    response.writeHead(range === undefined ? 200 : 206, {
      'content-type': 'application/octet-stream',
      'content-length': length,
    });
    this.#tell(method, source.name, response.statusCode, length);
    if (method === 'HEAD') return void response.end();
    await pipeline(Readable.from(source.chunks(part), { objectMode: false }), response).catch((error: Error) => {
      const why = response.writableFinished ? '' : `: ${error.message}`;
      this.#log('debug', `answers: ${source.name} was not taken to its end${why}`);
    });
  }

  /** The file a target names: no part of it ever becomes a path of this host. */
  #find(target: string): Source | undefined {
    const [path = ''] = target.split(/[?#]/, 1);
    const [empty, token = '', ...parts] = path.split('/');
    const given = Buffer.from(token);
    const right = Buffer.from(this.#token);
    if (empty !== '' || given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    try {
      const decoded = parts.map(decodeURIComponent);
      return decoded.some((part) => part.includes('/')) ? undefined : this.#sources.get(decoded.join('/'));
    } catch {
      return undefined;
    }
  }

  #tell(method: string, name: string, status: number, bytes: number): void {
    this.#log('info', `answers: ${method} ${name}: ${status}, ${bytes} bytes`);
  }

  #refuse(what: string): void {
    this.refused++;
    const shown = what.replaceAll(this.#token, '***');
    this.#refused = [...this.#refused, shown].slice(-5);
    this.#log('warn', `answers: refused ${shown}`);
  }

  #log(level: 'debug' | 'info' | 'warn', message: string): void {
    this.#context.emit({ type: 'log', level, phase: 'install', message });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#context.signal.removeEventListener('abort', this.#onAbort);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
    for (const source of this.#sources.values()) await source[Symbol.asyncDispose]();
  }
}

function end(response: ServerResponse, status: number): void {
  // The body of a refused request is not read, so that the connection cannot go on.
  response.writeHead(status, { 'content-length': 0, connection: 'close' }).end();
}

async function openSource({ name, content }: AnswerFile): Promise<Source> {
  if (content instanceof Uint8Array) {
    return {
      name,
      size: content.length,
      async *chunks({ start, end: stop }) {
        for (let at = start; at < stop; at += STEP) yield content.subarray(at, Math.min(stop, at + STEP));
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }
  const unreadable = (cause: Error): RecipeError =>
    new RecipeError('answers.file', `Cannot serve ${content.file}: ${cause.message}`, { cause });
  const handle = await open(content.file, 'r').catch((cause: Error) => {
    throw unreadable(cause);
  });
  const info = await handle.stat();
  if (!info.isFile()) {
    await handle.close();
    throw unreadable(new Error('it is no regular file'));
  }
  return {
    name,
    size: info.size,
    chunks: (range) => fileChunks(handle, content.file, range),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

async function* fileChunks(handle: FileHandle, path: string, range: ByteRange): AsyncGenerator<Uint8Array> {
  for (let at = range.start; at < range.end; ) {
    const buffer = new Uint8Array(Math.min(STEP, range.end - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new HostError('answers.shrank', `Cannot serve ${path} to its end: it became shorter`);
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}
