import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { registerSecret } from '../errors.ts';

const TYPE = 'ssh-ed25519';

/** An ed25519 key pair in OpenSSH's forms. */
export interface KeyPair {
  readonly privateKey: string;
  /** One line: type, base64, comment. */
  readonly publicKey: string;
}

/**
 * A new key pair for one build, without a passphrase.
 *
 * Not by ssh2's generator: it drops zero bytes at the start of the public key, and OpenSSH takes no key of 31 bytes. That
 * is one pair of 256.
 */
export function generateKeys(comment: string): KeyPair {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return keyPair(Buffer.from(jwk.d as string, 'base64url'), Buffer.from(jwk.x as string, 'base64url'), comment);
}

/** OpenSSH's forms of an ed25519 key of 32 bytes each. Form: PROTOCOL.key of OpenSSH, RFC 8709 section 4. */
export function keyPair(secret: Uint8Array, point: Uint8Array, comment: string): KeyPair {
  const publicBlob = Buffer.concat([counted(TYPE), counted(point)]);
  // The same number twice: how a reader knows that it decrypted the rest.
  const check = randomBytes(4);
  const secrets = [check, check, publicBlob, counted(Buffer.concat([secret, point])), counted(comment)];
  const length = secrets.reduce((sum, part) => sum + part.length, 0);
  const padding = Buffer.from(Array.from({ length: -length & 7 }, (_, i) => i + 1));
  const blob = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    counted('none'),
    counted('none'),
    counted(''),
    Buffer.of(0, 0, 0, 1),
    counted(publicBlob),
    counted(Buffer.concat([...secrets, padding])),
  ]);
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? [];
  const privateKey = ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join(
    '\n',
  );
  // Each line by itself too: a log shows the key line by line, a seed indents it.
  for (const text of [privateKey, ...lines]) registerSecret(text);
  return { privateKey, publicKey: `${TYPE} ${publicBlob.toString('base64')} ${comment}` };
}

/** A string of the SSH protocol: its length in four bytes before it (RFC 4251 section 5). */
function counted(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** `SHA256:…` as ssh-keygen -l prints it, of a public line or of the key's wire bytes. */
export function fingerprint(key: string | Uint8Array): string {
  const bytes = typeof key === 'string' ? keyBytes(key) : key;
  return `SHA256:${createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '')}`;
}

/** Wire bytes of a public line. */
export function keyBytes(publicKey: string): Buffer {
  return Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
}
