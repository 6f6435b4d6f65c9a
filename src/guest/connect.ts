import { ProvisionError } from '../errors.ts';
import type { Context } from '../events.ts';
import { type Attempt, type AttemptOptions, type AttemptState, attemptLogin, nearer } from './attempt.ts';
import { fingerprint } from './keys.ts';
import { GuestSession } from './session.ts';

export interface ConnectOptions extends AttemptOptions {
  /** How long the guest may take until a login works, ms. */
  readonly budgetMs: number;
  /** The machine's own failure, which ends the wait at once. */
  readonly failure?: Promise<never> | undefined;
  /** File that what is said over SSH is appended to. */
  readonly transcript?: string | undefined;
}

/** After a refusal the next attempt follows at once, but not in a busy loop. */
const PAUSE_MS = 50;
/** An attempt that hangs (QEMU answers for a guest that does not) is joined by a fresh one after this long. */
const JOIN_MS = 500;
const MOST_ALIVE = 6;

/**
 * Logs in as soon as the guest lets us. Each attempt is watched: a close starts the next one, a hang is raced by a fresh
 * one, the first login wins. While the guest boots its sshd may still have another host key or not know ours; that is
 * "not ready yet" until the budget is used up. Nothing is ever sent to a wrong host key.
 * @throws ProvisionError `ssh.timeout`, `ssh.auth-refused`, `ssh.host-key-mismatch`; the machine's failure
 */
export async function connectGuest(options: ConnectOptions, context: Context): Promise<GuestSession> {
  context.signal.throwIfAborted();
  const race = new LoginRace(options);
  const onAbort = (): void => race.fail(context.signal.reason);
  context.signal.addEventListener('abort', onAbort, { once: true });
  options.failure?.catch((error: unknown) => race.fail(error));
  try {
    const client = await race.winner;
    return new GuestSession(client, {
      username: options.username,
      failure: options.failure,
      transcript: options.transcript,
    });
  } finally {
    context.signal.removeEventListener('abort', onAbort);
    race.end();
  }
}

class LoginRace {
  readonly winner: Promise<import('ssh2').Client>;
  readonly #options: ConnectOptions;
  readonly #alive = new Set<Attempt>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #resolve!: (client: import('ssh2').Client) => void;
  #reject!: (error: unknown) => void;
  #over = false;
  #count = 0;
  #best: AttemptState = 'refused';
  #last: AttemptState = 'refused';
  #seenKey: Uint8Array | undefined;
  #lastError: Error | undefined;

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.winner = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#after(options.budgetMs, () => this.fail(this.#timeout()));
    this.#start();
  }

  fail(error: unknown): void {
    this.#reject(error);
    this.end();
  }

  end(): void {
    this.#over = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const attempt of this.#alive) attempt.abandon();
  }

  #after(ms: number, then: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#over) then();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #start(): void {
    const attempt = attemptLogin(this.#options);
    this.#count++;
    this.#alive.add(attempt);
    let joined = false;
    const join = this.#after(JOIN_MS, () => {
      joined = true;
      // One that has come as far as a banner is being served; it needs time, not company.
      if (attempt.state() !== 'banner' && this.#alive.size < MOST_ALIVE) this.#start();
      else joined = false;
    });
    attempt.ended.then(({ state, client, error }) => {
      this.#alive.delete(attempt);
      clearTimeout(join);
      this.#timers.delete(join);
      if (client !== undefined) {
        if (this.#over) client.end();
        this.#over = true;
        this.#resolve(client);
        return;
      }
      this.#last = state;
      this.#best = nearer(this.#best, state);
      this.#seenKey = attempt.seenKey() ?? this.#seenKey;
      this.#lastError = error ?? this.#lastError;
      if (!this.#over && (!joined || this.#alive.size === 0)) this.#after(PAUSE_MS, () => this.#start());
    });
  }

  #timeout(): ProvisionError {
    const { host, port, username, budgetMs, hostKey } = this.#options;
    const seconds = Math.round(budgetMs / 1000);
    const seen = this.#seenKey === undefined ? undefined : fingerprint(this.#seenKey);
    const evidence = {
      address: `${host}:${port}`,
      attempts: this.#count,
      nearest: this.#best,
      last: this.#last,
      lastError: this.#lastError?.message,
    };
    if (this.#last === 'wrong host key') {
      return new ProvisionError(
        'ssh.host-key-mismatch',
        `Cannot log into the guest: for ${seconds} s it showed another host key than the one it was given`,
        {
          hint: 'cloud-init may not have run; the serial log tells. Nothing was sent to that host key.',
          evidence: { ...evidence, expected: fingerprint(hostKey), seen },
        },
      );
    }
    if (this.#last === 'auth refused') {
      return new ProvisionError(
        'ssh.auth-refused',
        `Cannot log into the guest: it refused ${username}'s key for ${seconds} s`,
        {
          hint: `Check that the image lets ${username} in by key, and that cloud-init installed it (serial.log).`,
          evidence,
        },
      );
    }
    const missing = { refused: 'nothing listens on port 22', silent: 'the port is open but silent' } as const;
    const why =
      this.#best in missing ? missing[this.#best as keyof typeof missing] : `it came as far as "${this.#best}"`;
    return new ProvisionError('ssh.timeout', `Cannot log into the guest: no SSH login within ${seconds} s; ${why}`, {
      hint: 'The serial log tells how far the boot came: no DHCP lease, no sshd, or a slow guest.',
      evidence,
    });
  }
}
