import { ProvisionError } from '../errors.ts';
import type { Context } from '../events.ts';
import type { NetworkFacts } from '../machine/network-sight.ts';
import type { GuestWatch, Stillness } from '../machine/watch-guest.ts';
import {
  type Attempt,
  type AttemptOptions,
  type AttemptState,
  attemptLogin,
  type LoginError,
  nearer,
} from './attempt.ts';
import { fingerprint } from './keys.ts';
import { accountForKey } from './other-users.ts';
import { GuestSession } from './session.ts';
import { type Facts, loginTimeout, loginVerdict } from './verdict.ts';

export interface ConnectOptions extends AttemptOptions {
  /** How long the guest may take until a login works, ms. */
  readonly budgetMs: number;
  /** The machine's own failure, which ends the wait at once. */
  readonly failure?: Promise<never> | undefined;
  /** File that what is said over SSH is appended to. */
  readonly transcript?: string | undefined;
  /** What is seen of the guest besides: ends the wait as soon as no login can come, and tells why. */
  readonly watch?: GuestWatch | undefined;
}

/** After a refusal the next attempt follows at once, but not in a busy loop. */
const PAUSE_MS = 50;
/** An attempt that hangs (QEMU answers for a guest that has no network yet) is joined by a fresh one after this long. */
const JOIN_MS = 500;
/**
 * The same once the guest itself has refused a connection: its network is up, so what hangs now is a server that takes
 * its time. A second connection would only share the guest's processors with the first: a key exchange takes seconds
 * under emulation.
 */
const PATIENT_JOIN_MS = 5_000;
const MOST_ALIVE = 6;
/** The oldest attempts are kept, so that a server slow to speak is heard; of the others the older ones make room. */
const PATIENT = 2;
/** A server that said who it is and then nothing for so long was reset in the middle of it. */
const HANDSHAKE_MS = 5_000;
/** A wrong host key is looked at again after this long. */
const OTHER_KEY_MS = 1_000;
const OTHER_KEY_LATER_MS = 5_000;
/**
 * Pauses after the first refused logins and all later ones. sshd since OpenSSH 9.8 counts 5 s for each and bars a host
 * that has gathered 15 s (sshd_config(5), PerSourcePenalties).
 */
const REFUSED_MS = [500, 1_500, 5_000] as const;
/** Ends of an attempt that only a change in the guest can turn into a login. */
const DECIDED: readonly AttemptState[] = ['wrong host key', 'auth refused'];
/** After so many of them a guest that has done nothing for so long is let be: each attempt keeps its processors busy. */
const DECIDED_TIMES = 3;
const IDLE_MS = 2_000;
/** How soon a guest that was let be is looked at again. */
const LOOK_MS = 1_000;

/**
 * Logs in as soon as the guest lets us. Each attempt is watched: a close starts the next one, a hang is raced by a fresh
 * one, the first login wins. While the guest boots its sshd may still have another host key or not know ours; that is
 * "not ready yet" until the budget is used up. Nothing is ever sent to a wrong host key.
 * With `watch` a guest that has come up and does nothing more is not waited for.
 * @throws ProvisionError `ssh.timeout`, `ssh.auth-refused`, `ssh.wrong-user`, `ssh.host-key-mismatch`, `ssh.no-handshake`,
 * `ssh.silent`, `ssh.filtered`, `ssh.no-sshd`, `net.no-dhcp`; the machine's failure
 */
