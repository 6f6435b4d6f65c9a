import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cannotServe, startDropbear } from '../../fixtures/fake-ssh-openssh.ts';
import { quietContext } from '../../src/events.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import { upload } from '../../src/guest/upload.ts';

const missing = cannotServe('dropbear', 'dropbearconvert', 'unshare', 'tar');

test.skipIf(missing !== undefined)(
  `dropbear: login, statuses and a file of 8 MiB${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    const user = generateKeys('user');
    const host = generateKeys('host');
    await using server = await startDropbear({ hostKey: host, authorizedKey: user.publicKey });
    await using session = await connectGuest(
      {
        host: '127.0.0.1',
        port: server.port,
        username: 'root',
        privateKey: user.privateKey,
        hostKey: host.publicKey,
        budgetMs: 60_000,
      },
      quietContext(),
    );
    expect(await session.exec('echo o; echo e >&2; exit 4')).toMatchObject({
      exitCode: 4,
      stdout: 'o\n',
      stderr: 'e\n',
    });
    const place = await mkdtemp(join(tmpdir(), 'compose-ssh-'));
    try {
      const content = Buffer.alloc(8 * 1024 * 1024, 'dropbear');
      await upload(session, [{ path: join(place, 'file'), content }]);
      expect((await readFile(join(place, 'file'))).equals(content)).toBe(true);
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  },
);
