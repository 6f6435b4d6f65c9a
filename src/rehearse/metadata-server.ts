import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { HostError, registerSecret } from '../errors.ts';
import type { Context } from '../events.ts';
import { type Metadata, metadataAt } from './metadata-tree.ts';
import { guestUrl, type RehearsalNetwork } from './network.ts';
import { checkSignature, type MachineToken, type Signed } from './oauth.ts';
import { parseStatus, type StatusEvent } from './status-event.ts';

/** A request for metadata, as it was answered. */
export interface MetadataRequest {
  /** `meta-data/instance-id`, `user-data`, `netboot_off`; '' for a listing, the path for what is not there. */
  readonly item: string;
  readonly status: number;
  readonly signed: Signed;
  /** performance.now() of its arrival. */
  readonly at: number;
}

/** What a region and a rack of MAAS are to one machine that is deployed, until it is disposed. Loopback only. */
export interface MetadataService extends AsyncDisposable {
  readonly port: number;
  readonly network: RehearsalNetwork;
  readonly token: MachineToken;
  readonly systemId: string;
  /** As a guest on this network sees it, no slash at the end; this host sees it at `hostUrl`. */
  readonly guestUrl: string;
  readonly hostUrl: string;
  readonly requests: readonly MetadataRequest[];
  readonly events: readonly StatusEvent[];
  /** Offers a file of this host as `name` under `/images/`, and answers the guest's address of it. */
  offer(name: string, file: string): string;
  /** What `look` answers as soon as it is something; it is asked again whenever a request came in. */
  until<T>(look: () => T | undefined, signal: AbortSignal): Promise<T>;
}

const METADATA = '/MAAS/metadata/';
/** Reports carry logs; MAAS's own limit is that of Twisted's memory. */
const MOST_BODY = 8 * 1024 * 1024;
const MOST_HEADER = 16 * 1024;

/** @param onEvent told each report as it comes. @throws HostError `rehearse.listen` */
export async function serveMetadata(
  metadata: Metadata,
  context: Context,
  onEvent: (event: StatusEvent) => void = () => {},
  network: RehearsalNetwork = 'private',
): Promise<MetadataService> {
  const service = new Service(metadata, context, onEvent, network);
  await service.listen();
  return service;
}

class Service implements MetadataService {
  readonly requests: MetadataRequest[] = [];
  readonly events: StatusEvent[] = [];
  readonly network: RehearsalNetwork;
  readonly token: MachineToken;
  readonly systemId: string;
  readonly #metadata: Metadata;
  readonly #context: Context;
  readonly #onEvent: (event: StatusEvent) => void;
  readonly #files = new Map<string, string>();
  readonly #waiting = new Set<() => void>();
  readonly #server: Server;
  port = 0;

  constructor(metadata: Metadata, context: Context, onEvent: (event: StatusEvent) => void, network: RehearsalNetwork) {
    this.network = network;
    const secret = (): string => randomBytes(12).toString('hex');
    this.token = { consumerKey: secret(), tokenKey: secret(), tokenSecret: secret() };
    registerSecret(this.token.tokenSecret);
    this.#metadata = metadata;
    this.systemId = metadata.instanceId;
    this.#context = context;
    this.#onEvent = onEvent;
    this.#server = createServer({ maxHeaderSize: MOST_HEADER }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#server.on('clientError', (_, socket) => socket.destroy());
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
      throw new HostError('rehearse.listen', `Cannot serve metadata on 127.0.0.1: ${(cause as Error).message}`, {
        cause,
      });
    }
    this.port = (this.#server.address() as AddressInfo).port;
  }

