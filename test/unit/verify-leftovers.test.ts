import { expect, test } from 'vitest';
import { type MemoryFile, memoryTree } from '../../fixtures/memory-tree.ts';
import { quietContext } from '../../src/events.ts';
import type { Facts } from '../../src/verify/facts.ts';
import { entropy } from '../../src/verify/hygiene-search.ts';
import { leftByEdits } from '../../src/verify/left-by-edits.ts';
import { treeMembers } from '../../src/verify/member.ts';
import { collectTree } from '../../src/verify/tree-facts.ts';

async function facts(files: Readonly<Record<string, MemoryFile>>): Promise<Facts> {
  const { tree } = await collectTree(treeMembers(memoryTree(files)), quietContext());
  return { tree } as Facts;
}

test.each([
  ['a file that should be empty', '/etc/machine-id', 'abc\n', ['empty', '/etc/machine-id'], 1],
  ['one that is', '/etc/machine-id', '', ['empty', '/etc/machine-id'], 0],
  ["systemd's word for it", '/etc/machine-id', 'uninitialized\n', ['empty', '/etc/machine-id'], 0],
  ['a file that should be gone', '/etc/ssh/ssh_host_rsa_key', 'x', ['remove', '/etc/ssh/ssh_host_*'], 1],
  ['an empty one', '/root/.ssh/authorized_keys', '', ['remove', '/root/.ssh'], 0],
  ['a folder with a file', '/root/.ssh/authorized_keys', 'ssh-rsa A', ['remove', '/root/.ssh'], 1],
  ['another name', '/etc/ssh/sshd_config', 'x', ['remove', '/etc/ssh/ssh_host_*'], 0],
  ['something deep in a folder to be cleared', '/var/lib/cloud/a/b', 'x', ['clear', '/var/lib/cloud'], 1],
  ['a star for a folder', '/home/me/.bash_history', 'ls\n', ['remove', '/home/*/.bash_history'], 1],
  ['a link', '/var/lib/dbus/machine-id', { link: '/etc/machine-id' }, ['remove', '/var/lib/dbus/machine-id'], 0],
] as const)('%s (%s)', async (_, path, content, edit, count) => {
  expect(leftByEdits([edit], await facts({ '/etc/passwd': 'x', [path]: content }))).toHaveLength(count);
});

test('random values have more information than words and paths', () => {
  for (const word of ['changeme-changeme', '/usr/lib/systemd/system', 'xxxxxxxxxxxxxxxxxxxxx'])
    expect(entropy(word)).toBeLessThan(3.6);
  expect(entropy('q7Xv2LmZ9pRt4KwB8sHd3NfY')).toBeGreaterThan(4);
});
