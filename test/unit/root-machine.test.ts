import { expect, test } from 'vitest';
import { memoryTree } from '../../fixtures/memory-tree.ts';
import { machineOfRoot } from '../../src/filesystem/root-machine.ts';

/** Begin of a 64-bit little-endian program (System V ABI) of `machine`. */
function elf(machine: number): Uint8Array {
  const head = new Uint8Array(64);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.set([2, 0, machine & 0xff, machine >> 8], 16);
  return head;
}

test('a root is for the machine of its shell', async () => {
  expect(await machineOfRoot(memoryTree({ '/bin/bash': elf(183) }))).toBe('arm64');
  expect(await machineOfRoot(memoryTree({ '/bin/bash': elf(62) }))).toBe('amd64');
});

test('links are followed, and what is no program is passed over', async () => {
  const tree = memoryTree({
    '/bin': { link: 'usr/bin' },
    '/usr/bin/bash': '#!/bin/busybox sh',
    '/usr/bin/busybox': elf(183),
    '/usr/bin/sh': { link: 'busybox' },
  });
  expect(await machineOfRoot(tree)).toBe('arm64');
});

test('nothing tells the machine of a root without programs', async () => {
  expect(await machineOfRoot(memoryTree({ '/etc/hostname': 'web' }))).toBeUndefined();
});
