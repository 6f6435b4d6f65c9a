import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fingerprint, generateKeys } from '../../src/guest/keys.ts';
import { which } from '../../src/host/tools.ts';

const missing = which('ssh-keygen') === undefined ? ' (skipped: needs ssh-keygen)' : '';

test.skipIf(missing !== '')(
  `ssh-keygen reads the keys made here and prints the same fingerprint${missing}`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'compose-keys-'));
    try {
      for (let round = 0; round < 5; round++) {
        const pair = generateKeys('compose test');
        const file = join(folder, `key-${round}`);
        await writeFile(file, pair.privateKey, { mode: 0o600 });
        await writeFile(`${file}.pub`, `${pair.publicKey}\n`);
        const keygen = (...args: string[]): string => execFileSync('ssh-keygen', args, { encoding: 'utf8' }).trim();
        expect(keygen('-y', '-f', file)).toBe(pair.publicKey);
        expect(keygen('-l', '-f', `${file}.pub`)).toBe(`256 ${fingerprint(pair.publicKey)} compose test (ED25519)`);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);