export async function connectGuest(options: ConnectOptions, context: Context): Promise<GuestSession> {
  context.signal.throwIfAborted();
  let race: LoginRace;
  try {
    race = new LoginRace(options);
  } catch (cause) {
    throw new ProvisionError('ssh.key', `Cannot log into the guest: ${(cause as Error).message}`, { cause });
  }
  const onAbort = (): void => race.fail(context.signal.reason);
  context.signal.addEventListener('abort', onAbort, { once: true });
  options.failure?.catch((error: unknown) => race.fail(error));
  const watching = options.watch?.attend({
    onStill: async (still) => {
      const error = await race.still(still);
      if (error !== undefined) race.fail(error);
      return error !== undefined;
    },
    onNetwork: (facts) => race.network(facts),
  });
  try {
    const client = await race.winner;
    options.watch?.milestones.reach('login', options.username);
    return new GuestSession(client, {
      username: options.username,
      failure: options.failure,
      transcript: options.transcript,
    });
  } finally {
    context.signal.removeEventListener('abort', onAbort);
    race.end();
    // Not waited for: a QEMU that hangs must hold up neither an interrupt nor the first command.
    watching?.then((attended) => attended[Symbol.asyncDispose]()).catch(() => {});
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
  #lastError: LoginError | undefined;
  #banner: string | undefined;
  #methods: readonly string[] | undefined;
  #refusals = 0;
  #next: NodeJS.Timeout | undefined;
  #notBefore = 0;
  #networkUp = false;
  #address: 'used' | 'given' | undefined;
  #decided = 0;
  readonly #abandoned = new Set<Attempt>();

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.winner = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#start();
    this.#after(options.budgetMs, () => this.fail(this.#timeout()));
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

  /** The next attempt in `ms`, or when one is due before. */
  #again(ms: number): void {
    if (this.#over) return;
    clearTimeout(this.#next);
    this.#next = this.#after(Math.max(ms, this.#notBefore - performance.now()), () => this.#hedge());
  }

  /** Starts one more attempt, unless a server is busy with one. */
  #hedge(): void {
    const now = performance.now();
    if (this.#decided >= DECIDED_TIMES && (this.#options.watch?.idleMs ?? 0) >= IDLE_MS) {
      this.#again(LOOK_MS);
      return;
    }
    const alive = [...this.#alive];
    if (alive.length > 0 && this.#withoutAddress()) {
      this.#again(JOIN_MS);
      return;
    }
    const served = alive.some((one) => one.state() !== 'silent' && one.state() !== 'refused');
    const stuck = alive.filter((one) => now - one.started > HANDSHAKE_MS && one.state() === 'banner');
    for (const attempt of stuck) this.#abandon(attempt);
    if (served && stuck.length === 0) {
      this.#again(JOIN_MS);
      return;
    }
    if (alive.length >= MOST_ALIVE) this.#abandon(alive[PATIENT]);
    this.#start();
  }

  /**
   * Whether the guest is known to have no address yet. QEMU's user network keeps knocking for every connection it took, given
   * up by us or not: a server that comes up half a minute later would get one after the other, and a process started for each.
   */
  #withoutAddress(): boolean {
    const facts = this.#options.watch?.seen().network;
    return facts !== undefined && !facts.addressUsed && !facts.dhcpGiven && facts.port22 === 'unknown';
  }

  /** Gives an attempt up to make room; its end is no news of the guest. */
  #abandon(attempt: Attempt | undefined): void {
    if (attempt === undefined) return;
    this.#abandoned.add(attempt);
    attempt.abandon();
  }

  #start(): Attempt {
    const onReached: AttemptOptions['onReached'] = (...reached) => this.#options.watch?.milestones.reach(...reached);
    const attempt = attemptLogin({ ...this.#options, onReached });
    this.#count++;
    this.#alive.add(attempt);
    this.#again(this.#networkUp ? PATIENT_JOIN_MS : JOIN_MS);
    attempt.ended.then(({ state, client, error }) => {
      this.#alive.delete(attempt);
      if (this.#abandoned.delete(attempt) && client === undefined) return;
      if (client !== undefined) {
        if (this.#over) client.end();
        this.#over = true;
        this.#resolve(client);
        return;
      }
      if (state === 'closed') this.#networkUp = true;
      this.#last = state;
      this.#best = nearer(this.#best, state);
      this.#seenKey = attempt.seenKey() ?? this.#seenKey;
      this.#banner = attempt.banner() ?? this.#banner;
      this.#methods = attempt.methods() ?? this.#methods;
      // Of several reasons the server's or the protocol's is worth more than that a socket closed.
      if (error !== undefined && (error.level !== 'client-socket' || this.#lastError === undefined))
        this.#lastError = error;
      this.#decided = DECIDED.includes(state) ? this.#decided + 1 : 0;
      this.#again(this.#pause(state));
    });
    return attempt;
  }

  #pause(state: AttemptState): number {
    let ms: number = PAUSE_MS;
    if (state === 'wrong host key') ms = this.#decided < DECIDED_TIMES ? OTHER_KEY_MS : OTHER_KEY_LATER_MS;
    if (state === 'auth refused') ms = REFUSED_MS[Math.min(this.#refusals++, REFUSED_MS.length - 1)] ?? 0;
    if (ms > PAUSE_MS) this.#notBefore = performance.now() + ms;
    return ms;
  }

  /** All that is known, when the guest is given up; what is still open has told nobody how far it came. */
  #facts(when: string, seen: Stillness | undefined, otherUser?: string): Facts {
    const { host, port, username, hostKey } = this.#options;
    for (const attempt of this.#alive) {
      this.#best = nearer(this.#best, attempt.state());
      this.#banner = attempt.banner() ?? this.#banner;
      if (this.#last === 'refused') this.#last = attempt.state();
    }
    return {
      username,
      best: this.#best,
      last: this.#last,
      network: seen?.network,
      up: seen?.kind === 'quiet',
      otherUser,
      unknownUser: seen?.unknownUser === username || seen?.unknownUser === '',
      when,
      expectedKey: fingerprint(hostKey),
      seenKey: this.#seenKey === undefined ? undefined : fingerprint(this.#seenKey),
      evidence: {
        address: `${host}:${port}`,
        attempts: this.#count,
        nearest: this.#best,
        last: this.#last,
        lastError: this.#lastError?.message,
        banner: this.#banner,
        methodsOffered: this.#methods,
        ...seen?.evidence,
      },
    };
  }

  #timeout(): ProvisionError {
    const when = `within ${Math.round(this.#options.budgetMs / 1000)} s`;
    return loginTimeout(this.#facts(when, this.#options.watch?.seen()));
  }

  /** The guest does nothing more: what stands between us and a login, if that is known. */
  async still(still: Stillness): Promise<unknown> {
    const idle = (): string => `(idle for ${Math.round(still.ms / 1000)} s)`;
    if (!DECIDED.includes(this.#last)) return this.#over ? undefined : loginVerdict(this.#facts(idle(), still));
    // What refused us may have changed before the guest went quiet; nothing has since.
    const attempt = this.#start();
    const { state, client } = await attempt.ended;
    if (client !== undefined || this.#over || !DECIDED.includes(state)) return undefined;
    const known = still.unknownUser !== undefined;
    const other = state === 'auth refused' && !known ? await accountForKey(this.#options) : undefined;
    return this.#over ? undefined : loginVerdict(this.#facts(idle(), still, other));
  }

  /** The guest has an address now: an attempt that waits for one inside QEMU may wait for some time yet. */
  network(facts: NetworkFacts): void {
    // What took our connection and is silent is not helped by many more; they keep an idle guest from being seen as one.
    if (facts.port22 === 'accepts') this.#networkUp = true;
    const before = this.#address;
    this.#address = facts.dhcpGiven ? 'given' : facts.addressUsed ? 'used' : undefined;
    if (this.#over || this.#address === undefined || this.#address === before) return;
    if (facts.port22 === 'unknown' && this.#alive.size < MOST_ALIVE) this.#start();
  }
}
