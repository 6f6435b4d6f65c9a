import { writeFileSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cannotServe, TEST_USER } from '../../fixtures/fake-ssh-openssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { random } from '../../fixtures/fuzz.ts';
import { folder, serve, sha256 } from '../../fixtures/ssh-served.ts';
import { download } from '../../src/guest/download.ts';
import { putFile } from '../../src/guest/put-file.ts';

const missing = cannotServe('sshd', 'dropbear', 'unshare', 'sudo', 'tar', 'busybox');
const named = (name: string): string => (missing === undefined ? name : `${name} (skipped: ${missing})`);
const real = test.skipIf(missing !== undefined);

async function noise(path: string, mebibytes: number): Promise<void> {
  const block = Buffer.alloc(1024 * 1024);
  const blocks: Buffer[] = [];
  const next = random(1);
  for (let index = 0; index < mebibytes; index++) {
    if (index % 8 === 0) {
      for (let at = 0; at < block.length; at += 4) block.writeUInt32LE(next(), at);
    }
    block.writeUInt32BE(index);
    blocks.push(Buffer.from(block));
  }
  await writeFile(path, blocks);
}

for (const [what, kind, by] of [
  ['by SFTP', 'openssh', 'sftp'],
  ['without SFTP', 'openssh', 'exec'],
  ['dropbear', 'dropbear', 'auto'],
] as const) {
  real(
    named(`64 MiB go up and come down hash-equal: ${what}`),
    async () => {
      await using place = await folder();
      const from = join(place.path, 'large');
      await noise(from, 64);
      await using served = await serve(kind);
      const path = join(place.path, 'up', 'large');
      await putFile(served.session, { path, content: { hostPath: from }, mode: 0o640 }, { by });
      expect(await sha256(path)).toBe(await sha256(from));
      expect((await lstat(path)).mode & 0o7777).toBe(0o640);
      expect(await readdir(join(place.path, 'up'))).toEqual(['large']);
      const back = await download(served.session, path, 'back', { root: place.path });
      expect(back.bytes).toBe(64 * 1024 * 1024);
      expect(await sha256(back.path)).toBe(await sha256(from));
    },
    60_000,
  );
}

real(
  named('an SFTP that is broken, by a start-up file that prints or by a server without it, is done without'),
  async () => {
    await using place = await folder();
    await noise(join(place.path, 'large'), 9);
    for (const options of [
      { home: { '.bashrc': 'echo Welcome, stranger\n' } },
      { config: ['Subsystem sftp /bin/false'] },
      { config: ['Subsystem sftp /nowhere/sftp-server'] },
    ]) {
      await using served = await serve('openssh', options);
      const path = join(place.path, 'up');
      await putFile(served.session, { path, content: { hostPath: join(place.path, 'large') } });
      expect(await sha256(path)).toBe(await sha256(join(place.path, 'large')));
      await rm(path);
    }
  },
  60_000,
);

real(named('a file replaces another whole or not at all, and nothing is left of a try that failed'), async () => {
  await using place = await folder();
  await using served = await serve('openssh', { username: TEST_USER });
  const { session } = served;
  const path = join(place.path, 'file');
  await writeFile(path, 'old');
  const bad = await settle(
    putFile(session, { path, content: Buffer.from('new'), owner: 'nobody-has-this-name' }),
    60_000,
  );
  expect(bad).toMatchObject({ how: 'rejected', error: { code: 'upload.failed' } });
  expect(await readFile(path, 'utf8')).toBe('old');
  expect(await readdir(place.path)).toEqual(['file']);
  await putFile(session, { path, content: Buffer.from('new'), owner: 'nobody', mode: 0o604, mtime: 1_000_000_000 });
  const info = await lstat(path);
  expect([await readFile(path, 'utf8'), info.uid, info.mode & 0o7777, info.mtimeMs]).toEqual([
    'new',
    65534,
    0o604,
    1_000_000_000_000,
  ]);
});

const REFUSED: readonly [what: string, (place: string) => [path: string, code: string]][] = [
  ['a folder is there', (place) => [place, 'upload.is-folder']],
  ['it cannot be made', () => ['/proc/nothing/here', 'upload.failed']],
  ['the path is not whole', () => ['relative/path', 'guest.path']],
];
for (const [what, of] of REFUSED) {
  real(named(`a file is not put where ${what}`), async () => {
    await using place = await folder();
    await using served = await serve('dropbear');
    const [path, code] = of(place.path);
    const ended = await settle(putFile(served.session, { path, content: new Uint8Array(2 ** 21) }), 60_000);
    expect(ended).toMatchObject({ how: 'rejected', error: { code } });
  });
}

real(named('a download stays in the output folder, and says what is missing'), async () => {
  await using place = await folder();
  await using served = await serve('openssh');
  const root = join(place.path, 'out');
  await mkdir(root);
  await symlink('/tmp', join(root, 'away'));
  for (const [to, code] of [
    ['../x', 'download.escapes'],
    ['/tmp/x', 'download.escapes'],
    ['a/../../x', 'download.escapes'],
    ['away/x', 'download.escapes'],
    ['.', 'download.escapes'],
    ['fine', 'download.missing'],
  ] as const) {
    const ended = await settle(download(served.session, '/etc/nothing/here', to, { root }), 60_000);
    expect([to, ended]).toMatchObject([to, { how: 'rejected', error: { code } }]);
  }
});

real(named('a file that changes while it is downloaded is damaged'), async () => {
  await using place = await folder();
  await using served = await serve('openssh');
  const from = join(place.path, 'growing');
  await writeFile(from, 'x');
  const { session } = served;
  const ended = await settle(
    download(session, from, 'copy', { root: join(place.path, 'out'), onProgress: () => writeFileSync(from, 'other') }),
    60_000,
  );
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'download.damaged' } });
  expect(await readdir(join(place.path, 'out'))).toEqual([]);
});
