import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';

const run = promisify(execFile);
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-cli-'));
  await disk('good', ['root']);
  await disk('two', ['root', 'root']);
  await disk('none', ['data']);
  await run('qemu-img', ['convert', '-O', 'qcow2', join(folder, 'good.raw'), join(folder, 'good.qcow2')]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A raw GPT disk with an 8 MiB ext4 file system for each of `kinds`. */
async function disk(name: string, kinds: readonly ('root' | 'data')[]): Promise<void> {
  const path = join(folder, `${name}.raw`);
  await truncate(await touch(path), (2 + 8 * kinds.length + 1) * 1024 * 1024);
  for (const [at, kind] of kinds.entries()) {
    const tree = join(folder, `${name}-${at}`);
    const text =
      kind === 'root'
        ? 'mkdir -p "$1/etc" && echo ID=test > "$1/etc/os-release"'
        : 'mkdir -p "$1" && echo x > "$1/file"';
    await run('sh', ['-euc', text, 'sh', tree]);
    const start = 1 + 8 * at;
    await run('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, '-E', `offset=${start * 1024 * 1024}`, path, '8192k']);
    await run('sgdisk', ['-n', `${at + 1}:${start * 2048}:${(start + 8) * 2048 - 1}`, path]);
  }
}

async function touch(path: string): Promise<string> {
  await writeFile(path, '');
  return path;
}

async function packing(
  name: string,
  ...more: string[]
): Promise<Awaited<ReturnType<typeof compose>> & { left: string[] }> {
  const out = join(folder, `out-${name}-${more.length}`);
  const result = await compose(['pack', join(folder, name), '--out', out, '--name', 'x', ...more]);
  return { ...result, left: existsSync(out) ? readdirSync(out) : [] };
}

test('a disk becomes an artifact with its records', async () => {
  const { status, stdout, left } = await packing('good.qcow2', '--format', 'tgz,ddgz', '--json');
  expect(status).toBe(0);
  expect(left.sort()).toEqual(['SHA256SUMS', 'x.dd.gz', 'x.dd.gz.maas.json', 'x.tar.gz', 'x.tar.gz.maas.json']);
  expect(JSON.parse(stdout).artifacts.map((one: { filetype: string }) => one.filetype)).toEqual(['tgz', 'ddgz']);
});

test('flags may come before the disk; the command to upload asks for the base image that was not told', async () => {
  const out = join(folder, 'flags-first');
  const args = ['--no-seal', join(folder, 'good.raw'), '--out', out, '--name', 'x'];
  const bare = await compose(['pack', '--format', 'ddraw', ...args]);
  expect(bare).toMatchObject({ status: 0, stdout: expect.stringContaining('--base-image $BASE_IMAGE') });
  const told = await compose(['pack', '--base-image', 'rhel/9', '--format', 'ddraw', ...args]);
  expect(told).toMatchObject({ status: 0, stdout: expect.not.stringContaining('$BASE_IMAGE') });
});

test('the way out that is shown for a root that is not read is one', async () => {
  const path = join(folder, 'encrypted.raw');
  await run('cp', [join(folder, 'none.raw'), path]);
  const header = Buffer.alloc(64 * 1024);
  header.write('LUKS\xba\xbe\0\x02', 'latin1');
  header.write('12345678-1234-4234-8234-123456789abc', 168, 'latin1');
  await using file = await open(path, 'r+');
  await file.write(header, 0, header.length, 1024 * 1024);
  const refused = await packing('encrypted.raw', '--format', 'ddgz');
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('LUKS encryption'), left: [] });
  const flags = /\((--format ddgz.*)\)/.exec(refused.stderr)?.[1]?.split(' ') ?? [];
  expect(await packing('encrypted.raw', ...flags)).toMatchObject({ status: 0 });
});

test.each([
  ['two.raw', 7, 'root.ambiguous', 'partition 2'],
  ['none.raw', 7, 'root.none', 'partition 1'],
  ['gone.raw', 7, 'disk.not-found', 'gone.raw'],
])('packing %s ends with status %d and %s', async (name, status, code, said) => {
  const result = await packing(name);
  expect(result.status).toBe(status);
  expect(result.stderr).toContain(code);
  expect(result.stderr).toContain(said);
  expect(result.left).toEqual([]);
});

test('a file system that was not cleanly unmounted is refused with the command that mends it', async () => {
  const path = join(folder, 'dirty.raw');
  await run('cp', [join(folder, 'good.raw'), path]);
  await run('debugfs', ['-w', '-R', 'feature needs_recovery', `${path}?offset=1048576`]);
  const result = await packing('dirty.raw');
  expect(result.status).toBe(7);
  expect(result.stderr).toContain('ext4.not-clean');
  expect(result.stderr).toContain('e2fsck');
  expect(result.left).toEqual([]);
});

