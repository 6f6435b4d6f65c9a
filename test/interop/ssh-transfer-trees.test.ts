import { chmod, lstat, mkdir, readdir, readFile, readlink, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cannotServe, TEST_USER } from '../../fixtures/fake-ssh-openssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { folder, serve } from '../../fixtures/ssh-served.ts';
import { download } from '../../src/guest/download.ts';
import { uploadPath } from '../../src/guest/upload.ts';

const missing = cannotServe('sshd', 'dropbear', 'unshare', 'sudo', 'tar', 'busybox');
const named = (name: string): string => (missing === undefined ? name : `${name} (skipped: ${missing})`);
const real = test.skipIf(missing !== undefined);

const NO_TAR = { '/usr/bin/tar': undefined, '/bin/tar': undefined };
const BUSYBOX_TAR = { '/usr/bin/tar': '/bin/busybox' };
const BSD_TAR = { '/usr/bin/tar': '/usr/bin/bsdtar' };

/** Relative path as bytes in hexadecimal, kind, permission bits, owner, time, content or target. */
async function describeTree(root: string, withFolderTimes: boolean): Promise<string[]> {
  const lines: string[] = [];
  const walk = async (at: Buffer, inside: string): Promise<void> => {
    for (const name of await readdir(at, { encoding: 'buffer' })) {
      const path = Buffer.concat([at, Buffer.from('/'), name]);
      const info = await lstat(path);
      const shown = `${inside}/${name.toString('hex')}`;
      const time =
        info.isSymbolicLink() || (info.isDirectory() && !withFolderTimes) ? '' : Math.floor(info.mtimeMs / 1000);
      const what = info.isSymbolicLink()
        ? `link ${(await readlink(path, { encoding: 'buffer' })).toString('hex')}`
        : info.isDirectory()
          ? 'folder'
          : (await readFile(path)).toString('base64').slice(0, 60);
      const mode = info.isSymbolicLink() ? '' : (info.mode & 0o7777).toString(8);
      lines.push(`${shown} ${mode} ${info.uid}:${info.gid} ${time} ${what}`);
      if (info.isDirectory()) await walk(path, shown);
    }
  };
  await walk(Buffer.from(root), '');
  return lines.sort();
}

async function makeTree(root: string): Promise<void> {
  const long = 'x'.repeat(120);
  await mkdir(join(root, 'deep', long), { recursive: true });
  await mkdir(join(root, 'empty'));
  await writeFile(join(root, 'plain'), 'plain');
  await writeFile(join(root, 'nothing'), '');
  await writeFile(join(root, 'tool'), '#!/bin/sh\n');
  await chmod(join(root, 'tool'), 0o4751);
  for (const name of ['-n', '-rf', 'ein Gruß ü', 'two\nlines', "it's", '$(id)', 'back\\slash', '*', '.hidden', '...']) {
    await writeFile(join(root, name), name);
  }
  await writeFile(Buffer.concat([Buffer.from(`${root}/latin1-`), Buffer.from([0xe9, 0xff])]), 'bytes');
  await writeFile(join(root, 'deep', long, `leaf-${'y'.repeat(100)}`), Buffer.from([0, 255, 10]));
  await symlink('plain', join(root, 'link'));
  await symlink(`/nowhere/${'z'.repeat(150)}`, join(root, 'dangling'));
  await symlink('deep', join(root, 'to-folder'));
  await utimes(join(root, 'plain'), 1_000_000_000, 1_000_000_000);
  await utimes(join(root, 'empty'), 1_100_000_000, 1_100_000_000);
  await chmod(join(root, 'empty'), 0o500);
  await utimes(root, 1_200_000_000, 1_200_000_000);
}

const TREES: readonly [what: string, 'openssh' | 'dropbear', Parameters<typeof serve>[1], folderTimes: boolean][] = [
  ['GNU tar', 'openssh', {}, true],
  ['GNU tar, by sudo', 'openssh', { username: TEST_USER }, true],
  ['busybox tar', 'dropbear', { programs: BUSYBOX_TAR }, false],
  ['bsdtar', 'openssh', { programs: BSD_TAR }, true],
  ['no tar', 'dropbear', { programs: NO_TAR }, true],
  ['no tar, by sudo', 'openssh', { username: TEST_USER, programs: NO_TAR }, true],
];
const SAYS: Readonly<Record<string, RegExp>> = {
  'GNU tar': /GNU/,
  'busybox tar': /busybox/i,
  bsdtar: /bsdtar/,
  'no tar': /not found|denied/,
};
for (const [what, kind, options, folderTimes] of TREES) {
  real(
    named(`a folder goes up as it is: ${what}, ${kind}`),
    async () => {
      await using place = await folder();
      const from = join(place.path, 'from');
      await mkdir(from);
      await makeTree(from);
      await using served = await serve(kind, options);
      const { stdout } = await served.session.exec('tar --version 2>&1');
      expect(stdout).toMatch(SAYS[what.split(',', 1)[0] ?? ''] ?? /never/);
      const to = join(place.path, 'to');
      await uploadPath(served.session, from, to);
      expect(await describeTree(to, folderTimes)).toEqual(await describeTree(from, folderTimes));
    },
    60_000,
  );
}

