import { expect, test } from 'vitest';
import { ANSWER_SAMPLES } from '../../fixtures/answer-files.ts';
import { random } from '../../fixtures/fuzz.ts';
import { CHECKED_LANGUAGES, checkAnswerText, languageOf } from '../../src/answers/check.ts';

test.each(ANSWER_SAMPLES)('a whole file has no errors: $name', ({ language, target, text }) => {
  const problems = checkAnswerText(language, text, target);
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  expect(problems.map(({ code }) => code).filter((code) => !code.includes('deprecated'))).toEqual([]);
});

test.each(ANSWER_SAMPLES)('line ends of Windows change nothing: $name', ({ language, target, text }) => {
  const windows = checkAnswerText(language, text.replaceAll('\n', '\r\n'), target);
  expect(windows).toEqual(checkAnswerText(language, text, target));
});

test('each family reads one language, and SUSE changed its own with 16', () => {
  const known = [
    ['el', '9', 'kickstart'],
    ['openeuler', '24.03', 'kickstart'],
    ['debian', '12', 'preseed'],
    ['ubuntu', '24.04', 'autoinstall'],
    ['sles', '15', 'autoyast'],
    ['sles', '16', 'agama'],
    ['windows', '11', undefined],
  ] as const;
  for (const [family, version, language] of known) expect(languageOf({ family, version })).toBe(language);
});

const HOSTILE: readonly (readonly [reason: string, text: string])[] = [
  ['nothing', ''],
  ['a zero byte', 'lang\0'],
  ['blanks', ' '.repeat(1 << 20)],
  ['tabs and a hash', `a${'\t'.repeat(1 << 20)}#`],
  ['one long word', 'a'.repeat(1 << 20)],
  ['an open quote', `lang "${'\\"'.repeat(1 << 19)}`],
  ['lines of one word', 'autopar\n'.repeat(1 << 17)],
  ['commands in thousands', 'part / --size=1 --ondisk=vda --fsty=x\n'.repeat(1 << 14)],
  ['package lines', `%packages\n${'@ a --optional b\n'.repeat(1 << 16)}`],
  ['dashes', `%packages\n@a${' -'.repeat(1 << 19)}`],
  ['continued lines', 'd-i a/b string \\\n'.repeat(1 << 16)],
  ['questions nobody knows', 'd-i partman/confirn boolean tru\n'.repeat(1 << 15)],
  ['keys in thousands', Array.from({ length: 1 << 16 }, (_, at) => `k${at}:`).join('\n')],
  ['the same key', 'autoinstall: {}\n'.repeat(1 << 13)],
  ['brackets in brackets', '['.repeat(1 << 20)],
  ['braces in braces', '{"a":'.repeat(1 << 18)],
  ['elements in elements', '<profile>'.repeat(1 << 17)],
  ['a tag without an end', `<profile ${'a="b" '.repeat(1 << 17)}`],
  ['a tag of blanks', `<profile${' '.repeat(1 << 20)}`],
  ['comments without ends', '<!--'.repeat(1 << 18)],
  ['ampersands', `<profile>${'&'.repeat(1 << 20)}</profile>`],
  ['quotes of Jsonnet', `{${"'".repeat(1 << 20)}`],
  ['slashes', '/'.repeat(1 << 20)],
  ['additions of Jsonnet', `{a: 1${' '.repeat(1 << 20)}`],
  [
    'aliases of aliases',
    `#cloud-config\nruncmd: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'.replace(/./g, (c, i: number) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(',')}]\n`)}`,
  ],
  ['an alias of itself', '#cloud-config\nautoinstall: &a\n  version: 1\n  storage: *a\n'],
  ['a merge of itself', '#cloud-config\nautoinstall: &a\n  <<: *a\n  version: 1\n'],
];

test.each(HOSTILE)('%s, a hundred thousand times or a million, end in seconds in every language', (_reason, text) => {
  for (const language of CHECKED_LANGUAGES) {
    const start = process.cpuUsage();
    const problems = checkAnswerText(language, text, {
      family: language === 'kickstart' ? 'el' : 'debian',
      version: '9',
    });
    const { user, system } = process.cpuUsage(start);
    expect(problems.length, language).toBeLessThanOrEqual(100);
    expect((user + system) / 1e6, `${language}: CPU seconds`).toBeLessThan(12);
  }
});

const CHARACTERS = [
  '%',
  '-',
  '=',
  '"',
  "'",
  '\\',
  '\n',
  ' ',
  ':',
  '{',
  '}',
  '[',
  '<',
  '>',
  '&',
  '#',
  '/',
  '\u2028',
  '\ud800',
];

test('files with characters changed, lost and doubled never make a check throw', () => {
  const next = random(20261129);
  for (let round = 0; round < 600; round++) {
    const { language, target, text } =
      ANSWER_SAMPLES[next() % ANSWER_SAMPLES.length] ?? ANSWER_SAMPLES[0] ?? expect.fail();
    let mutant = text;
    for (let edit = 1 + (next() % 6); edit > 0; edit--) {
      const at = next() % mutant.length;
      const piece = CHARACTERS[next() % CHARACTERS.length] ?? '';
      const from = next() % mutant.length;
      const middle = [piece, '', mutant.slice(from, from + (next() % 40))][next() % 3] ?? '';
      mutant = mutant.slice(0, at) + middle + mutant.slice(at + (next() % 3));
    }
    const problems = checkAnswerText(language, mutant, target);
    const lines = mutant.split('\n').length;
    for (const { line, column, message, code } of problems) {
      expect(line, code).toBeGreaterThan(0);
      expect(line, code).toBeLessThanOrEqual(lines);
      expect(column ?? 1, code).toBeGreaterThan(0);
      expect(message, code).not.toMatch(/undefined|NaN|\[object/);
    }
  }
});
