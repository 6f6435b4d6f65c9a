import { expect, test } from 'vitest';
// @ts-expect-error a plain script without types
import { checkFloors } from '../../scripts/floors.mjs';

const check = (files: Record<string, string>): string[] => checkFloors(new Map(Object.entries(files)));

test.each([
  ['a floor above', { 'src/disk/a.ts': "import { b } from '../pack/b.ts';", 'src/pack/b.ts': '' }, /pack.*floor above/],
  ['the CLI', { 'src/index.ts': "import { b } from './cli/b.ts';", 'src/cli/b.ts': '' }, /cli.*floor above/],
  ['node: in formats', { 'src/formats/a.ts': "import { x } from 'node:fs';" }, /bytes only/],
  [
    'a circle',
    { 'src/disk/a.ts': "import { b } from './b.ts';", 'src/disk/b.ts': "import { a } from './a.ts';" },
    /circle/,
  ],
  ['an unknown room', { 'src/attic/a.ts': '' }, /no room/],
  ['a missing file', { 'src/disk/a.ts': "import { b } from './b.ts';" }, /not there/],
])('refuses %s', (_, files, message) => {
  expect(check(files).join('\n')).toMatch(message);
});

test('accepts imports of the same floor and below', () => {
  expect(
    check({
      'src/filesystem/a.ts': "import { b } from '../disk/b.ts';",
      'src/disk/b.ts': "import { c } from '../formats/c.ts';",
      'src/formats/c.ts': "import { e } from '../errors.ts';",
      'src/errors.ts': '',
    }),
  ).toEqual([]);
});

test('using declarations work on the Node floor', async () => {
  const released: string[] = [];
  {
    await using first = { name: 'first', [Symbol.asyncDispose]: async () => void released.push('first') };
    await using second = { name: 'second', [Symbol.asyncDispose]: async () => void released.push('second') };
    expect([first.name, second.name]).toEqual(['first', 'second']);
  }
  expect(released).toEqual(['second', 'first']);
});
