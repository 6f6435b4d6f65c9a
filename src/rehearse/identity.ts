import { randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { generateKeys, type KeyPair } from '../guest/keys.ts';
import type { Metadata } from './metadata-tree.ts';

/** Who the rehearsed machine is: what MAAS would know of it, and the keys by which it is reached and recognised. */
export interface Identity {
  readonly user: string;
  readonly userKey: KeyPair;
  readonly hostKey: KeyPair;
  readonly metadata: Metadata;
}

/**
 * @param user account that gets the login key. Vendor data names it as cloud-init's default user, as MAAS does; root is
 * opened instead
 */
export function newIdentity(user: string): Identity {
  const userKey = generateKeys('rehearsal');
  const hostKey = generateKeys('rehearsal-host');
  const instanceId = `r${randomBytes(3).toString('hex').slice(0, 5)}`;
  const account =
    user === 'root' ? { disable_root: false } : { system_info: { default_user: { name: user, gecos: 'Rehearsal' } } };
  // With a host key of ours the machine is recognised at the first login, and user data is seen to be read.
  const userData = {
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey },
  };
  return {
    user,
    userKey,
    hostKey,
    metadata: {
      instanceId,
      hostname: 'rehearsal.maas',
      publicKeys: [userKey.publicKey],
      userData: cloudConfig(userData),
      vendorData: stringify({ 'cloud-init': cloudConfig(account) }, { lineWidth: 0 }),
    },
  };
}

function cloudConfig(config: object): string {
  return `#cloud-config\n${stringify(config, { lineWidth: 0 })}`;
}
