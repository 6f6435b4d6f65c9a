import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sshGuest } from '../../fixtures/ssh-guest.ts';
import { debugRun } from '../../src/build/debug.ts';
import { recordFirmware, sshCommand, writeRunRecord } from '../../src/build/run-record.ts';
import { quietContext } from '../../src/events.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import type { GuestSession } from '../../src/guest/session.ts';
import { which } from '../../src/host/tools.ts';
import { startMachine } from '../../src/machine/start.ts';

const LONG = 300_000;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-debug-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A run folder as a build that failed leaves it. */
async function failedRun(authorized?: string): Promise<string> {
  const user = generateKeys('user');
  const host = generateKeys('host');
  const raw = join(folder, 'base.raw');
  execFileSync('truncate', ['-s', '16M', raw]);
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', raw]);
  const disk = join(folder, 'disk.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', disk]);
  const spec = await sshGuest(folder, {
    hostKey: host,
    authorizedKey: authorized ?? user.publicKey,
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

test('a guest that cannot be logged into any more is told of once it is still, long before the time of a login is up', async () => {
  const run = await failedRun(generateKeys('another').publicKey);
  const debugged = debugRun({ run, accelerator: 'tcg', work: async () => {} }, quietContext());
  await expect(debugged).rejects.toMatchObject({
    code: 'ssh.auth-refused',
    message: expect.stringContaining('(idle for '),
  });
}, 120_000);

test('what cannot be booted again says why', async () => {
  const attempt = (run: string): Promise<unknown> =>
    debugRun({ run, work: async () => {} }, quietContext()).catch((error: unknown) => error);
  expect(await attempt('/nowhere/at/all')).toMatchObject({ code: 'run.not-found', exitCode: 2 });
  expect(await attempt(folder)).toMatchObject({ code: 'run.no-record', exitCode: 2 });
  const run = await failedRun();
  await rm(join(run, 'disk.qcow2'));
  expect(await attempt(run)).toMatchObject({ code: 'run.no-disk', exitCode: 2 });
});

const GUID = 'd9c2f1b0-3a3e-4e7c-9d55-0d6f6e3b7a11';
/** The attributes of a variable that stays: non-volatile, for boot services and for the system that runs. */
const variable = (name: string, text: string): string =>
  `printf '\\x07\\0\\0\\0${text}' >/sys/firmware/efi/efivars/${name}-${GUID}`;
const mountVariables = 'mount -t efivarfs efivarfs /sys/firmware/efi/efivars';
const variables = `cd /sys/firmware/efi/efivars && for one in *-${GUID}; do echo "$one $(tail -c +5 $one)"; done`;

/** Sends a command to the TPM and prints its response code (TCG TPM 2.0 Library, part 3). */
const tpm = (hex: string): string => {
  const bytes = hex.replace(/ /g, '').replace(/../g, '\\x$&');
  return `exec 3<>/dev/tpm0; printf '${bytes}' >&3; dd bs=4096 count=1 <&3 2>/dev/null | od -An -tx1 -j6 -N4; exec 3>&-`;
};
/** TPM2_NV_DefineSpace of index 0x01500016, 8 bytes, by the owner with an empty password. */
const defineIndex = tpm(
  '8002 0000002d 0000012a 40000001 00000009 40000009 0000 00 0000 0000 000e 01500016 000b 00060006 0000 0008',
);
/** TPM2_NV_ReadPublic of the same. */
const readIndex = tpm('8001 0000000e 00000169 01500016');
const SUCCESS = '00 00 00 00';

const without = which('swtpm') === undefined ? ' (skipped: no swtpm)' : '';
test.skipIf(without !== '')(
  `a kept run is booted with the UEFI variables and the TPM its guest left; what is discarded changes neither${without}`,
  async () => {
    const [user, host] = [generateKeys('user'), generateKeys('host')];
    const disk = join(folder, 'disk.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '16M']);
    const small = await sshGuest(folder, {
      hostKey: host,
      authorizedKey: user.publicKey,
      memory: 256 * 1024 * 1024,
      modules: ['efivarfs'],
      disks: [{ path: disk, format: 'qcow2', scratch: true }],
    });
    const spec = { ...small, firmware: 'uefi', tpm: true } as const;
    await writeRunRecord(folder, { recipe: 'x', user: 'root', spec }, { user, host });
    {
      await using machine = await startMachine(spec, { runDir: folder, policy: 'tcg' }, quietContext());
      if (machine.firmware !== undefined) await recordFirmware(folder, machine.firmware);
      const { privateKey } = user;
      const at = {
        host: '127.0.0.1',
        port: machine.ssh?.port ?? 0,
        username: 'root',
        privateKey,
        hostKey: host.publicKey,
      };
      const login = { ...at, budgetMs: LONG / 2, failure: machine.failure };
      await using session: GuestSession = await connectGuest(login, quietContext());
      await session.run(`${mountVariables} && ${variable('First', 'kept')}`);
      expect((await session.run(readIndex)).stdout.trim()).not.toBe(SUCCESS);
      expect((await session.run(defineIndex)).stdout.trim()).toBe(SUCCESS);
    }
    const digest = (): string[] =>
      ['efivars.fd', 'tpm/tpm2-00.permall'].map((name) =>
        createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex'),
      );
    const before = digest();
    const said: string[] = [];
    const context = { ...quietContext(), emit: (event: object) => void said.push(JSON.stringify(event)) };
    let seen: string[] = [];
    const work = async (session: GuestSession): Promise<void> => {
      const shell = async (script: string): Promise<string> => (await session.run(script)).stdout.trim();
      seen = [await shell(`${mountVariables}; ${variables}`), await shell(readIndex)];
      await session.run(variable('Second', 'thrown away'));
    };
    const { logs } = await debugRun({ run: folder, accelerator: 'tcg', discard: true, work }, context);
    expect(seen).toEqual([`First-${GUID} kept`, SUCCESS]);
    expect(digest()).toEqual(before);
    expect(said.join('\n')).not.toMatch(/fresh UEFI variables|a new TPM/);
    expect(await readdir(logs)).not.toEqual(expect.arrayContaining([expect.stringMatching(/efivars|^tpm$/)]));
  },
  LONG,
);
