import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sshGuest } from '../../fixtures/ssh-guest.ts';
import { debugRun } from '../../src/build/debug.ts';
import { sshCommand, writeRunRecord } from '../../src/build/run-record.ts';
import { quietContext } from '../../src/events.ts';
import { generateKeys } from '../../src/guest/keys.ts';

const LONG = 300_000;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-debug-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A run folder as a build that failed leaves it. */
async function failedRun(): Promise<string> {
  const user = generateKeys('user');
  const host = generateKeys('host');
  const raw = join(folder, 'base.raw');
  execFileSync('truncate', ['-s', '16M', raw]);
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', raw]);
  const disk = join(folder, 'disk.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', disk]);
  const spec = await sshGuest(folder, {
    hostKey: host,
    authorizedKey: user.publicKey,
    memory: 160 * 1024 * 1024,
    disks: [{ path: disk, format: 'qcow2', scratch: true }],
  });
  await writeRunRecord(folder, { recipe: 'x', user: 'root', spec }, { user, host });
  return folder;
}

test(
  'a kept run is booted again: changes stay, or are thrown away; its own logs are left alone',
  async () => {
    const run = await failedRun();
    expect(statSync(join(run, 'id_ed25519')).mode & 0o777).toBe(0o600);
    expect(sshCommand(run, 'root', { host: '127.0.0.1', port: 7 })).toMatch(/^ssh -i \S+ -p 7 .*root@127\.0\.0\.1$/);
    const first = await debugRun(
      {
        run,
        accelerator: 'tcg',
        work: async (session) => void (await session.run('echo kept >/data/file')),
      },
      quietContext(),
    );
    expect(first).toMatchObject({ runDir: run, changes: 'kept' });
    let seen = '';
    const second = await debugRun(
      {
        run,
        accelerator: 'tcg',
        discard: true,
        work: async (session) => {
          seen = (await session.run('cat /data/file; echo thrown away >/data/file')).stdout;
        },
      },
      quietContext(),
    );
    expect([seen, second.changes]).toEqual(['kept\n', 'discarded']);
    expect(await readdir(second.logs)).not.toContain('disk0.qcow2');
    expect(await readFile(join(second.logs, 'ssh.log'), 'utf8')).toContain('cat /data/file');
    expect(existsSync(join(run, 'serial.log'))).toBe(false);
    execFileSync('qemu-img', ['convert', '-O', 'raw', join(run, 'disk.qcow2'), join(run, 'after.raw')]);
    const cat = execFileSync('debugfs', ['-R', 'cat /file', join(run, 'after.raw')], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    expect(cat).toBe('kept\n');
  },
  LONG,
);

test('what cannot be booted again says why', async () => {
  const attempt = (run: string): Promise<unknown> =>
    debugRun({ run, work: async () => {} }, quietContext()).catch((error: unknown) => error);
  expect(await attempt('/nowhere/at/all')).toMatchObject({ code: 'run.not-found', exitCode: 2 });
  expect(await attempt(folder)).toMatchObject({ code: 'run.no-record', exitCode: 2 });
  const run = await failedRun();
  await rm(join(run, 'disk.qcow2'));
  expect(await attempt(run)).toMatchObject({ code: 'run.no-disk', exitCode: 2 });
});