test('a truncated qcow2 is refused and leaves nothing', async () => {
  const path = join(folder, 'short.qcow2');
  await run('cp', [join(folder, 'good.qcow2'), path]);
  await truncate(path, 300_000);
  const result = await packing('short.qcow2');
  expect(result.status).toBe(7);
  expect(result.stderr).toMatch(/code {3}(qcow2\.truncated|disk\.)/);
  expect(result.left).toEqual([]);
});

test('a full output disk is said so and leaves nothing', async (context) => {
  if (process.getuid?.() !== 0) context.skip('mounting a small tmpfs needs root');
  const small = join(folder, 'small');
  await run('mkdir', [small]);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', small]);
  try {
    const result = await compose([
      'pack',
      join(folder, 'good.qcow2'),
      '--out',
      small,
      '--name',
      'x',
      '--format',
      'ddraw',
      '--no-seal',
    ]);
    expect(result.status).toBe(7);
    expect(result.stderr).toContain('pack.disk-full');
    expect(readdirSync(small)).toEqual([]);
  } finally {
    await run('umount', [small]);
  }
});

test.each([
  [['pack'], 'usage'],
  [['frobnicate'], 'usage'],
  [['pack', 'x', '--frmat', 'tgz'], 'usage'],
  [['pack', 'x', '--format', 'zst'], 'filetype.unknown'],
  [['pack', 'x', '--format'], 'usage'],
  [['pack', 'x', '--sbom'], 'usage'],
  [['pack', 'x', '--level'], 'usage'],
  [['pack', 'x', '--out'], 'usage'],
  [['pack', 'x', '--out', 'a', '--out', 'b'], 'usage'],
  [['build', 'debian-12', '--arch', 'amd64', '--arch', 'arm64'], 'usage'],
  [['pack', 'x', '--name', '../y'], 'pack.name'],
  [['pack', 'x', '--architecture', 'amd64'], 'maas.architecture'],
  [['pack', 'x', '--base-image', 'debian/12'], 'maas.base-image'],
  [['pack', 'x', '--target', 'maas-9'], 'verify.target'],
  [['pack', 'x', '--allow', 'hygiene.logs'], 'verify.reason'],
  [['build', 'debain-12'], 'recipe.unknown'],
  [['plan', 'debian-12', '--set', 'kernal=x'], 'variable.unknown'],
])('compose %j is bad usage: %s', async (args, code) => {
  const result = await compose(args);
  expect(result.status).toBe(2);
  expect(result.stderr).toContain(`code   ${code}`);
  expect(result.stderr).toContain('next   ');
  expect(result.stdout).toBe('');
});

test.each([
  [['pack'], 'an argument is missing (0 given, 1 needed)'],
  [['pack', 'x', '--workers'], '--workers needs a value'],
  [['pack', 'x', '--level', ''], 'what --level is given is no number'],
  [['pack', 'x', '--level='], 'what --level is given is no number'],
  [['pack', 'x', '--no-level'], 'what --level is given is no number'],
  [['pack', 'x', '--workers', 'all'], 'what --workers is given is no number'],
  [['plan', 'debian-12', '--cpus', 'x'], 'what --cpus is given is no number'],
])('compose %j says in plain English what is wrong, whatever the language of the host', async (args, text) => {
  const { status, stderr } = await compose(args, { env: { LC_ALL: 'de_DE.UTF-8' } });
  expect(status).toBe(2);
  expect(stderr).toContain(`Cannot run this command: ${text}`);
});

test('the help is in one language', async () => {
  const { stdout } = await compose(['--help'], { env: { LC_ALL: 'de_DE.UTF-8' } });
  expect(stdout).toContain('Commands:');
});

test('a host without QEMU is told what to install, with status 3', async () => {
  const env = { PATH: join(folder, 'empty-path') };
  const result = await compose(['doctor', 'debian-12', '--json'], { env });
  const checks = JSON.parse(result.stdout) as { id: string; state: string; remedy: string }[];
  expect(checks.find((check) => check.id === 'tool.qemu-img')).toMatchObject({
    state: 'missing',
    remedy: 'apt-get install qemu-utils',
  });
  expect(result.status).toBe(3);
});

