import { expect, test } from 'vitest';
import { AGAMA_SHAPES, AGAMA_STORAGE_SHAPES } from '../../src/answers/agama/shapes.ts';
import { ACTION_TYPES, AUTOINSTALL_SHAPES } from '../../src/answers/autoinstall/shapes.ts';
import { CLOUD_CONFIG_SHAPES } from '../../src/answers/cloud-config/shapes.ts';
import { COMMANDS } from '../../src/answers/kickstart/command.ts';
import { ReleaseRange } from '../../src/answers/kickstart/release.ts';
import { QUESTIONS } from '../../src/answers/preseed/questions.ts';
import { QUESTION_TYPES } from '../../src/answers/preseed/types.ts';
import { readShapes, type Shape, type Shapes } from '../../src/answers/shape/shape.ts';

/** Names of other shapes in a shape. */
function names(shape: Shape): string[] {
  if (shape.is === 'named') return [shape.name];
  if (shape.is === 'list' || shape.is === 'table') return names(shape.of);
  if (shape.is === 'one-of') return shape.shapes.flatMap(names);
  return shape.is === 'record' ? [...shape.fields.values()].flatMap((field) => names(field.shape)) : [];
}

const TABLES: readonly (readonly [what: string, shapes: Shapes])[] = [
  ['autoinstall', AUTOINSTALL_SHAPES],
  ['cloud-config', CLOUD_CONFIG_SHAPES],
  ['agama', new Map([...AGAMA_SHAPES, ...AGAMA_STORAGE_SHAPES])],
];
test.each(TABLES)('every shape that %s names is there', (_what, shapes) => {
  expect([...shapes.values()].flatMap(names).filter((name) => !shapes.has(name))).toEqual([]);
});

test('every storage action has a shape', () => {
  expect(ACTION_TYPES.filter((type) => AUTOINSTALL_SHAPES.get(type)?.is !== 'record')).toEqual([]);
});

test('shapes are read as they are written', () => {
  const shape = readShapes('x = { a!: s | i, b~a>=24.04: [<b>], c: "on" | null, * } # as said').get('x');
  const record = shape?.is === 'record' ? shape : expect.fail();
  expect(record.open).toBe(true);
  expect(record.fields.get('a')).toMatchObject({ required: true, instead: undefined });
  expect(record.fields.get('b')).toMatchObject({
    required: false,
    instead: 'a',
    since: '24.04',
    shape: { is: 'list', of: { is: 'table', of: { is: 'boolean' } } },
  });
  expect(record.fields.get('c')?.shape).toMatchObject({ shapes: [{ is: 'word', word: 'on' }, { is: 'null' }] });
  expect(() => readShapes('x = { a: ? }')).toThrow(TypeError);
});

test('the tables of kickstart and preseed have no words that mean nothing', () => {
  for (const [name, { options }] of COMMANDS) {
    for (const option of options) expect(option.names[0], name).toMatch(/^--[a-zA-Z0-9-]+$/);
  }
  for (const [name, { type }] of QUESTIONS) {
    expect(name).toMatch(/^[a-z0-9-]+(\/[\w-]+)*$/);
    expect(QUESTION_TYPES, name).toContain(type);
  }
  expect(COMMANDS.size).toBeGreaterThan(70);
  expect(QUESTIONS.size).toBeGreaterThan(200);
});

const RANGES: readonly (readonly [range: string, el: readonly number[], fedora: readonly number[], text: string])[] = [
  ['', [6, 7, 8, 9, 10], [40, 41, 43], 'every release'],
  ['7+', [7, 8, 9, 10], [40, 41, 43], 'EL 7 and later'],
  ['6-8', [6, 7, 8], [], 'EL 6 to 8'],
  ['9', [9], [], 'EL 9'],
  ['7-9,f', [7, 8, 9], [40, 41, 43], 'EL 7 to 9, Fedora'],
  ['10,f41+', [10], [41, 43], 'EL 10, Fedora 41 and later'],
  ['f40-41', [], [40, 41], 'Fedora 40 to 41'],
];
test.each(RANGES)('the range %j', (text, el, fedora, words) => {
  const range = new ReleaseRange(text);
  const has = (line: 'el' | 'fedora', numbers: readonly number[]) =>
    numbers.filter((number) => range.has({ line, number, name: '' }));
  expect(has('el', [6, 7, 8, 9, 10])).toEqual(el);
  expect(has('fedora', [40, 41, 43])).toEqual(fedora);
  expect(range.toString()).toBe(words);
});
