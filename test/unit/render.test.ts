import { expect, test } from 'vitest';
import { errorText, exitStatus } from '../../src/cli/print-error.ts';
import { ndjsonRenderer } from '../../src/cli/render/ndjson.ts';
import { plainRenderer } from '../../src/cli/render/plain.ts';
import { painter, printable, type Screen } from '../../src/cli/render/renderer.ts';
import { ttyRenderer } from '../../src/cli/render/tty.ts';
import { MachineError, RecipeError, registerSecret } from '../../src/errors.ts';
import type { ComposeEvent } from '../../src/events.ts';
import { columns, humanDuration, humanSize } from '../../src/formats/human.ts';

function fakeScreen(): Screen & { text: string } {
  return {
    text: '',
    columns: 60,
    color: false,
    write(text: string) {
      this.text += text;
    },
  };
}

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.50 KiB'],
  [150 * 1024 ** 2, '150 MiB'],
  [8 * 1024 ** 3, '8.00 GiB'],
])('%d bytes read as %s', (bytes, text) => expect(humanSize(bytes)).toBe(text));

test.each([
  [12.4, '12 ms'],
  [1234, '1.2 s'],
  [59_999, '1 min 00 s'],
  [3_700_000, '1 h 01 min'],
])('%d ms reads as %s', (ms, text) => expect(humanDuration(ms)).toBe(text));

test('columns pad to the widest cell and leave the last one ragged', () => {
  expect(
    columns(
      [
        ['a', '10', 'x'],
        ['long', '5', 'yy'],
      ],
      [1],
    ),
  ).toEqual(['a     10  x', 'long   5  yy']);
});

test('a guest cannot send escape sequences to the terminal', () => {
  expect(printable('a\u001b[2Jb\u001b]0;title\u0007c\u0000d\r\n')).toBe('abcd\n');
});

const STORY: ComposeEvent[] = [
  { type: 'phase', phase: 'boot', state: 'start' },
  { type: 'output', phase: 'boot', stream: 'serial', text: 'Linux version 6\n' },
  { type: 'phase', phase: 'boot', state: 'done', ms: 45_100, detail: 'tcg' },
  { type: 'log', level: 'warn', message: 'slow' },
  { type: 'log', level: 'debug', message: 'hidden' },
  { type: 'output', phase: 'shell', stream: 'stdout', text: 'half ' },
  { type: 'output', phase: 'shell', stream: 'stdout', text: 'line\nnext' },
  { type: 'artifact', file: 'a.tar.gz', filetype: 'tgz', size: 2048, sha256: 'ab' },
];

test('the plain log has one line for each thing that happened, whole lines of output, and no serial', () => {
  const screen = fakeScreen();
  const renderer = plainRenderer(screen, { verbose: false, now: () => 0 });
  for (const event of STORY) renderer.event(event);
  expect(screen.text.split('\n')).toEqual([
    '[    0.0s] boot …',
    '[    0.0s] boot: done in 45.1 s (tcg)',
    '[    0.0s] warning: slow',
    '[    0.0s] shell | half line',
    '[    0.0s] a.tar.gz: tgz, 2.00 KiB, sha256 ab',
    '',
  ]);
});

