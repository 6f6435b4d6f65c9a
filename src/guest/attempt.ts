import ssh2, { type Client } from 'ssh2';
import { keyBytes } from './keys.ts';

/** How far one attempt to log in came; later ones are nearer. */
export type AttemptState = 'refused' | 'silent' | 'closed' | 'banner' | 'wrong host key' | 'auth refused' | 'ready';

const ORDER: readonly AttemptState[] = [
  'refused',
  'silent',
  'closed',
  'banner',
  'wrong host key',
  'auth refused',
  'ready',
];

export function nearer(a: AttemptState, b: AttemptState): AttemptState {
  return ORDER.indexOf(a) >= ORDER.indexOf(b) ? a : b;
}

/** How the other end is asked whether it is there. It is taken for lost when it has left `countMax` questions open. */
export interface Keepalive {
  readonly intervalMs: number;
  readonly countMax: number;
}

export interface AttemptOptions {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly privateKey: string;
  /** Public line of the only host key that is accepted. */
  readonly hostKey: string;
  /** @default `keepaliveFor(1)`: a guest is taken for lost after two minutes of silence */
  readonly keepalive?: Keepalive | undefined;
  /** Told when the server has said who it is, and when the key exchange is over. */
  readonly onReached?: ((what: 'ssh banner' | 'key exchange', detail?: string) => void) | undefined;
}

/** ssh2 says where an error comes from; `client-socket` is the connection under the protocol. */
export type LoginError = Error & { readonly level?: string };

export interface Attempt {
  /** Settles once: with a client that is logged in, or with how far it came. Never rejects. */
  readonly ended: Promise<{ readonly state: AttemptState; readonly client?: Client; readonly error?: LoginError }>;
  readonly state: () => AttemptState;
  /** The server's identification, and the authentication methods it offered when it refused ours. */
  readonly banner: () => string | undefined;
  readonly methods: () => readonly string[] | undefined;
  /** performance.now() at the start. */
  readonly started: number;
  /** The host key it was shown, wire bytes. */
  readonly seenKey: () => Uint8Array | undefined;
  readonly abandon: () => void;
}

const KEEPALIVE_MS = 15_000;
const KEEPALIVE_COUNT = 8;
/** The time scale up to which that is enough: that of emulation at its best. */
const ENOUGH_FOR = 10;

/** A guest that is slower than an emulated one on an ordinary host is asked as often and given as much longer to answer. */
export function keepaliveFor(timeScale: number): Keepalive {
  return { intervalMs: KEEPALIVE_MS, countMax: Math.ceil(KEEPALIVE_COUNT * Math.max(1, timeScale / ENOUGH_FOR)) };
}

/** One connection: from TCP to a login, or to why not. A wrong host key ends it before anything is sent to it. */
export function attemptLogin(options: AttemptOptions): Attempt {
  const client = new ssh2.Client();
  const expected = keyBytes(options.hostKey);
  const { intervalMs, countMax } = options.keepalive ?? keepaliveFor(1);
  let state: AttemptState = 'refused';
  let seen: Uint8Array | undefined;
  let failure: LoginError | undefined;
  let banner: string | undefined;
  let methods: readonly string[] | undefined;
  const reached = (next: AttemptState): void => {
    state = nearer(state, next);
  };
  const ended = new Promise<{ state: AttemptState; client?: Client; error?: LoginError }>((resolve) => {
    const end = (): void => {
      if (state === 'silent') reached('closed');
      client.removeAllListeners();
      client.on('error', () => {});
      client.destroy();
      resolve(failure === undefined ? { state } : { state, error: failure });
    };
    client.on('connect', () => {
      reached('silent');
      // Nagle's algorithm against delayed acknowledgements costs 40 ms for each small exchange.
      client.setNoDelay(true);
    });
    client.on('handshake', () => options.onReached?.('key exchange'));
    client.on('ready', () => {
      reached('ready');
      client.removeAllListeners('close');
      client.removeAllListeners('error');
      // Of two logins at once one is dropped; its last words must not end the process.
      client.on('error', () => {});
      resolve({ state, client });
    });
    client.on('error', (error: LoginError) => {
      // The socket's end follows what the protocol had to say, and tells less.
      if (failure === undefined || error.level !== 'client-socket') failure = error;
      if (error.level === 'client-authentication') reached('auth refused');
    });
    client.on('close', end);
  });
  client.connect({
    host: options.host,
    port: options.port,
    username: options.username,
    privateKey: options.privateKey,
    // The race of attempts decides when one took too long.
    readyTimeout: 0,
    keepaliveInterval: intervalMs,
    keepaliveCountMax: countMax,
    algorithms: { serverHostKey: ['ssh-ed25519'] },
    hostVerifier: (key: Buffer) => {
      seen = key;
      const right = key.equals(expected);
      reached(right ? 'banner' : 'wrong host key');
      return right;
    },
    // No round trip for "none": what the server offers is learned when it refuses the key.
    authHandler: (left: readonly string[] | null) => {
      if (left === null) return 'publickey';
      methods = left;
      return false;
    },
    debug: (line: string) => {
      if (!line.startsWith('Remote ident')) return;
      banner = /SSH-[^'"]*/.exec(line)?.[0];
      reached('banner');
      options.onReached?.('ssh banner', banner);
    },
  });
  return {
    ended,
    state: () => state,
    banner: () => banner,
    methods: () => methods,
    started: performance.now(),
    seenKey: () => seen,
    abandon: () => client.destroy(),
  };
}
