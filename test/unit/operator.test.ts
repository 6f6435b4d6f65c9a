import { PassThrough } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';
import { expect, test } from 'vitest';
import type { Operator } from '../../src/build/on-error.ts';
import { operatorAt } from '../../src/cli/operator.ts';
import { ProvisionError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';

/** An operator at a terminal that the test types at. */
function scene() {
  const controller = new AbortController();
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 100, rows: 40 });
  let shown = '';
  output.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  const context = quietContext(controller.signal);
  const found = operatorAt(input as unknown as ReadStream, output as unknown as WriteStream, context);
  const text = (): string => shown.replace(/\u001b\[[0-9;]*[A-Za-z]/g, '');
  return { operator: found as Operator, input, text, controller };
}

const error = new ProvisionError('step.failed', 'Cannot finish it: status 1', {
  evidence: { stderr: 'no such thing' },
});
const FAILED = { what: 'step 2: install', error, about: ['log in: ssh here', 'run folder: /r'] };

test('what failed, its evidence and the way to the guest are shown once; a wrong answer is told what is right', async () => {
  const { operator, input, text } = scene();
  const asked = operator.choose(FAILED, ['retry', 'keep'], false);
  await expect.poll(text).toMatch(/retry, keep\? $/);
  for (const part of [
    'Cannot finish it',
    'no such thing',
    'log in: ssh here',
    'run folder: /r',
    'step 2: install failed',
  ]) {
    expect(text()).toContain(part);
  }
  input.write('what\r');
  await expect.poll(text).toMatch(/One of these words, or its first letter\.\s+retry, keep\? $/);
  input.write('k\r');
  expect(await asked).toBe('keep');
  const before = text().length;
  const again = operator.choose(FAILED, ['retry', 'keep'], true);
  await expect.poll(() => text().slice(before)).toMatch(/retry, keep\? $/);
  expect(text().slice(before)).not.toContain('Cannot finish it');
  input.write('retry\r');
  expect(await again).toBe('retry');
});

test('a question that is broken off leaves no line behind that others would go on in', async () => {
  const { operator, text, controller } = scene();
  const asked = operator.choose(FAILED, ['retry', 'keep'], false).catch((reason: unknown) => reason);
  await expect.poll(text).toMatch(/retry, keep\? $/);
  controller.abort(new Error('enough'));
  expect(await asked).toMatchObject({ message: 'enough' });
  expect(text()).toMatch(/retry, keep\? \n$/);
});
