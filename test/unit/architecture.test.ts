import { expect, test } from 'vitest';
import { memoryTree } from '../../fixtures/memory-tree.ts';
import { FormatError } from '../../src/errors.ts';
import { architectureOf } from '../../src/pack/architecture.ts';

test('a root that cannot be read does not end a packing for its architecture', async () => {
  const notes = new Set<string>();
  const damaged = {
    ...memoryTree({}),
    lookup: () => Promise.reject(new FormatError('ext4.damaged', 'Cannot read the file system: it is damaged')),
  };
  expect(await architectureOf(damaged, notes)).toBe('amd64/generic');
  expect([...notes]).toEqual([expect.stringContaining('Cannot read the file system: it is damaged')]);
});

test('without a root the architecture is the usual one, and that is told', async () => {
  const notes = new Set<string>();
  expect(await architectureOf(undefined, notes)).toBe('amd64/generic');
  expect([...notes]).toEqual([expect.stringMatching(/^nothing tells the architecture; .*--architecture/)]);
});

test('what is no damage of the disk is not hidden', async () => {
  const broken = { ...memoryTree({}), lookup: () => Promise.reject(new TypeError('a defect')) };
  await expect(architectureOf(broken, new Set())).rejects.toThrow('a defect');
});
