import { createHash } from 'node:crypto';
import ssh2 from 'ssh2';
import { registerSecret } from '../errors.ts';

/** An ed25519 key pair in OpenSSH's forms. */
export interface KeyPair {
  readonly privateKey: string;
  /** One line: type, base64, comment. */
  readonly publicKey: string;
}

/** A new key pair for one build. */
export function generateKeys(comment: string): KeyPair {
  const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync('ed25519', { comment });
  // Each line by itself too: a log shows the key line by line, a seed indents it.
  for (const text of [privateKey, ...privateKey.split('\n').slice(1, -2)]) registerSecret(text);
  return { privateKey, publicKey };
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
