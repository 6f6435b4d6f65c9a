import { expect, test } from 'vitest';
import { processorMs } from '../../fixtures/clock.ts';
import { answer, event, failure, GREETING } from '../../fixtures/fake-qmp.ts';
import { MachineError } from '../../src/errors.ts';
import { encodeCommand, LineSplitter, MAX_DEPTH, MAX_LINE, parseQmp } from '../../src/formats/qmp.ts';

const lines = (...pieces: Uint8Array[]): string[] => {
  const splitter = new LineSplitter();
  const taken: string[] = [];
  for (const piece of pieces) splitter.push(piece, (line) => taken.push(line));
  return taken;
};

// Two, three and four bytes a character, CRLF and LF, empty lines, a lone CR inside.
const STREAM = Buffer.from(`${GREETING}{"return": "ü€😀"}\n\r\n\n${answer(7, { a: '\r' })}a\rb\n${event('STOP')}`);
const WHOLE = STREAM.toString()
  .split('\n')
  .slice(0, -1)
  .map((line) => line.replace(/\r$/, ''));

test('lines are the same wherever the stream is cut in two', () => {
  expect(WHOLE).toHaveLength(7);
  expect(lines(STREAM)).toEqual(WHOLE);
  for (let at = 0; at <= STREAM.length; at++) {
    expect(lines(STREAM.subarray(0, at), STREAM.subarray(at))).toEqual(WHOLE);
  }
});

test('lines are the same in pieces of every size', () => {
  for (let size = 1; size < STREAM.length; size++) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < STREAM.length; at += size) pieces.push(STREAM.subarray(at, at + size));
    expect(lines(...pieces)).toEqual(WHOLE);
  }
});

test('what is held is a copy: the buffer a piece came in may be used again', () => {
  const piece = Buffer.from('{"a');
  const splitter = new LineSplitter();
  const taken: string[] = [];
  splitter.push(piece, (line) => taken.push(line));
  piece.fill(0x78);
  splitter.push(Buffer.from('"}\n'), (line) => taken.push(line));
  expect(taken).toEqual(['{"a"}']);
});

test('bytes that are no UTF-8 become U+FFFD, and a byte order mark stays where it is', () => {
  expect(lines(Buffer.from([0xff, 0x41, 0xc3, 0x0a]))).toEqual(['\ufffdA\ufffd']);
  expect(lines(Buffer.from('\ufeff{}\n'))).toEqual(['\ufeff{}']);
});

test.each([
  ['in one piece', 1 << 24],
  ['byte by byte at the edge', 1],
])('a line may have MAX_LINE bytes, not one more: %s', (_, size) => {
  const bytes = new Uint8Array(MAX_LINE + 2).fill(0x20);
  bytes[MAX_LINE] = 0x0a;
  const splitter = new LineSplitter();
  const taken: number[] = [];
  const push = (piece: Uint8Array): void => splitter.push(piece, (line) => taken.push(line.length));
  push(bytes.subarray(0, MAX_LINE - 10));
  for (let at = MAX_LINE - 10; at < MAX_LINE + 1; at += size)
    push(bytes.subarray(at, Math.min(at + size, MAX_LINE + 1)));
  expect(taken).toEqual([MAX_LINE]);
  push(new Uint8Array(MAX_LINE));
  expect(() => push(new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'qmp.too-long' }));
  bytes.fill(0x20);
  expect(() => new LineSplitter().push(bytes, () => {})).toThrow('longer than');
});

test('lines before one that is too long are taken', () => {
  const taken: string[] = [];
  const splitter = new LineSplitter(8);
  expect(() => splitter.push(Buffer.from('one\ntwo\nthis is too long\nfour\n'), (line) => taken.push(line))).toThrow(
    MachineError,
  );
  expect(taken).toEqual(['one', 'two']);
});

test('a long line in small pieces takes neither quadratic time nor an object a piece', () => {
  const splitter = new LineSplitter();
  const piece = new Uint8Array(7).fill(0x61);
  let length = 0;
  for (let at = 0; at < MAX_LINE - 7; at += 7) splitter.push(piece, () => {});
  splitter.push(Buffer.from('\n'), (line) => {
    length = line.length;
  });
  expect(length).toBe(Math.ceil((MAX_LINE - 7) / 7) * 7);
});

test('messages are what they say', () => {
  expect(parseQmp(GREETING)).toEqual({
    type: 'greeting',
    version: '7.2.22',
    package: 'fake',
    capabilities: ['oob'],
  });
  expect(parseQmp(answer(3, [1]))).toEqual({ type: 'return', id: 3, value: [1] });
  expect(parseQmp('{"return": null}')).toEqual({ type: 'return', id: undefined, value: null });
  expect(parseQmp(failure('x'))).toEqual({ type: 'error', id: 'x', errorClass: 'GenericError', description: 'no' });
  expect(parseQmp('{"error": {}}')).toMatchObject({ type: 'error', errorClass: 'unknown', description: 'no reason' });
  expect(parseQmp(event('RESET', { guest: true }))).toEqual({
    type: 'event',
    event: 'RESET',
    data: { guest: true },
    at: 1_000_002,
  });
  expect(parseQmp('{"event": "STOP"}')).toEqual({ type: 'event', event: 'STOP', data: {}, at: 0 });
  const clockless = '{"event": "STOP", "timestamp": {"seconds": -1, "microseconds": -1}}';
  expect(parseQmp(clockless)).toMatchObject({ at: -1_000_001 });
  expect(parseQmp('{"QMP": {}}')).toMatchObject({ version: '?.?.?', package: '', capabilities: [] });
});