  get guestUrl(): string {
    return guestUrl(this.network, this.port);
  }
  get hostUrl(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  offer(name: string, file: string): string {
    // As MAAS has it: the address of an image is not signed, and not guessed.
    const path = `/images/${randomBytes(16).toString('hex')}/${name}`;
    this.#files.set(path, file);
    return `${this.guestUrl}${path}`;
  }

  async until<T>(look: () => T | undefined, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const found = look();
    if (found !== undefined) return found;
    return await new Promise<T>((resolve, reject) => {
      const end = (): void => {
        this.#waiting.delete(onChange);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason);
      };
      const onChange = (): void => {
        const now = look();
        if (now === undefined) return;
        end();
        resolve(now);
      };
      this.#waiting.add(onChange);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET' } = request;
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const clean = path.replace(/\/{2,}/g, '/');
    if (clean.startsWith('/images/')) return this.#image(path, method, response);
    if (!clean.startsWith(METADATA)) return end(response, 404, 'Not Found');
    const below = clean.slice(METADATA.length);
    if (method === 'POST') return this.#post(below, request, response);
    if (method !== 'GET' && method !== 'HEAD') return end(response, 405, 'Method Not Allowed');
    const signed = checkSignature(request.headers.authorization, this.token);
    const found = metadataAt(below, this.#metadata);
    if (signed !== 'signed') {
      this.#note({ item: found?.item ?? below, status: 401, signed });
      return end(response, 401, 'Authorization Error: not signed by this machine');
    }
    this.#note({ item: found?.item ?? below, status: found === undefined ? 404 : 200, signed });
    end(response, found === undefined ? 404 : 200, found?.text ?? 'Not Found');
  }

  async #image(path: string, method: string, response: ServerResponse): Promise<void> {
    const file = this.#files.get(path);
    if (file === undefined) return end(response, 404, 'Not Found');
    const { size } = await stat(file);
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size });
    if (method === 'HEAD') return void response.end();
    this.#log('debug', `sending ${file}`);
    await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), response).catch((error: Error) => {
      if (!response.writableFinished) this.#log('debug', `${file} was not taken to its end: ${error.message}`);
    });
  }

  async #post(below: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    if (body === undefined) return end(response, 413, 'Request Entity Too Large');
    if (below === `latest/by-id/${this.systemId}/` && body.toString('latin1').includes('op=netboot_off')) {
      this.#note({ item: 'netboot_off', status: 200, signed: 'unsigned' });
      return end(response, 200, 'OK');
    }
    const signed = checkSignature(request.headers.authorization, this.token);
    if (below !== `status/${this.systemId}`) {
      // The older signal: POST <version>/ with op=signal.
      const known = /^(?:latest|2012-03-01)\/$/.test(below);
      const status = signed !== 'signed' ? 401 : known ? 200 : 404;
      this.#note({ item: known ? 'signal' : below, status, signed });
      return end(response, status, status === 200 ? 'OK' : 'Refused');
    }
    if (signed !== 'signed') {
      this.#note({ item: 'status', status: 401, signed });
      return end(response, 401, 'Unauthorized');
    }
    const event = parseStatus(body, performance.now());
    if (typeof event === 'string') {
      this.#note({ item: 'status', status: 400, signed });
      return end(response, 400, event);
    }
    const { type, origin, name, result, description } = event;
    this.#log('debug', `${origin}: ${type} ${name}${result === undefined ? '' : ` ${result}`}: ${description}`);
    this.events.push(event);
    this.#onEvent(event);
    end(response, 204);
    this.#changed();
  }

  #note(request: Omit<MetadataRequest, 'at'>): void {
    const { item, status, signed } = request;
    this.requests.push({ ...request, at: performance.now() });
    const why = typeof signed === 'string' ? signed : signed.wrong;
    this.#log(status < 400 ? 'debug' : 'info', `metadata: ${item || 'listing'}: ${status}, ${why}`);
    this.#changed();
  }

  #changed(): void {
    for (const waiter of [...this.#waiting]) waiter();
  }

  #log(level: 'debug' | 'info', message: string): void {
    this.#context.emit({ type: 'log', level, phase: 'rehearse', message });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    length += (part as Buffer).length;
    if (length > MOST_BODY) return undefined;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}

/** Node adds the Date header, which a client with a wrong clock corrects itself by. */
function end(response: ServerResponse, status: number, text = ''): void {
  const body = Buffer.from(text);
  const head = status === 204 ? {} : { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length };
  response.writeHead(status, head).end(status === 204 ? undefined : body);
}