test('ndjson carries every event with its version and time, secrets scrubbed', () => {
  registerSecret('hunter22');
  const screen = fakeScreen();
  const renderer = ndjsonRenderer(screen, () => new Date(0));
  for (const event of [...STORY, { type: 'log', level: 'info', message: 'pw hunter22' } as const])
    renderer.event(event);
  const lines = screen.text.trimEnd().split('\n');
  expect(lines).toHaveLength(STORY.length + 1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({ v: 1, time: '1970-01-01T00:00:00.000Z', ...STORY[0] });
  expect(lines.at(-1)).toContain('pw ***');
});

test('the terminal view ends clean: finished phases stay, running ones are erased', () => {
  const screen = fakeScreen();
  const renderer = ttyRenderer(screen, { verbose: false, now: () => 0 });
  for (const event of STORY) renderer.event(event);
  renderer.event({ type: 'phase', phase: 'pack', state: 'start' });
  renderer.event({ type: 'progress', phase: 'pack', done: 512, total: 1024, unit: 'bytes' });
  renderer.close();
  expect(screen.text).toContain('✔ boot: done in 45.1 s (tcg)');
  expect(screen.text.endsWith('\u001b[0J')).toBe(true);
});

const TWO: ComposeEvent[] = [
  { type: 'phase', phase: 'boot', state: 'start', build: 'a' },
  { type: 'phase', phase: 'boot', state: 'start', build: 'long-name' },
  { type: 'output', phase: 'boot', stream: 'stdout', text: 'from ', build: 'a' },
  { type: 'output', phase: 'boot', stream: 'stdout', text: 'of the other\n', build: 'long-name' },
  { type: 'output', phase: 'boot', stream: 'stdout', text: 'a\n', build: 'a' },
  { type: 'phase', phase: 'boot', state: 'done', ms: 1000, build: 'a' },
  { type: 'log', level: 'warn', message: 'slow', build: 'long-name' },
  { type: 'artifact', file: 'a.tar.gz', filetype: 'tgz', size: 2048, sha256: 'ab', build: 'a' },
];

test('the plain log names the build of each line, and keeps the halves of lines apart', () => {
  const screen = fakeScreen();
  const renderer = plainRenderer(screen, { verbose: false, now: () => 0 });
  for (const event of TWO) renderer.event(event);
  expect(screen.text.replaceAll('[    0.0s] ', '').trimEnd().split('\n')).toEqual([
    'a: boot …',
    'long-name: boot …',
    'long-name: boot | of the other',
    'a: boot | from a',
    'a: boot: done in 1.0 s',
    'long-name: warning: slow',
    'a: a.tar.gz: tgz, 2.00 KiB, sha256 ab',
  ]);
});

test('ndjson has the build of each event', () => {
  const screen = fakeScreen();
  const renderer = ndjsonRenderer(screen);
  for (const event of TWO) renderer.event(event);
  const lines = screen.text.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).build)).toEqual(TWO.map(({ build }) => build));
});

/** What a terminal shows after `text`: cursor up, carriage return and erase below are all that is understood. */
function shown(text: string): string[] {
  const lines = [''];
  for (const part of text.split(/(\n|\u001b\[\d+A\r\u001b\[0J)/)) {
    const up = /^\u001b\[(\d+)A/.exec(part);
    if (up !== null) lines.splice(lines.length - 1 - Number(up[1]), Number.POSITIVE_INFINITY, '');
    else if (part === '\n') lines.push('');
    else lines[lines.length - 1] += part;
  }
  return lines;
}

test('of several builds the terminal shows one line for each running phase, by name', () => {
  const screen = fakeScreen();
  const renderer = ttyRenderer(screen, { verbose: false, now: () => 0 });
  for (const event of TWO.slice(0, 5)) renderer.event(event);
  renderer.event({ type: 'phase', phase: 'prepare', state: 'start', build: 'third' });
  expect(shown(screen.text)).toEqual([
    '⠋ a          boot  0 ms  a',
    '⠋ long-name  boot  0 ms  of the other',
    '⠋ third      prepare  0 ms',
    '',
  ]);
  for (const event of TWO.slice(5)) renderer.event(event);
  expect(shown(screen.text)).toEqual([
    '✔ a: boot: done in 1.0 s',
    '! long-name: slow',
    '▣ a: a.tar.gz  tgz  2.00 KiB',
    '⠋ long-name  boot  0 ms  of the other',
    '⠋ third      prepare  0 ms',
    '',
  ]);
  renderer.close();
  expect(shown(screen.text)).toHaveLength(4);
});

test('more running phases than the terminal has lines are counted', () => {
  const screen = { ...fakeScreen(), rows: 5 };
  const renderer = ttyRenderer(screen, { verbose: false, now: () => 0 });
  for (let at = 0; at < 9; at++) renderer.event({ type: 'phase', phase: 'boot', state: 'start', build: `b${at}` });
  const lines = shown(screen.text);
  expect(lines).toHaveLength(5);
  expect(lines.slice(2)).toEqual(['⠋ b2  boot  0 ms', '  … and 6 more', '']);
  renderer.close();
});

test('an error says what, code, why, evidence and next step, and picks the exit status of its class', () => {
  const error = new MachineError('boot.panic', 'Cannot boot web-node: the kernel panicked', {
    phase: 'boot',
    hint: 'Read serial.log',
    evidence: { serial: ['line 1', 'line \u001b[31m2'] },
    cause: new Error('outer', { cause: new Error('inner') }),
  });
  expect(errorText(error, painter(false), false).split('\n')).toEqual([
    'error: Cannot boot web-node: the kernel panicked',
    '  code   boot.panic',
    '  phase  boot',
    '  why    outer: inner',
    '  serial:',
    '    line 1',
    '    line 2',
    '  next   Read serial.log',
  ]);
  expect(exitStatus(error)).toBe(5);
  expect(exitStatus(new RecipeError('recipe.unknown', 'x'))).toBe(2);
  expect(exitStatus(new Error('bug'))).toBe(1);
});
