import { describe, expect, test } from 'vitest';
import { processorMs } from '../../fixtures/clock.ts';
import { random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { parseKeys, type TypingStep } from '../../src/machine/key-grammar.ts';
import { queueBytes } from '../../src/machine/keys.ts';

const press = (key: string): TypingStep => ({ do: 'key', key, how: 'press' });
const text = (value: string): TypingStep => ({ do: 'text', text: value });

const TABLE: readonly (readonly [reason: string, source: string, steps: readonly TypingStep[]])[] = [
  ['plain text is one step', 'linux /vmlinuz', [text('linux /vmlinuz')]],
  [
    'keys are named in any case',
    '<Enter><ESC><pageUp><F10>',
    [press('ret'), press('esc'), press('pgup'), press('f10')],
  ],
  ['a key may stand within text', 'a<tab>b', [text('a'), press('tab'), text('b')]],
  [
    'a modifier is held and let go',
    '<leftCtrlOn>x<leftCtrlOff>',
    [{ do: 'key', key: 'ctrl', how: 'down' }, text('x'), { do: 'key', key: 'ctrl', how: 'up' }],
  ],
  ['right modifiers are keys of their own', '<rightAlt><rightSuper>', [press('alt_r'), press('meta_r')]],
  [
    'a character is held as well',
    '<aOn><aoff>',
    [
      { do: 'hold', character: 'a', how: 'down' },
      { do: 'hold', character: 'a', how: 'up' },
    ],
  ],
  ['a lone bracket is typed', 'if a < b <<EOF <3>', [text('if a < b <<EOF <3>')]],
  ['brackets have names', '<lt>enter<gt>', [text('<enter>')]],
  ['a wait is a second', '<wait>', [{ do: 'settle', limitMs: 1000 }]],
  ['a wait of seconds', '<wait10>', [{ do: 'settle', limitMs: 10_000 }]],
  ['a wait of a Go duration', '<wait1m30s>', [{ do: 'settle', limitMs: 90_000 }]],
  ['a wait of half a second', '<WAIT500ms>', [{ do: 'settle', limitMs: 500 }]],
  ['text on the serial line', '<wait:login:>', [{ do: 'serial', text: 'login:', limitMs: undefined }]],
  ['quoted text may hold brackets', '<wait:"grub> ">', [{ do: 'serial', text: 'grub> ', limitMs: undefined }]],
  ['a wait for text has a limit', '<wait2m:boot>', [{ do: 'serial', text: 'boot', limitMs: 120_000 }]],
  ['the screen changes', '<waitChange>', [{ do: 'screen', until: 'change', limitMs: undefined }]],
  ['the screen is still', '<waitStill30s>', [{ do: 'screen', until: 'still', limitMs: 30_000 }]],
  ['values stand for variables', 'http://{{ .HTTPIP }}:{{.HTTPPort}}/ks', [text('http://10.0.2.2:8080/ks')]],
  ['a value is text, not keys', '{{ .Name }}', [text('<enter>')]],
  ['one brace is typed', '{ a } }}', [text('{ a } }}')]],
];

describe('boot commands are read whole', () => {
  const variables = { HTTPIP: '10.0.2.2', HTTPPort: 8080, Name: '<enter>' };
  for (const [reason, source, steps] of TABLE) {
    test(reason, () => expect(parseKeys(source, variables)).toEqual(steps));
  }

  test('an array is one text, even where a tag is cut', () => {
    expect(parseKeys(['a<ent', 'er>'])).toEqual([text('a'), press('ret')]);
  });
});

const WRONG: readonly (readonly [reason: string, source: string, code: string, words: RegExp])[] = [
  ['a misspelt key', 'ok\nfoo<entre>', 'typing.syntax', /line 2, column 4.*Did you mean <enter>/s],
  ['a misspelt toggle', '<leftCtlOn>', 'typing.syntax', /Did you mean <leftctrlon>/],
  ['a wait without sense', '<wait5x>', 'typing.syntax', /5x.*seconds/s],
  ['a wait of a year', '<wait9999h>', 'typing.syntax', /at most a day/],
  ['a variable without a value', '{{ .HTTPIp }}', 'typing.variable', /Did you mean HTTPIP/],
  ['a template function', '{{ user `x` }}', 'typing.variable', /functions of templates/],
];
describe('a mistake is told with its place', () => {
  for (const [reason, source, code, words] of WRONG) {
    test(reason, () => {
      try {
        parseKeys(source, { HTTPIP: 'x' });
        expect.unreachable();
      } catch (error) {
        if (!isComposeError(error)) throw error;
        expect(error.code).toBe(code);
        expect(`${error.message}\n${error.hint}`).toMatch(words);
      }
    });
  }
});

test('whatever is written, it is read or refused, and quickly', () => {
  const next = random(4);
  const parts = [
    '<',
    '>',
    'wait',
    ':',
    '"',
    'enter',
    'On',
    '{{',
    '}}',
    ' .HTTPIP ',
    '\\',
    'ä',
    '5',
    'm',
    '<wait:"',
    '\n',
  ];
  for (let round = 0; round < 3000; round++) {
    const source = Array.from({ length: next() % 40 }, () => parts[next() % parts.length]).join('');
    try {
      parseKeys(source, { HTTPIP: '1' });
    } catch (error) {
      expect(isComposeError(error), String(error)).toBe(true);
    }
  }
  expect(processorMs(() => parseKeys('<wait:"a'.repeat(8000)))).toBeLessThan(2000);
});

test('keys cost what scan code set 2 says', () => {
  const cost = (key: string): number => queueBytes({ key, down: true }) + queueBytes({ key, down: false });
  expect([cost('a'), cost('left'), cost('alt_r')]).toEqual([3, 5, 5]);
});
