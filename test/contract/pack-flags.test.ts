/** Flags of `compose pack` that change what it makes, through the command itself. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliResult, compose } from '../../fixtures/cli.ts';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { makeImage } from '../../fixtures/ext4-image.ts';
import { random } from '../../fixtures/fuzz.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
let folder = '';
let disk = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-flags-'));
  const tree = join(folder, 'tree');
  await mkdir(join(tree, 'etc'), { recursive: true });
  await writeFile(join(tree, 'etc/os-release'), 'ID=test\n');
  await utimes(join(tree, 'etc/os-release'), 500_000_000, 500_000_000);
  const next = random(11);
  await writeFile(
    join(tree, 'deleted'),
    new Uint8Array(4 * MIB).map(() => next()),
  );
  const volume = await makeImage(join(folder, 'root.ext4'), { mkfs: ['-t', 'ext4'], size: '16M', tree });
  // Its blocks are free then, and keep what was in them.
  await run('debugfs', ['-w', '-R', 'rm deleted', volume]);
  disk = await makeDisk(join(folder, 'disk.raw'), [{ content: volume }]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const packing = (out: string, flags: readonly string[], env?: NodeJS.ProcessEnv): Promise<CliResult> =>
  compose(['pack', disk, '--name', 'x', '--out', join(folder, out), '--log', 'plain', ...flags], env && { env });

test('--keep-free packs what free blocks hold', async () => {
  const sizes = await Promise.all(
    [[], ['--keep-free']].map(async (flags, at) => {
      const { status, stderr } = await packing(`free-${at}`, ['--format', 'ddgz', ...flags]);
      expect(stderr).not.toContain('error');
      expect(status).toBe(0);
      return (await stat(join(folder, `free-${at}/x.dd.gz`))).size;
    }),
  );
  expect(sizes[0]).toBeLessThan(MIB / 4);
  expect(sizes[1]).toBeGreaterThan(4 * MIB);
});

test('--check reads each artifact back and says so', async () => {
  const { status, stderr } = await packing('checked', ['--format', 'tgz,ddgz', '--check']);
  expect(status).toBe(0);
  expect(stderr).toMatch(/check tgz: done in .* entries and .* are as on the disk/);
  expect(stderr).toMatch(/check ddgz: done in .* are as on the disk/);
  expect(await readdir(join(folder, 'checked'))).toContain('x.tar.gz');
});

test('SOURCE_DATE_EPOCH sets later times back, and no earlier ones', async () => {
  const epoch = '1000000000';
  const { status } = await packing('epoch', ['--format', 'tgz', '--no-seal'], { SOURCE_DATE_EPOCH: epoch });
  expect(status).toBe(0);
  const list = ['--utc', '--full-time', '-tvf', join(folder, 'epoch/x.tar.gz')];
  const { stdout } = await run('tar', list, { env: { ...process.env, LC_ALL: 'C' } });
  const times = new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ +/))
      .map(([, , , date, time, name]): [string, string] => [name ?? '', `${date} ${time}`]),
  );
  expect(times.get('./etc/os-release')).toBe('1985-11-05 00:53:20');
  expect(times.get('./etc/')).toBe('2001-09-09 01:46:40');
});
