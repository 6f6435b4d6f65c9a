import { expect, test } from 'vitest';
import { isComposeError } from '../../src/errors.ts';
import { aclValue } from '../../src/filesystem/ext4/acl.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

test('an ACL gets an id in every entry', () => {
  const stored = hex('01000000 01000600 02000700d2040000 04000400 0800040037000000 10000700 20000400');
  expect(Buffer.from(aclValue(1, stored)).toString('hex')).toBe(
    '0200000001000600ffffffff02000700d204000004000400ffffffff080004003700000010000700ffffffff20000400ffffffff',
  );
});

test.each([
  ['02000000', 'version 2 is never stored'],
  ['010000', 'no whole header'],
  ['01000000 0100', 'half an entry'],
  ['01000000 02000700 d204', 'half an id'],
  ['01000000 03000700', 'a tag nobody knows'],
])('the ACL %s is refused: %s', (text) => {
  expect(() => aclValue(1, hex(text))).toThrow(expect.toSatisfy(isComposeError));
});