test.each(['list', 'show', 'plan', 'build', 'pack', 'inspect', 'seed', 'doctor'])(
  'compose %s --help has an example',
  async (verb) => {
    const { status, stdout } = await compose([verb, '--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/Examples:\n\s+compose /);
  },
);

test('ndjson is one event a line on standard error', async () => {
  const { stderr } = await packing('good.raw', '--format', 'tgz', '--log', 'ndjson');
  const events = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.map((event) => event.type)).toContain('artifact');
  expect(events.every((event) => event.v === 1 && typeof event.time === 'string')).toBe(true);
});

test('an interrupt ends with 130 and leaves nothing', async () => {
  const { spawn } = await import('node:child_process');
  const { packageRoot } = await import('../../src/host/built-module.ts');
  const big = join(folder, 'big.raw');
  await truncate(await touch(big), 64 * 1024 ** 3);
  const out = join(folder, 'out-interrupted');
  const child = spawn(process.execPath, [
    join(packageRoot(), 'dist/src/cli/main.js'),
    'pack',
    big,
    '--format',
    'ddgz',
    '--no-seal',
    '--out',
    out,
    '--log',
    'ndjson',
  ]);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const before = said.includes('"type":"progress"');
    said += text;
    // Once: a second signal ends the process without cleaning up.
    if (!before && said.includes('"type":"progress"')) child.kill('SIGINT');
  });
  const status = await new Promise((resolve) => child.once('close', resolve));
  expect(status, said).toBe(130);
  expect(readdirSync(out)).toEqual([]);
});

test('a seed is checked before it is written', async () => {
  const good = join(folder, 'user-data');
  await writeFile(good, '#cloud-config\npackages: [x]\n');
  const made = await compose(['seed', '--user-data', good, '--out', join(folder, 'seed.iso')]);
  expect(made.status).toBe(0);
  const { stdout } = await run('blkid', ['-p', '-o', 'value', '-s', 'LABEL', join(folder, 'seed.iso')]);
  expect(stdout.trim()).toBe('cidata');
  const bad = join(folder, 'bad-data');
  await writeFile(bad, 'packages: [x]\n');
  const refused = await compose(['seed', '--user-data', bad, '--out', join(folder, 'bad.iso')]);
  expect(refused.status).toBe(2);
  expect(refused.stderr).toContain('#cloud-config');
  expect(existsSync(join(folder, 'bad.iso'))).toBe(false);
});

test('packings into one folder, at once and one after the other, have one list of sums', async () => {
  const out = join(folder, 'shared');
  const names = ['a', 'b', 'c'];
  const pack = (name: string): ReturnType<typeof compose> =>
    compose(['pack', join(folder, 'good.raw'), '--format', 'tgz', '--name', name, '--out', out]);
  expect((await Promise.all(names.map(pack))).map(({ status }) => status)).toEqual([0, 0, 0]);
  expect((await pack('d')).status).toBe(0);
  const { stdout } = await run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out });
  expect(stdout.trim().split('\n')).toHaveLength(4);
  expect(readdirSync(out)).toHaveLength(9);
});

test('a recipe that is named twice is refused before anything starts', async () => {
  const { status, stderr } = await compose([
    'build',
    'debian-12',
    'debian-12',
    '--jobs',
    '2',
    '--out',
    join(folder, 'none'),
  ]);
  expect(status).toBe(2);
  expect(stderr).toContain('build.same-output');
  expect(existsSync(join(folder, 'none'))).toBe(false);
});

test('several builds that cannot be made are told one by one, with the status of the first', async () => {
  const empty = { PATH: '/nowhere', COMPOSE_CACHE: join(folder, 'cache'), COMPOSE_STATE: join(folder, 'state') };
  const args = [
    'build',
    'debian-12',
    'debian-13',
    '--source',
    'packages',
    '--jobs',
    '2',
    '--out',
    join(folder, 'many'),
  ];
  const { status, stdout, stderr } = await compose(args, { env: empty });
  expect(status).toBe(3);
  expect(stdout).toMatch(
    /== debian-12: failed after .*\nerror: .*\n {2}code {3}host\.not-ready[\s\S]*== debian-13: failed/,
  );
  expect(stderr).toMatch(/\] debian-12: build 1 of 2 starts\n/);
  expect(stderr).toContain('] debian-13: warning: failed: Cannot build debian-13 on this host');
  const json = await compose([...args, '--json'], { env: empty });
  expect(JSON.parse(json.stdout)).toMatchObject([
    { state: 'failed', error: { code: 'host.not-ready' } },
    { build: 'debian-13' },
  ]);
});

test('a recipe after --view is a recipe', async () => {
  const { status, stderr } = await compose(['build', '--view', 'debian-13x']);
  expect(status).toBe(2);
  expect(stderr).toContain('"debian-13x"');
});

test('a number of jobs that cannot be is refused, for one recipe too', async () => {
  const { status, stderr } = await compose(['build', 'debian-12', '--jobs', '0']);
  expect(status).toBe(2);
  expect(stderr).toContain('build.limit');
});
