/**
 * `npm run bench -- readiness`: the time from the moment a guest's SSH server listens, as its console tells, to the moment
 * compose knows: a connection taken on port 22. The guest is a micro-guest with dropbear under software emulation.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NETWORK, networkGuest, PROMPT, SSHD } from '../fixtures/network-guest.ts';
import type { ComposeEvent } from '../src/events.ts';
import { connectGuest } from '../src/guest/connect.ts';
import { generateKeys } from '../src/guest/keys.ts';
import { startMachine } from '../src/machine/start.ts';

const RUNS = 5;
/** dropbear says so when it has bound its port. */
const LISTENS = /Not backgrounding/;
/** The server comes this long after the network, so that compose is found waiting. */
const WAIT = 'sleep 3';

export interface Noticed {
  /** From listening to the connection taken, to the server's banner, and to the login, ms. */
  readonly port: number;
  readonly banner: number;
  readonly login: number;
}

export async function noticed(): Promise<Noticed> {
  const folder = mkdtempSync(join(tmpdir(), 'compose-readiness-'));
  try {
    const [user, host] = [generateKeys('user'), generateKeys('host')];
    const script = `${NETWORK}\n${WAIT}\n${SSHD}\n${PROMPT}\nwhile true; do sleep 1000; done`;
    const spec = await networkGuest(folder, { script, hostKey: host, authorizedKey: user.publicKey });
    const at = new Map<string, number>();
    let text = '';
    const emit = (event: ComposeEvent): void => {
      if (event.type === 'output') text += event.text;
      if (!at.has('listens') && LISTENS.test(text)) at.set('listens', performance.now());
      if (event.type === 'milestone' && !at.has(event.milestone)) at.set(event.milestone, performance.now());
    };
    const context = { emit, signal: AbortSignal.timeout(120_000) };
    await using machine = await startMachine(spec, { runDir: folder, policy: 'tcg' }, context);
    const { ssh, failure, watch } = machine;
    const login = { username: 'root', privateKey: user.privateKey, hostKey: host.publicKey, budgetMs: 100_000 };
    await using _session = await connectGuest(
      { host: '127.0.0.1', port: ssh?.port ?? 0, ...login, failure, watch },
      context,
    );
    const since = (what: string): number => (at.get(what) ?? Number.NaN) - (at.get('listens') ?? Number.NaN);
    return { port: since('ssh port'), banner: since('ssh banner'), login: since('login') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function readiness(): Promise<void> {
  console.log('| run | connection taken, ms | banner, ms | login, ms |\n|---|---:|---:|---:|');
  const ports: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    const { port, banner, login } = await noticed();
    ports.push(port);
    console.log(`| ${run} | ${port.toFixed(0)} | ${banner.toFixed(0)} | ${login.toFixed(0)} |`);
  }
  console.log(`a guest that is ready is noticed after ${Math.max(...ports).toFixed(0)} ms at most`);
}
