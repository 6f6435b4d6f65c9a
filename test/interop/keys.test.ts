import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { awkwardKey } from '../../fixtures/awkward-keys.ts';
import { fingerprint, generateKeys } from '../../src/guest/keys.ts';
import { which } from '../../src/host/tools.ts';

const missing = which('ssh-keygen') === undefined ? ' (skipped: needs ssh-keygen)' : '';

const AWKWARD = Array.from({ length: 16 }, (_, i) => awkwardKey(i));

test.skipIf(missing !== '')(
  `ssh-keygen reads the keys made here and prints the same fingerprint${missing}`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'compose-keys-'));
    try {
      const made = Array.from({ length: 5 }, () => generateKeys('compose test'));
      // The lengths of comments are what the padding depends on.
      for (const [round, pair] of [...made, ...AWKWARD].entries()) {
        const file = join(folder, `key-${round}`);
        await writeFile(file, pair.privateKey, { mode: 0o600 });
        await writeFile(`${file}.pub`, `${pair.publicKey}\n`);
        const keygen = (...args: string[]): string => execFileSync('ssh-keygen', args, { encoding: 'utf8' }).trim();
        expect(keygen('-y', '-f', file)).toBe(pair.publicKey);
        const comment = pair.publicKey.split(' ').slice(2).join(' ');
        expect(keygen('-l', '-f', `${file}.pub`)).toBe(`256 ${fingerprint(pair.publicKey)} ${comment} (ED25519)`);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);
