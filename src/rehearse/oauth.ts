import { timingSafeEqual } from 'node:crypto';

/** What a machine signs its requests with (OAuth 1.0, PLAINTEXT, empty consumer secret). */
export interface MachineToken {
  readonly consumerKey: string;
  readonly tokenKey: string;
  readonly tokenSecret: string;
}

/** Whether a request may be answered: signed by our token, not signed at all, or signed wrongly and how. */
export type Signed = 'signed' | 'unsigned' | { readonly wrong: string };

const PREFIX = 'oauth_';
const REQUIRED = ['consumer_key', 'token', 'signature', 'signature_method', 'timestamp', 'nonce'] as const;

/** The parameters of an `Authorization: OAuth …` header without their prefix, decoded; undefined when it is no such header. */
export function parseOauthHeader(header: string | undefined): Map<string, string> | undefined {
  const text = /^OAuth\s+(.*)$/is.exec(header ?? '')?.[1];
  if (text === undefined) return undefined;
  const found = new Map<string, string>();
  for (const [, name = '', value = ''] of text.matchAll(/([A-Za-z_]+)="([^"]*)"/g)) {
    if (!name.startsWith(PREFIX)) continue;
    try {
      found.set(name.slice(PREFIX.length), decodeURIComponent(value));
    } catch {
      found.set(name.slice(PREFIX.length), value);
    }
  }
  return found;
}

/** Checks a header as MAAS does (maasserver/api/auth.py), without its window of time: a guest's clock may be wrong. */
export function checkSignature(header: string | undefined, token: MachineToken): Signed {
  const given = parseOauthHeader(header);
  if (given === undefined) return 'unsigned';
  const missing = REQUIRED.filter((name) => (given.get(name) ?? '') === '');
  if (missing.length > 0) return { wrong: `oauth_${missing[0]} is missing` };
  if (given.get('signature_method') !== 'PLAINTEXT') return { wrong: `method ${given.get('signature_method')}` };
  if (!/^\d+$/.test(given.get('timestamp') ?? '')) return { wrong: 'the timestamp is no number' };
  if (!same(given.get('consumer_key'), token.consumerKey)) return { wrong: 'another consumer key' };
  if (!same(given.get('token'), token.tokenKey)) return { wrong: 'another token' };
  if (!same(given.get('signature'), `&${token.tokenSecret}`)) return { wrong: 'another signature' };
  return 'signed';
}

function same(given: string | undefined, right: string): boolean {
  const [a, b] = [Buffer.from(given ?? ''), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
