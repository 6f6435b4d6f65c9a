import { expect, test } from 'vitest';
import { processorMs } from '../../fixtures/clock.ts';
import { random } from '../../fixtures/fuzz.ts';
import { registerSecret, scrub } from '../../src/errors.ts';
import { Tail } from '../../src/guest/output.ts';
import { Preamble } from '../../src/guest/preamble.ts';
import { lastLines, Scrubber } from '../../src/guest/scrub.ts';

const SECRET = 'correct horse/42';
const PREFIX_OF_OTHER = 'stapler';
const OTHER = 'staplerbattery';
const LINES = 'first line of it\nsecond line of it\n';
for (const secret of [SECRET, OTHER, PREFIX_OF_OTHER, LINES]) registerSecret(secret);

function pieces(text: string, next: () => number): string {
  let out = '';
  const scrubber = new Scrubber((part) => {
    out += part;
  });
  for (let at = 0; at < text.length; ) {
    const length = 1 + (next() % 9);
    scrubber.write(text.slice(at, at + length));
    at += length;
  }
  scrubber.end();
  return out;
}

const TEXTS: readonly [what: string, text: string][] = [
  ['a secret', `password: ${SECRET}!`],
  ['a secret twice without a space', `${SECRET}${SECRET}`],
  ['a secret that another begins with', `${PREFIX_OF_OTHER} and ${OTHER}`],
  ['the beginning of a secret again and again', `stastapstaplerbstaplerbatterystap`],
  ['a secret in base64', Buffer.from(SECRET).toString('base64')],
  ...[0, 1, 2, 3, 4].map((shift): [string, string] => [
    `a secret within base64, ${shift} bytes in`,
    Buffer.from(`${'x'.repeat(shift)}${SECRET}yyyy`).toString('base64'),
  ]),
  ['base64 for URLs', Buffer.from(`zz${SECRET}`).toString('base64url')],
  ['a secret in a URL', `http://proxy/?p=${encodeURIComponent(SECRET)}`],
  ["a URL's password", 'see http://user:hunter2hunter2@proxy.example:3128/ for it'],
  ['the lines of a secret, each by itself', '  first line of it\n  second line of it\n'],
];

test.each(TEXTS)('%s is masked however it is cut', (_what, text) => {
  const whole = scrub(text);
  for (const secret of [SECRET, OTHER, 'hunter2', 'first line', 'second line']) expect(whole).not.toContain(secret);
  expect(whole).toContain('***');
  for (let seed = 1; seed <= 60; seed++) expect(pieces(text, random(seed))).toBe(whole);
});

test('random mixtures of text and secrets never let one through, and lose nothing else', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const next = random(seed);
    const words = [SECRET, OTHER, PREFIX_OF_OTHER, 'sta', 'correct ', ' ', '\n', 'http://a:b@c', '://', 'x', 'ü'];
    let text = '';
    for (let i = 0; i < 20; i++) text += words[next() % words.length];
    const out = pieces(text, next);
    expect(out).toBe(scrub(text));
    expect(out).not.toContain(SECRET);
    expect(out).not.toContain(OTHER);
  }
});

test('text without a secret is told at once, a prompt too', () => {
  const told: string[] = [];
  const scrubber = new Scrubber((text) => told.push(text));
  scrubber.write('Continue? [y/N] ');
  expect(told).toEqual(['Continue? [y/N] ']);
});

test('a long text without line ends costs time in proportion', () => {
  const scrubber = new Scrubber(() => {});
  const took = processorMs(() => {
    for (let i = 0; i < 200; i++) scrubber.write('s'.repeat(64 * 1024));
  });
  expect(took).toBeLessThan(5000);
});

test('the end of a long output is kept, and how much is not is known', () => {
  const tail = new Tail();
  for (let i = 0; i < 50; i++) tail.add('x'.repeat(100_000));
  tail.add('end');
  expect(tail.text.endsWith('end')).toBe(true);
  expect(tail.text.length).toBe(1024 * 1024);
  expect(tail.dropped).toBe(5_000_003 - 1024 * 1024);
});

test('lines for evidence are masked and bounded', () => {
  const lines = lastLines(`a\n${SECRET}\n${'y'.repeat(5000)}\n\n`);
  expect(lines.slice(0, 2)).toEqual(['a', '***']);
  expect(lines[2]?.length).toBeLessThan(500);
});

const GREETINGS: readonly [what: string, before: string, after: string][] = [
  ['nothing before', '', 'out\n'],
  ['a greeting', 'Welcome!\n', 'out\n'],
  ['a greeting without a line end', 'Last login: never ', 'out'],
  ['bytes that are no text', '\u0000\u00ff\n', ''],
];
test.each(GREETINGS)('what a shell prints first is left out: %s', (_what, before, after) => {
  const whole = Buffer.from(`${before}mark-1 77\n${after}`, 'latin1');
  for (let cut = 0; cut <= whole.length; cut++) {
    const preamble = new Preamble('mark-1');
    const out = [preamble.push(whole.subarray(0, cut)), preamble.push(whole.subarray(cut)), preamble.end()];
    expect(Buffer.concat(out).toString('latin1')).toBe(after);
    expect(preamble.rest).toBe('77');
  }
});

test('without a mark all is told in the end, and of very much at once', () => {
  const short = new Preamble('mark-1');
  expect(short.push(Buffer.from('no mark')).length).toBe(0);
  expect(short.end().toString()).toBe('no mark');
  const long = new Preamble('mark-1');
  expect(long.push(Buffer.alloc(100_000)).length).toBe(100_000);
  expect(long.rest).toBeUndefined();
});