test.each([
  '[]',
  '3',
  'null',
  '"return"',
  '{',
  '{}',
  '{"x": 1}',
  '{"QMP": 1}',
  '{"error": "no"}',
  '{"event": 5}',
  '{"return": 1, "error": {}}',
  '{"return": 1} {"return": 2}',
  '{"__proto__": {"return": 1}}',
  '{"return": nan, "id": 1}',
  'SSH-2.0-x',
  '\u0000\u001b[2J',
])('%j is no message', (line) => {
  expect(() => parseQmp(line)).toThrow(expect.objectContaining({ code: 'qmp.damaged', exitCode: 5 }));
});

test('a damaged message is shown in one line, cut short', () => {
  const error = (() => {
    try {
      return parseQmp(`\u001b[2J\r${'x'.repeat(5000)}`);
    } catch (caught) {
      return caught as MachineError;
    }
  })() as MachineError;
  expect(error.message).not.toMatch(/[\u0000-\u001f]/);
  expect(error.message.length).toBeLessThan(200);
});

test('nesting is taken as deep as QEMU takes it, and deeper is refused before it costs memory', () => {
  const nested = (depth: number): string => `{"return": ${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
  expect(parseQmp(nested(MAX_DEPTH))).toMatchObject({ type: 'return' });
  expect(() => parseQmp(nested(MAX_DEPTH + 1))).toThrow('not a message');
  const took = processorMs(() => {
    expect(() => parseQmp(`{"return": ${'['.repeat(MAX_LINE)}`)).toThrow('not a message');
  });
  expect(took).toBeLessThan(1000);
  // Brackets in strings do not count, whatever is escaped before them.
  const text = `\\"${'['.repeat(3 * MAX_DEPTH)}\\\\`;
  expect(parseQmp(`{"return": "${text}"}`)).toMatchObject({ value: `"${'['.repeat(3 * MAX_DEPTH)}\\` });
});

test('integers beyond 2^53 are rounded to the nearest double, ids and times among them', () => {
  expect(parseQmp('{"return": 9007199254740993, "id": 9007199254740993}')).toEqual({
    type: 'return',
    id: 9007199254740992,
    value: 9007199254740992,
  });
  expect(parseQmp('{"return": 18446744073709551615}')).toMatchObject({ value: 2 ** 64 });
  expect(parseQmp('{"return": 1e999}')).toMatchObject({ value: Number.POSITIVE_INFINITY });
  const late = '{"event": "STOP", "timestamp": {"seconds": 9007199254740993, "microseconds": 1}}';
  expect(parseQmp(late)).toMatchObject({ at: 1 });
});

test('a command is one line, without what is undefined', () => {
  expect(encodeCommand('stop', {}, 4)).toBe('{"execute":"stop","arguments":{},"id":4}\n');
  expect(encodeCommand('eject', { id: 'a\nb"ü', force: undefined }, 5)).toBe(
    '{"execute":"eject","arguments":{"id":"a\\nb\\"ü"},"id":5}\n',
  );
  expect(encodeCommand('x', { number: -0.5, safe: 2 ** 53 - 1, list: [null, true] }, 6)).toContain('9007199254740991');
});

const circle: Record<string, unknown> = {};
circle.circle = circle;
const deep = { deep: JSON.parse(`${'['.repeat(MAX_DEPTH)}${']'.repeat(MAX_DEPTH)}`) };
test.each<[string, object, string]>([
  ['half a surrogate pair', { text: 'a\ud800' }, 'half a character in text'],
  ['the other half, inside', { list: ['\udc00b'] }, 'half a character in 0'],
  ['an integer that is not exact', { size: 2 ** 53 }, 'not exact: size'],
  ['no number', { size: Number.NaN }, 'no number in size'],
  ['infinity', { size: Number.POSITIVE_INFINITY }, 'no number in size'],
  ['a big integer', { size: 1n }, 'a big integer in size'],
  ['a circle', circle, 'no JSON form'],
  ['more nesting than QEMU reads', { ...deep, pad: 'x'.repeat(2 * MAX_DEPTH) }, 'nested deeper'],
])('%s is not sent', (_, args, why) => {
  expect(() => encodeCommand('eject', args, 1)).toThrow(
    expect.objectContaining({ code: 'qmp.unsendable', message: expect.stringContaining(why) }),
  );
});
