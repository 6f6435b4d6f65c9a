import { expect, test } from 'vitest';
import { processorMs } from '../../fixtures/clock.ts';
import { answer, event, failure, GREETING, KNOWN, schemaAnswer } from '../../fixtures/fake-qmp.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { MachineError } from '../../src/errors.ts';
import { encodeCommand, LineSplitter, parseQmp } from '../../src/formats/qmp.ts';
import { QmpSchema } from '../../src/machine/qmp-schema.ts';

const STREAM = Buffer.from(
  [
    GREETING,
    answer(1, { a: [1, 2.5, null, 'x"y\\z'] }),
    failure(2),
    event('RESET', { guest: true, reason: 'guest-reset' }),
    answer(3, [{ 'node-name': '#block123', stats: { rd_bytes: 2 ** 53 } }]),
  ].join(''),
);

/** Every line is a message or a MachineError. */
function read(bytes: Uint8Array, next: () => number): number {
  let taken = 0;
  const splitter = new LineSplitter(4096);
  try {
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + (next() % 90);
      splitter.push(bytes.subarray(at, at + size), (line) => {
        try {
          parseQmp(line);
          taken++;
        } catch (error) {
          if (!(error instanceof MachineError)) throw error;
        }
      });
      at += size;
    }
  } catch (error) {
    if (!(error instanceof MachineError) || error.code !== 'qmp.too-long') throw error;
  }
  return taken;
}

test('a damaged stream is messages and errors of our own, wherever it is cut', () => {
  let taken = 0;
  for (let seed = 0; seed < 4000; seed++) {
    const next = random(seed);
    taken += read(mutate(STREAM, next), next);
  }
  expect(taken).toBeGreaterThan(1000);
});

test('noise is never more than an error', () => {
  for (let seed = 0; seed < 200; seed++) {
    const next = random(seed);
    read(
      Uint8Array.from({ length: 6000 }, () => next() & 0xff),
      next,
    );
  }
});

test('what is encoded is read back as it was', () => {
  for (let seed = 0; seed < 2000; seed++) {
    const next = random(seed);
    const text = Array.from({ length: next() % 12 }, () => String.fromCodePoint(next() % 0xd800)).join('');
    const args = { text, [`k${next() % 9}`]: [next(), next() / 7, text.length > 3], more: { '\u0000': null } };
    const line = encodeCommand('x', args, seed);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(JSON.parse(line)).toEqual({ execute: 'x', arguments: args, id: seed });
  }
});

const GOOD = Buffer.from(JSON.stringify(schemaAnswer(KNOWN)));

test('a damaged schema is an error or answers every question', () => {
  let readable = 0;
  for (let seed = 0; seed < 3000; seed++) {
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(mutate(GOOD, random(seed))).toString());
    } catch {
      continue;
    }
    try {
      const schema = new QmpSchema(value);
      readable++;
      schema.has('screendump', 'format', 'png');
      schema.has('screendump', 'format.x.y', 'png');
      for (const command of schema.commands) schema.mismatch(command, { filename: 'x', format: 'png', deep: [[{}]] });
      schema.answerMismatch('query-status', [{}]);
    } catch (error) {
      if (!(error instanceof MachineError) || error.code !== 'qmp.schema') throw error;
    }
  }
  expect(readable).toBeGreaterThan(100);
});

/** Any type of each kind, members of any type, cycles without end among them. */
function wild(next: () => number): unknown[] {
  const name = (): string => String(next() % 12);
  const some = (): unknown[] =>
    Array.from({ length: next() % 5 }, () => ({ name: name(), type: name(), case: name() }));
  const kinds = ['builtin', 'enum', 'array', 'object', 'alternate', 'command', 'event', 'nothing'];
  const any = (): unknown => [null, 3, 'x', [], {}, [null], some()][next() % 7];
  const entities = Array.from({ length: 12 }, (_, index) => ({
    name: String(index),
    'meta-type': kinds[next() % kinds.length],
    'json-type': 'int',
    'element-type': name(),
    members: next() % 4 === 0 ? any() : some(),
    values: next() % 2 === 0 ? any() : undefined,
    tag: name(),
    variants: next() % 4 === 0 ? any() : some(),
    'arg-type': next() % 9 === 0 ? any() : name(),
    'ret-type': name(),
  }));
  return [...entities, { name: 'query-qmp-schema', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '1' }];
}

test('types that refer to each other in any way end every walk', () => {
  const nested = (depth: number, next: () => number): unknown =>
    depth === 0 ? 1 : { [String(next() % 12)]: nested(depth - 1, next), [String(next() % 12)]: [[[1]], {}] };
  const took = processorMs(() => {
    for (let seed = 0; seed < 3000; seed++) {
      const next = random(seed);
      const schema = new QmpSchema(wild(next));
      const args = nested(6, next) as object;
      for (const command of schema.commands) {
        schema.mismatch(command, args);
        schema.answerMismatch(command, [args]);
        for (const path of ['1', '1.2', '1.2.3.4.5', '']) schema.has(command, path, 'x');
      }
    }
  });
  expect(took).toBeLessThan(20_000);
});
