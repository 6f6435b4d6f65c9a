import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KICKSTARTS } from '../../fixtures/answer-files.ts';
import { compose } from '../../fixtures/cli.ts';

const KICKSTART = KICKSTARTS.find(({ name }) => name === 'el 9')?.text ?? '';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-recipe-check-'));
  await writeFile(join(folder, 'good.ks'), KICKSTART);
  await writeFile(join(folder, 'bad.ks'), KICKSTART.replace('skipx', 'instal --now'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const check = (...args: string[]) => compose(['recipe', 'check', ...args], { cwd: folder });

test('compose recipe check of an answer file prints problems by line, and ends with status 2 for errors', async () => {
  expect(await check('good.ks', '--for', 'el-9')).toEqual({
    status: 0,
    stdout: 'good.ks: 0 errors, 0 warnings\n',
    stderr: '',
  });
  const bad = await check('bad.ks', '--for', 'el-9');
  const line = KICKSTART.slice(0, KICKSTART.indexOf('skipx')).split('\n').length;
  expect(bad.status).toBe(2);
  expect(bad.stdout).toBe(
    `bad.ks:${line}:1: error "instal" is no command of a kickstart [kickstart.unknown-command]. Did you mean install?\n` +
      'bad.ks: 1 error, 0 warnings\n',
  );
  const json = await check('bad.ks', '--for', 'el-9', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    errors: 1,
    warnings: 0,
    problems: [{ file: 'bad.ks', line, column: 1, severity: 'error', code: 'kickstart.unknown-command' }],
  });
});

test('compose recipe check of a recipe of the catalogue finds nothing wrong; without a release an answer file is refused', async () => {
  expect(await check('debian-12')).toMatchObject({ status: 0, stdout: 'debian-12: 0 errors, 0 warnings\n' });
  const unknown = await check('good.ks');
  expect(unknown.status).toBe(2);
  expect(unknown.stderr).toContain('--for FAMILY-VERSION');
});
