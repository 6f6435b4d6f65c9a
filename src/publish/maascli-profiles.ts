import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isComposeError, PublishError } from '../errors.ts';
import { openSqlite } from '../formats/sqlite/pages.ts';
import { sqliteRows } from '../formats/sqlite/table.ts';
import { nearest } from '../formats/suggest.ts';
import { type ApiKey, parseApiKey } from './oauth.ts';

/** A login of the MAAS command line (`maas login NAME URL KEY`). */
export interface Profile {
  readonly name: string;
  readonly url: string;
  readonly key: ApiKey;
  /** Certificates the login was given, PEM. */
  readonly certificates: string | undefined;
}

/** The store of a MAAS from packages, and of the snap, whose home is its own. */
const STORES = ['.maascli.db', 'snap/maas/current/.maascli.db'];
/** Each profile holds a description of the whole API, some hundred kB; a larger file is not that store. */
const MOST_BYTES = 256 * 1024 * 1024;

/**
 * Reads one login from the store of the MAAS command line, an SQLite database with a JSON text for each profile
 * (maas, maascli/config.py).
 * @throws PublishError `publish.no-profiles`, `publish.profile`, `publish.profiles-unreadable`, `publish.api-key`
 */
export async function readProfile(name: string, home: string = homedir()): Promise<Profile> {
  const known: string[] = [];
  for (const store of STORES) {
    const path = join(home, store);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) continue;
    if (found.size > MOST_BYTES) throw unreadable(path, `it has ${found.size} bytes`);
    for (const [profile, text] of await storedProfiles(path)) {
      if (profile === name) return parseProfile(name, text, path);
      known.push(profile);
    }
  }
  if (known.length > 0) {
    const near = nearest(name, known);
    throw new PublishError('publish.profile', `Cannot log in to MAAS: there is no profile "${name}"`, {
      hint: `The MAAS command line knows ${known.join(', ')}.${near === undefined ? '' : ` Did you mean ${near}?`}`,
    });
  }
  throw new PublishError('publish.no-profiles', 'Cannot log in to MAAS: its command line has no profiles here', {
    hint: `Run: maas login ${name} URL KEY-FILE, or name --url and --api-key-file.`,
    evidence: { looked: STORES.map((store) => join(home, store)) },
  });
}

/** Names and JSON texts of the table `profiles`: id, name, data. */
async function storedProfiles(path: string): Promise<[name: string, data: string][]> {
  try {
    const log = await readFile(`${path}-wal`).catch(() => undefined);
    const rows = [...sqliteRows(openSqlite(await readFile(path), log), 'profiles')];
    return rows.flatMap(([, name, data]) => {
      const text = data instanceof Uint8Array ? Buffer.from(data).toString('utf8') : data;
      return typeof name === 'string' && typeof text === 'string' ? [[name, text] as [string, string]] : [];
    });
  } catch (cause) {
    if (isComposeError(cause) && cause.code === 'sqlite.no-table') return [];
    throw unreadable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function parseProfile(name: string, text: string, path: string): Profile {
  let data: { url?: unknown; credentials?: unknown; cacerts?: unknown } | null;
  try {
    data = JSON.parse(text) as typeof data;
  } catch (cause) {
    throw unreadable(path, `profile ${name} is not JSON`, cause);
  }
  const { url, credentials, cacerts } = data ?? {};
  if (typeof url !== 'string') throw unreadable(path, `profile ${name} has no address`);
  if (!Array.isArray(credentials) || credentials.some((part) => typeof part !== 'string')) {
    throw new PublishError('publish.profile', `Cannot log in to MAAS: profile "${name}" has no API key`, {
      hint: `Log in again: maas login ${name} ${url} KEY-FILE`,
    });
  }
  const key = parseApiKey(credentials.join(':'), `profile ${name}`);
  const certificates = typeof cacerts === 'string' && cacerts.includes('BEGIN CERTIFICATE') ? cacerts : undefined;
  return { name, url, key, certificates };
}

function unreadable(path: string, why: string, cause?: unknown): PublishError {
  return new PublishError('publish.profiles-unreadable', `Cannot read the logins of MAAS in ${path}: ${why}`, {
    hint: 'Name --url and --api-key-file instead.',
    cause,
  });
}
