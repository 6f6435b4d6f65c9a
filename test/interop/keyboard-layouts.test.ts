import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { which } from '../../src/host/tools.ts';
import { LAYOUTS, layout } from '../../src/machine/keys-layouts.ts';

/** QEMU's key names by Linux key code (linux/input-event-codes.h), for the keys that type. */
const CODES: ReadonlyMap<number, string> = new Map([
  ...'1 2 3 4 5 6 7 8 9 0 minus equal'.split(' ').map((key, i) => [2 + i, key] as const),
  ...'q w e r t y u i o p bracket_left bracket_right'.split(' ').map((key, i) => [16 + i, key] as const),
  ...'a s d f g h j k l semicolon apostrophe grave_accent'.split(' ').map((key, i) => [30 + i, key] as const),
  [43, 'backslash'],
  ...'z x c v b n m comma dot slash'.split(' ').map((key, i) => [44 + i, key] as const),
  [86, 'less'],
]);
const DEAD: Readonly<Record<string, string>> = { dead_circumflex: '^', dead_acute: '´', dead_grave: '`' };

/** Every way to type each character, as the keyboard configuration of Debian's console has it. */
function console(name: string): Map<string, Set<string>> {
  const out = new Map<string, Set<string>>();
  for (const line of execFileSync('ckbcomp', ['-layout', name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).split('\n')) {
    const found = /^keycode (\d+) = (\S+) (\S+) (\S+)/.exec(line);
    const key = CODES.get(Number(found?.[1]));
    if (found === null || key === undefined) continue;
    for (const [at, modifier] of ['', 'shift+', 'alt_r+'].entries()) {
      const symbol = found[2 + at]!.replace(/^\+/, '');
      const dead = DEAD[symbol];
      const character =
        dead ?? (symbol.startsWith('U+') ? String.fromCodePoint(Number.parseInt(symbol.slice(2), 16)) : '');
      if (character === '') continue;
      const strokes = `${modifier}${key}${dead === undefined ? '' : ' spc'}`;
      out.set(character, (out.get(character) ?? new Set()).add(strokes));
    }
  }
  return out;
}

const absent = which('ckbcomp') === undefined;
test.skipIf(absent)(
  `the layouts agree with Debian's console keymaps${absent ? ' (no ckbcomp: console-setup)' : ''}`,
  () => {
    for (const name of LAYOUTS) {
      const theirs = console(name);
      const ours = layout(name);
      for (const [character, strokes] of ours) {
        if (/\s/.test(character)) continue;
        const said = strokes.map((stroke) => [...stroke.with, stroke.key].join('+')).join(' ');
        expect([...(theirs.get(character) ?? [])], `${name} ${character}`).toContain(said);
      }
    }
  },
);

test('every layout types all of printable ASCII', () => {
  for (const name of LAYOUTS) {
    for (let code = 0x20; code < 0x7f; code++) {
      expect(layout(name).has(String.fromCharCode(code)), `${name} ${String.fromCharCode(code)}`).toBe(true);
    }
  }
});

test('an unknown layout is refused with the nearest name', () => {
  expect(() => layout('frr')).toThrowError(expect.objectContaining({ code: 'typing.layout' }));
});
