import { type AttemptOptions, attemptLogin } from './attempt.ts';

/** Accounts that images let a key in as, the likely ones first. */
const USUAL = ['root', 'debian', 'ubuntu', 'cloud-user', 'almalinux', 'rocky', 'fedora', 'opensuse', 'alpine', 'arch'];
const MOST = 5;
const EACH_MS = 6_000;
const ALL_MS = 12_000;

/**
 * The account of the guest that our key opens, if it is one of the usual names. An SSH server does not say whether it knows
 * a user or refuses a key; that another name opens with the same key does. Asked only when the login is given up anyway.
 */
export async function accountForKey(options: AttemptOptions): Promise<string | undefined> {
  const start = performance.now();
  const names = USUAL.filter((name) => name !== options.username).slice(0, MOST);
  for (const username of names) {
    const left = ALL_MS - (performance.now() - start);
    if (left <= 0) return undefined;
    const attempt = attemptLogin({ ...options, username, onReached: undefined });
    const timer = setTimeout(() => attempt.abandon(), Math.min(EACH_MS, left));
    const { state, client } = await attempt.ended;
    clearTimeout(timer);
    client?.end();
    if (state === 'ready') return username;
    // A server that no longer talks to us bars this host after so many refusals.
    if (state !== 'auth refused') return undefined;
  }
  return undefined;
}
