import { rootCertificates } from 'node:tls';
import type { Dispatcher } from 'undici';
import type { MaasAccess } from './access.ts';
import { answerError } from './answer-error.ts';
import { type Answer, type MaasError, transportError } from './maas-errors.ts';
import { authorization } from './oauth.ts';

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly body?: Uint8Array;
  readonly contentType?: string;
  /** Longest time from the last byte that was taken to the answer, ms. @default 2 minutes */
  readonly answerMs?: number;
  /** False for what MAAS tells everybody. @default true */
  readonly signed?: boolean;
  /** Statuses that are an answer. @default 200 */
  readonly expect?: number;
}

const CONNECT_MS = 30_000;
const ANSWER_MS = 120_000;
/** Between two requests of an upload there is no more than a read of the disk. */
const IDLE_MS = 30_000;
/** A list of images has some hundred bytes for each. */
const MOST_ANSWER = 64 * 1024 * 1024;
const PIECE = 256 * 1024;

/**
 * Requests to one MAAS, one after another on one connection that is kept: in MAAS 3.5 and later a chunk belongs to the
 * region controller that took those before it. Redirects are not followed and the key goes to no other host.
 */
export class MaasClient implements AsyncDisposable {
  readonly access: MaasAccess;
  readonly #dispatcher: Dispatcher;

  private constructor(access: MaasAccess, dispatcher: Dispatcher) {
    this.access = access;
    this.#dispatcher = dispatcher;
  }

  static async open(access: MaasAccess): Promise<MaasClient> {
    const { EnvHttpProxyAgent } = await import('undici');
    const trusted = access.certificates.length > 0 ? { ca: [...rootCertificates, ...access.certificates] } : {};
    const dispatcher = new EnvHttpProxyAgent({
      connections: 1,
      pipelining: 1,
      maxResponseSize: MOST_ANSWER,
      keepAliveTimeout: IDLE_MS,
      bodyTimeout: ANSWER_MS,
      connect: { timeout: CONNECT_MS, ...trusted },
      requestTls: trusted,
      // MAAS answers http on port 5240, and proxies commonly refuse CONNECT to any port but 443.
      proxyTunnel: false,
    });
    return new MaasClient(access, dispatcher);
  }

  /**
   * @param what for errors, beginning with a verb: "list the images"
   * @param target relative to the base of the API, or an address MAAS gave
   * @throws MaasError for every status but the expected one; the reason of the signal
   */
  async call(method: Dispatcher.HttpMethod, target: string | URL, what: string, options: CallOptions): Promise<Answer> {
    options.signal.throwIfAborted();
    const { base, key } = this.access;
    const url = new URL(target, base);
    if (url.origin !== base.origin) throw foreign(what, url, base);
    const { body } = options;
    const headers: Record<string, string> = { accept: 'application/json' };
    if (options.signed !== false) headers.authorization = authorization(key);
    if (body !== undefined) headers['content-length'] = String(body.length);
    if (options.contentType !== undefined) headers['content-type'] = options.contentType;
    let answer: Answer;
    try {
      const response = await this.#dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers,
        // In pieces, so that the time for an answer counts from the last one that was taken, however slow the line.
        body: body === undefined ? null : (pieces(body) as never),
        signal: options.signal,
        headersTimeout: options.answerMs ?? ANSWER_MS,
      });
      answer = {
        status: response.statusCode,
        text: await response.body.text(),
        header: (name) => [response.headers[name]].flat()[0],
      };
    } catch (cause) {
      options.signal.throwIfAborted();
      throw transportError(what, url.origin, cause);
    }
    if (answer.status === (options.expect ?? 200)) return answer;
    throw answerError(what, answer, url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

function foreign(what: string, url: URL, base: URL): MaasError {
  return answerError(what, { status: 302, text: '', header: () => url.href }, base);
}