const DOWN: readonly [what: string, 'openssh' | 'dropbear', Parameters<typeof serve>[1]][] = [
  ['GNU tar', 'openssh', {}],
  ['GNU tar, by sudo', 'openssh', { username: TEST_USER }],
  ['busybox tar', 'dropbear', { programs: BUSYBOX_TAR }],
];
for (const [what, kind, options] of DOWN) {
  real(named(`a folder comes down as it is, without set-id bits: ${what}, ${kind}`), async () => {
    await using place = await folder();
    const from = join(place.path, 'from');
    await mkdir(from);
    await makeTree(from);
    await using served = await serve(kind, options);
    const { session, server } = served;
    await session.run(`cd ${from} && ln plain hard && mkfifo pipe`);
    const result = await download(session, from, 'sub/', { root: join(place.path, 'out') });
    expect(result.path).toBe(join(place.path, 'out', 'sub', 'from'));
    await session.run(`rm ${from}/pipe; chmod u-s ${from}/tool`);
    const strip = (lines: string[]): string[] => lines.filter((line) => !line.includes(' folder'));
    expect(strip(await describeTree(result.path, false))).toEqual(strip(await describeTree(from, false)));
    expect(result.skipped).toEqual(['./pipe']);
    expect((await lstat(join(result.path, 'hard'))).ino).toBe((await lstat(join(result.path, 'plain'))).ino);
    expect(server.port).toBeGreaterThan(0);
    // Again: the new one takes the place of the old.
    await writeFile(join(from, 'plain'), 'changed');
    await download(session, from, 'sub/', { root: join(place.path, 'out') });
    expect(await readFile(join(result.path, 'plain'), 'utf8')).toBe('changed');
    expect(await readdir(join(place.path, 'out', 'sub'))).toEqual(['from']);
  });
}

real(named('owner, mode and exclusions of a folder'), async () => {
  await using place = await folder();
  await using served = await serve('openssh');
  const from = join(place.path, 'from');
  await mkdir(join(from, '.git', 'objects'), { recursive: true });
  await mkdir(join(from, 'a', 'cache'), { recursive: true });
  for (const name of ['keep', 'a/x.pyc', 'a/keep', 'a/cache/y', '.git/config']) await writeFile(join(from, name), '');
  const to = join(place.path, 'to');
  const options = { owner: 'nobody:daemon', mode: 0o600, exclude: ['.git', '*.pyc', 'a/cache/**'] };
  await uploadPath(served.session, from, to, options);
  expect((await readdir(to, { recursive: true })).sort()).toEqual(['a', 'a/cache', 'a/keep', 'keep']);
  const { uid, gid, mode } = await lstat(join(to, 'a', 'keep'));
  expect([uid, gid, mode & 0o7777]).toEqual([65534, 1, 0o600]);
  const ended = await settle(uploadPath(served.session, from, to, { owner: 'nobody:no-such-group' }), 60_000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'upload.owner' } });
});

real(named('folders that are there keep owner and mode, and links to folders stay links'), async () => {
  await using place = await folder();
  await using served = await serve('openssh');
  const at = (...names: string[]): string => join(place.path, ...names);
  await mkdir(at('to', 'real'), { recursive: true });
  await chmod(at('to', 'real'), 0o711);
  await symlink('real', at('to', 'alias'));
  await mkdir(at('from', 'real'), { recursive: true });
  await mkdir(at('from', 'alias'));
  await writeFile(at('from', 'alias', 'file'), 'x');
  await uploadPath(served.session, at('from'), at('to'));
  expect((await lstat(at('to', 'real'))).mode & 0o7777).toBe(0o711);
  expect((await lstat(at('to', 'alias'))).isSymbolicLink()).toBe(true);
  expect(await readFile(at('to', 'real', 'file'), 'utf8')).toBe('x');
});
