import { expect, test } from 'vitest';
import type { Entry } from '../../src/filesystem/file-tree.ts';
import { Overlay } from '../../src/pack/overlay.ts';
import { sealEdits } from '../../src/pack/seal.ts';

function entry(path: string, kind: Entry['kind'] = 'file'): Entry {
  return { path: Buffer.from(path), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0n, inode: 1, links: 1, xattrs: [] };
}

test.each([
  ['etc/machine-id', 'empty', 'asks systemd to make one'],
  ['etc/ssh/ssh_host_ed25519_key.pub', 'drop', 'a host key'],
  ['etc/ssh/sshd_config', 'keep', 'not a key'],
  ['root/.ssh/authorized_keys', 'drop', 'below a removed folder'],
  ['var/lib/cloud', 'keep', 'a cleared folder itself'],
  ['var/lib/cloud/instances/i/x', 'drop', 'below a cleared folder'],
  ['var/log/dpkg.log', 'empty', 'a log'],
  ['var/log/sub/x.log', 'keep', 'a star does not cross a slash'],
  ['etc/machine-id-not', 'keep', 'another name'],
])('%s: %s (%s)', (path, verdict) => expect(new Overlay(sealEdits()).judge(entry(path))).toBe(verdict));

test('only regular files are emptied', () => {
  expect(new Overlay(sealEdits()).judge(entry('etc/machine-id', 'symlink'))).toBe('keep');
});

test('the key of the build account goes with it', () => {
  const overlay = new Overlay(sealEdits({ user: 'builder' }));
  expect(overlay.judge(entry('home/builder/.ssh', 'directory'))).toBe('drop');
  expect(overlay.judge(entry('home/other/.ssh', 'directory'))).toBe('keep');
  expect(overlay.applied).toEqual(['drop /home/builder/.ssh']);
});
