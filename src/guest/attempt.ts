import ssh2, { type Client } from 'ssh2';
import { keyBytes } from './keys.ts';

/** How far one attempt to log in came; later ones are nearer. */
export type AttemptState = 'refused' | 'silent' | 'banner' | 'wrong host key' | 'auth refused' | 'ready';

const ORDER: readonly AttemptState[] = ['refused', 'silent', 'banner', 'wrong host key', 'auth refused', 'ready'];

export function nearer(a: AttemptState, b: AttemptState): AttemptState {
  return ORDER.indexOf(a) >= ORDER.indexOf(b) ? a : b;
}

export interface AttemptOptions {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly privateKey: string;
  /** Public line of the only host key that is accepted. */
  readonly hostKey: string;
}

export interface Attempt {
  /** Settles once: with a client that is logged in, or with how far it came. Never rejects. */
  readonly ended: Promise<{ readonly state: AttemptState; readonly client?: Client; readonly error?: Error }>;
  readonly state: () => AttemptState;
  /** The host key it was shown, wire bytes. */
  readonly seenKey: () => Uint8Array | undefined;
  readonly abandon: () => void;
}

/** Keepalive sized for emulated guests: a guest is taken for lost after two minutes of silence. */
const KEEPALIVE_MS = 15_000;
const KEEPALIVE_COUNT = 8;

/** One connection: from TCP to a login, or to why not. A wrong host key ends it before anything is sent to it. */
export function attemptLogin(options: AttemptOptions): Attempt {
  const client = new ssh2.Client();
  const expected = keyBytes(options.hostKey);
  let state: AttemptState = 'refused';
  let seen: Uint8Array | undefined;
  let failure: Error | undefined;
  const reached = (next: AttemptState): void => {
    state = nearer(state, next);
  };
  const ended = new Promise<{ state: AttemptState; client?: Client; error?: Error }>((resolve) => {
    const end = (): void => {
      client.removeAllListeners();
      client.on('error', () => {});
      client.destroy();
      resolve(failure === undefined ? { state } : { state, error: failure });
    };
    client.on('connect', () => reached('silent'));
    client.on('ready', () => {
      reached('ready');
      client.removeAllListeners('close');
      client.removeAllListeners('error');
      resolve({ state, client });
    });
    client.on('error', (error: Error & { level?: string }) => {
      failure = error;
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
    keepaliveInterval: KEEPALIVE_MS,
    keepaliveCountMax: KEEPALIVE_COUNT,
    algorithms: { serverHostKey: ['ssh-ed25519'] },
    hostVerifier: (key: Buffer) => {
      seen = key;
      const right = key.equals(expected);
      reached(right ? 'banner' : 'wrong host key');
      return right;
    },
    debug: (line) => {
      if (line.startsWith('Remote ident')) reached('banner');
    },
  });
  return { ended, state: () => state, seenKey: () => seen, abandon: () => client.destroy() };
}
