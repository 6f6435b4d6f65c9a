import { describe, expect, test } from 'vitest';
import { editBelow } from '../../src/filesystem/edit-root.ts';
import type { Edit } from '../../src/filesystem/file-tree.ts';
import { componentMatcher, patternParts } from '../../src/filesystem/glob.ts';

const name = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('a component of a pattern', () => {
  test.each([
    ['key', 'key', true, 'no star: the same'],
    ['key', 'keys', false, 'not a prefix'],
    ['*', '', true, 'any run may be empty'],
    ['*', '.hidden', true, 'dots are names too'],
    ['ssh_host_*_key*', 'ssh_host_rsa_key.pub', true, 'two stars'],
    ['ssh_host_*_key*', 'ssh_host_key', false, 'the literals must not share bytes'],
    ['a*a', 'a', false, 'nor the ends'],
    ['a*a', 'aa', true, 'an empty run between'],
    ['*a*b*', 'xxbaxb', true, 'the middle in order'],
    ['*a*b*', 'ba', false, 'the middle in order'],
    ['*.log', 'x.log.log', true, 'the end counts, not its first place'],
    ['a[b]?', 'a[b]?', true, 'nothing but the star is special'],
    ['grün*', 'grünes', true, 'UTF-8'],
  ])('%s and %s: %s (%s)', (pattern, text, expected) => {
    expect(componentMatcher(pattern)(name(text))).toBe(expected);
  });

  test('matches names that are no text', () => {
    expect(componentMatcher('a*')(Uint8Array.of(0x61, 0xff, 0xc3))).toBe(true);
  });

  test('is what stands between slashes', () => {
    expect(patternParts('//var/*/x/')).toEqual(['var', '*', 'x']);
  });
});

describe('an edit of the tree, in a file system mounted at /var/log', () => {
  const edit = (kind: 'remove' | 'clear' | 'empty', path: string) => ({ kind, path, reason: 'r' });
  test.each<[Edit, Edit | undefined, string]>([
    [edit('remove', '/var/log/*.log'), edit('remove', '/*.log'), 'below it'],
    [edit('empty', '/var/*/syslog'), edit('empty', '/syslog'), 'a star for its name'],
    [edit('clear', '/var/log'), edit('clear', '/'), 'the mount point itself'],
    [edit('remove', '/var/log'), edit('clear', '/'), 'its root cannot go'],
    [edit('remove', '/var'), edit('clear', '/'), 'a directory above it'],
    [edit('empty', '/var/log'), undefined, 'not a file'],
    [edit('remove', '/var/lib/x'), undefined, 'elsewhere'],
    [edit('remove', '/etc'), undefined, 'elsewhere'],
  ])('%o is %o: %s', (whole, part) => {
    expect(editBelow(whole, '/var/log')).toEqual(part);
  });
});
