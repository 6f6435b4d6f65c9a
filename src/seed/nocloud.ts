import { chmod } from 'node:fs/promises';
import { stringify } from 'yaml';
import { registerSecret } from '../errors.ts';
import { seedVolume } from './volume.ts';
import { writeSeedFile } from './write.ts';

/** What compose tells the guest of a build: who may log in, which host key it has, and nothing it would not need. */
export interface BuildSeed {
  readonly instanceId: string;
  readonly hostname: string;
  /** Account of the build; `root` needs no other account to be made and removed. */
  readonly user: string;
  /** Public key of the build, one line. */
  readonly authorizedKey: string;
  /** The guest's host key: private part in OpenSSH form, and its public line. */
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string };
}

/** Raw documents, for people who bring their own. */
export interface NoCloudFiles {
  /** Text beginning with `#cloud-config`, `#!`, or another of cloud-init's headers. */
  readonly userData: string;
  readonly metaData: string;
  readonly networkConfig?: string;
}

/** The documents of a build's seed. The keys below are those of cloud-init 20 to 25: cc_ssh, cc_users_groups, cc_locale. */
export function buildSeedFiles(seed: BuildSeed): NoCloudFiles {
  registerSecret(seed.hostKey.privateKey);
  const login =
    seed.user === 'root'
      ? { users: [], disable_root: false, ssh_authorized_keys: [seed.authorizedKey] }
      : {
          users: [
            {
              name: seed.user,
              lock_passwd: true,
              shell: '/bin/bash',
              sudo: 'ALL=(ALL) NOPASSWD:ALL',
              ssh_authorized_keys: [seed.authorizedKey],
            },
          ],
        };
  const config = {
    ...login,
    ssh_pwauth: false,
    // With ssh_keys given cc_ssh makes none of its own; an empty ssh_genkeytypes would not pass its schema (minItems 1).
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: seed.hostKey.privateKey, ed25519_public: seed.hostKey.publicKey },
    // The image's own sources and locale are the recipe's business; cloud-init would write the vendor's defaults.
    apt: { preserve_sources_list: true },
    // A text, because schemas before 24.1 take no boolean; util.is_false() turns the module off for it in every version.
    locale: 'false',
  };
  const metaData = { 'instance-id': seed.instanceId, 'local-hostname': seed.hostname };
  return { userData: `#cloud-config\n${stringify(config, { lineWidth: 0 })}`, metaData: stringify(metaData) };
}

/**
 * The NoCloud volume as an ISO image.
 * @throws RecipeError `seed.user-data`, `seed.meta-data`, `seed.network-config` for what cloud-init would not read
 */
export function noCloudImage(files: NoCloudFiles, options: { readonly time?: number } = {}): Uint8Array {
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  const members = [
    { path: 'meta-data', content: encode(files.metaData) },
    { path: 'user-data', content: encode(files.userData) },
  ];
  if (files.networkConfig !== undefined) members.push({ path: 'network-config', content: encode(files.networkConfig) });
  return seedVolume('nocloud', members, options).image;
}

/** Writes the seed at `path`, readable by its owner only: it holds private keys. */
export async function writeNoCloud(path: string, files: NoCloudFiles): Promise<void> {
  await writeSeedFile(path, noCloudImage(files));
  await chmod(path, 0o600);
}
