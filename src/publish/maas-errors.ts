import { type ComposeErrorOptions, PublishError } from '../errors.ts';

/** What a failed request did to MAAS: nothing and it never will, nothing yet, or nobody knows. */
export type Outcome = 'refused' | 'not-delivered' | 'unknown';

/** An answer of MAAS, whole. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly header: (name: string) => string | undefined;
}

/** A request to MAAS that failed. */
export class MaasError extends PublishError {
  readonly outcome: Outcome;
  /** HTTP status; undefined where there was no answer. */
  readonly status: number | undefined;
  /** How long MAAS asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: string,
    message: string,
    options: ComposeErrorOptions & { outcome: Outcome; status?: number; retryAfterMs?: number | undefined },
  ) {
    super(code, message, options);
    this.outcome = options.outcome;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Failures of a TLS handshake, before a byte of the request is sent. */
const CERTIFICATE = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/;
/** There was no connection to send the request on. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
  // What speaks no TLS.
  'EPROTO',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
]);

/** A failure without an answer. `what` begins with a verb: "read the version of MAAS". */
export function transportError(what: string, origin: string, cause: unknown): MaasError {
  const chain: unknown[] = [];
  for (let at = cause; at instanceof Error && chain.length < 8; at = at.cause) {
    chain.push((at as NodeJS.ErrnoException).code, ...(at instanceof AggregateError ? at.errors.map(codeOf) : []));
  }
  const codes = chain.filter((code) => typeof code === 'string');
  if (codes.some((code) => CERTIFICATE.test(code))) {
    return new MaasError('publish.certificate', `Cannot ${what}: the certificate of ${origin} is not trusted`, {
      outcome: 'refused',
      hint: 'Name the file with the certificate it is signed by: --ca FILE',
      cause,
    });
  }
  if (codes.some((code) => NOT_CONNECTED.has(code))) {
    return new MaasError('publish.unreachable', `Cannot ${what}: ${origin} cannot be reached`, {
      outcome: 'not-delivered',
      hint: 'Check the address, the network and the proxy settings (http_proxy, https_proxy, no_proxy).',
      cause,
    });
  }
  return new MaasError('publish.broken', `Cannot ${what}: the connection to ${origin} broke`, {
    outcome: 'unknown',
    hint: 'Run the command again. Behind a load balancer all requests of an upload must reach the same region.',
    cause,
  });
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code;
}
