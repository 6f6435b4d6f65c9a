import { randomBytes } from 'node:crypto';
import { PublishError, registerSecret } from '../errors.ts';

/** What MAAS gives a user under "API keys": `consumer:token:secret`. */
export interface ApiKey {
  readonly consumer: string;
  readonly token: string;
  readonly secret: string;
}

/**
 * Reads a key and has every part of it masked from now on.
 * @param source where it is from, for the error; the key itself is in no message
 * @throws PublishError `publish.api-key`
 */
export function parseApiKey(text: string, source: string): ApiKey {
  const whole = text.trim();
  const parts = whole.split(':');
  for (const secret of [whole, ...parts]) registerSecret(secret);
  const [consumer = '', token = '', secret = ''] = parts;
  if (parts.length === 3 && parts.every((part) => /^[\x21-\x7e]+$/.test(part))) return { consumer, token, secret };
  throw new PublishError(
    'publish.api-key',
    `Cannot use the API key from ${source}: it is not three parts with colons`,
    {
      hint: 'MAAS shows it under the user\'s preferences, "API keys"; "sudo maas apikey --username NAME" prints it.',
    },
  );
}

/**
 * The Authorization header of one request: OAuth 1.0, PLAINTEXT, with no consumer secret (maas, apiclient/maas_client.py).
 * MAAS remembers nonces and takes a time up to 300 s off, so each request and each repetition needs a new one.
 */
export function authorization(key: ApiKey, now: number = Date.now()): string {
  const fields = {
    oauth_nonce: randomBytes(16).toString('hex'),
    oauth_timestamp: String(Math.floor(now / 1000)),
    oauth_version: '1.0',
    oauth_signature_method: 'PLAINTEXT',
    oauth_consumer_key: key.consumer,
    oauth_token: key.token,
    // The secrets of consumer and token with "&" between; the first is empty.
    oauth_signature: `&${key.secret}`,
  };
  const pairs = Object.entries(fields).map(([name, value]) => `${name}="${encodeURIComponent(value)}"`);
  return `OAuth ${pairs.join(', ')}`;
}
