import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';

const run = promisify(execFile);
const KS = 'text\n%packages\n@core\n%end\n';
const AUTOINSTALL = '#cloud-config\nautoinstall: {version: 1}\n';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-seed-cli-'));
  const put = (name: string, content: string): Promise<void> => writeFile(join(folder, name), content);
  await put('rocky.ks', KS);
  await put('user.yaml', AUTOINSTALL);
  await put('Autounattend.xml', '<unattend/>');
  await put('a=b', 'equals sign');
  await put('large', 'x'.repeat(2_000_000));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const seed = (...args: string[]) => compose(['seed', ...args], { cwd: folder });

const MADE: readonly (readonly [args: readonly string[], label: string, type: string, shown: string])[] = [
  [['--user-data', 'user.yaml'], 'cidata', 'iso9660', 'meta-data, user-data'],
  [['--kind', 'nocloud-fat', '--user-data', 'user.yaml'], 'cidata', 'vfat', 'meta-data, user-data'],
  [['--kind', 'autoinstall', '--file', 'user-data=user.yaml'], 'cidata', 'iso9660', 'meta-data, user-data'],
  [['--kind', 'oemdrv', '--file', 'ks.cfg=rocky.ks'], 'OEMDRV', 'iso9660', 'ks.cfg'],
  [['--kind', 'oemdrv-fat', '--file', 'ks.cfg=rocky.ks'], 'OEMDRV', 'vfat', 'ks.cfg'],
  [['--kind', 'floppy', '--file', 'Autounattend.xml'], 'ANSWERS', 'vfat', 'Autounattend.xml'],
  [['--kind', 'fat', '--label', 'X', '--file', 'sub/n=a=b', '--file', 'rocky.ks'], 'X', 'vfat', 'sub/n, rocky.ks'],
  [['--kind', 'iso', '--label', 'Mine', '--file', 'a=a=b'], 'Mine', 'iso9660', 'a'],
];
test.each(MADE)('compose seed %j', async (args, label, type, shown) => {
  const out = join(folder, 'out.img');
  const made = await seed(...args, '--out', out);
  expect(made).toMatchObject({ status: 0, stderr: '' });
  expect(made.stdout).toContain(`label ${label}, `);
  expect(made.stdout.trimEnd().endsWith(shown)).toBe(true);
  expect((await stat(out)).mode & 0o777).toBe(0o600);
  const { stdout } = await run('blkid', ['-p', '-o', 'export', out]);
  expect(stdout).toContain(`LABEL=${label}\n`);
  expect(stdout).toContain(`TYPE=${type}\n`);
});

const REFUSED: readonly (readonly [args: readonly string[], status: number, message: RegExp])[] = [
  [[], 2, /no user-data/],
  [['--kind', 'oemdrv'], 2, /no files are given/],
  [['--kind', 'oemdrv', '--file', 'rocky.ks'], 2, /none of ks\.cfg/],
  [['--kind', 'oemdrv', '--file', 'ks.cfg=none.ks'], 2, /Cannot read none\.ks/],
  [['--kind', 'oemdrv', '--user-data', 'user.yaml', '--file', 'ks.cfg=rocky.ks'], 2, /Cannot use user-data/],
  [['--kind', 'oemdrv', '--label', 'X', '--file', 'ks.cfg=rocky.ks'], 2, /found by OEMDRV/],
  [['--kind', 'iso', '--file', 'a=a=b'], 2, /no label/],
  [['--kind', 'floppy', '--file', 'large'], 2, /1\.44 MB/],
  [['--kind', 'flopy', '--file', 'large'], 2, /Invalid values|kind/],
  [['--kind', 'fat', '--label', 'much too long a label', '--file', 'large'], 2, /at most 11/],
];
test.each(REFUSED)('compose seed %j is refused', async (args, status, message) => {
  const before = await readdir(folder);
  const refused = await seed(...args, '--out', join(folder, 'refused.img'));
  expect(refused.status).toBe(status);
  expect(refused.stderr).toMatch(message);
  expect((await readdir(folder)).sort()).toEqual(before.sort());
});

test('the data of a seed as JSON, and the same bytes twice', async () => {
  const args = ['--kind', 'oemdrv-fat', '--file', 'ks.cfg=rocky.ks', '--json', '--out'];
  const made = await seed(...args, join(folder, '1.img'));
  expect(JSON.parse(made.stdout)).toMatchObject({ kind: 'oemdrv-fat', label: 'OEMDRV', files: ['ks.cfg'] });
  await seed(...args, join(folder, '2.img'));
  const [one, two] = await Promise.all(['1.img', '2.img'].map((name) => readFile(join(folder, name))));
  expect(two?.equals(one ?? Buffer.alloc(0))).toBe(true);
});
