import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';
import { mergeSums, type Sum } from '../../src/pack/sums.ts';

const run = promisify(execFile);
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-sums-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A file with its name, or `text`, in it. */
async function made(file: string, text = file): Promise<Sum> {
  await writeFile(join(folder, file), text);
  return { file, sha256: digest(text) };
}
const sums = async (): Promise<string[]> =>
  (await readFile(join(folder, 'SHA256SUMS'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(66))
    .sort();
const check = (): Promise<unknown> => run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: folder });

test('lines of other files stay while these exist; a rebuilt file has one line', async () => {
  await mergeSums(folder, [await made('a'), await made('b')]);
  await mergeSums(folder, [await made('c')]);
  expect(await sums()).toEqual(['a', 'b', 'c']);
  await rm(join(folder, 'b'));
  await mergeSums(folder, [await made('a', 'another')]);
  expect(await sums()).toEqual(['a', 'c']);
  await check();
  expect((await readdir(folder)).sort()).toEqual(['SHA256SUMS', 'a', 'c']);
});

test('lines of other tools are kept, escaped names too; what is no line is not', async () => {
  await made('with space');
  await made('new\nline');
  const { stdout } = await run('sha256sum', ['--binary', 'with space', 'new\nline'], { cwd: folder });
  const damaged = [
    '',
    'no line',
    `${digest('x')}  .`,
    `${digest('x')}  ../`,
    `${digest('x')}  nul\0`,
    `${digest('x')} `,
  ];
  await writeFile(join(folder, 'SHA256SUMS'), `${damaged.join('\n')}\n${stdout}\n\u0000\u00ff`);
  await mergeSums(folder, [await made('a')]);
  expect((await readFile(join(folder, 'SHA256SUMS'), 'utf8')).trimEnd().split('\n')).toHaveLength(3);
  await check();
});

test('many at once lose no line', async () => {
  const files = Array.from({ length: 30 }, (_, at) => `file-${at}`);
  await Promise.all(files.map(async (file) => mergeSums(folder, [await made(file)])));
  expect(await sums()).toEqual([...files].sort());
  await check();
});

test('processes at once lose no line', async () => {
  const script = `
import { mergeSums } from '${packageRoot()}/dist/src/pack/sums.js';
import { writeFileSync } from 'node:fs';
for (let at = 0; at < 10; at++) {
  const file = process.argv[2] + at;
  writeFileSync(process.argv[1] + '/' + file, 'x');
  await mergeSums(process.argv[1], [{ file, sha256: '${digest('x')}' }]);
}`;
  const one = (name: string): Promise<unknown> =>
    run(process.execPath, ['--input-type=module', '-e', script, folder, name]);
  await Promise.all(['a', 'b', 'c'].map(one));
  expect(await sums()).toHaveLength(30);
  await check();
});

test('a lock that is held is waited for, until the signal ends it', async () => {
  await writeFile(join(folder, '.SHA256SUMS.lock'), 'another');
  const lock = join(folder, '.SHA256SUMS.lock');
  const touching = setInterval(() => utimes(lock, new Date(), new Date()).catch(() => {}), 50);
  const refused = mergeSums(folder, [await made('a')], AbortSignal.timeout(300));
  await expect(refused).rejects.toThrow();
  clearInterval(touching);
  const waiting = mergeSums(folder, [await made('a')]);
  await rm(join(folder, '.SHA256SUMS.lock'));
  await waiting;
  expect(await sums()).toEqual(['a']);
});

test('what a crash left locked is taken over', async () => {
  await writeFile(join(folder, '.SHA256SUMS.lock'), 'another');
  await mergeSums(folder, [await made('a')], undefined, 200);
  expect(await sums()).toEqual(['a']);
});

test('a folder one cannot write to, or a folder in place of the file, is told', async () => {
  await expect(mergeSums(join(folder, 'gone'), [])).rejects.toMatchObject({ code: 'pack.sums' });
  await mkdir(join(folder, 'SHA256SUMS'));
  await expect(mergeSums(folder, [await made('a')])).rejects.toMatchObject({ code: 'pack.write' });
  expect(await readdir(folder)).not.toContain('.SHA256SUMS.lock');
});
