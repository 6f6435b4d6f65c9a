import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { content } from '../../src/tune/content.ts';

vi.setConfig({ testTimeout: 300_000 });

const MIB = 1024 * 1024;
let folder = '';
let disk = '';
let bytes: Buffer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-bench-cli-'));
  disk = join(folder, 'disk.raw');
  bytes = Buffer.concat([...content(1, 6 * MIB)].map((piece) => piece.bytes));
  await writeFile(disk, bytes);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** compose with a configuration and a temporary folder of its own. */
function run(name: string, ...args: string[]): ReturnType<typeof compose> {
  return compose(args, { env: { COMPOSE_CONFIG: join(folder, name), TMPDIR: folder }, cwd: folder });
}

let packed = 0;
async function pack(config: string, ...args: string[]) {
  const out = join(folder, `out-${packed++}`);
  const flags = ['--no-seal', '--format', 'ddgz', '--name', 'x', '--out', out, '--json'];
  const result = await run(config, 'pack', disk, ...flags, ...args);
  if (result.status !== 0)
    return {
      ...result,
      sha256: '',
      artifact: {} as Record<string, unknown>,
      pipeline: {},
      record: {} as Record<string, unknown>,
    };
  const made = await readFile(join(out, 'x.dd.gz'));
  expect(gunzipSync(made).equals(bytes)).toBe(true);
  const { artifacts, pipeline } = JSON.parse(result.stdout);
  const record = JSON.parse(await readFile(join(out, 'x.dd.gz.maas.json'), 'utf8'));
  return {
    ...result,
    sha256: createHash('sha256').update(made).digest('hex'),
    artifact: artifacts[0],
    pipeline,
    record,
  };
}

test('content depends on its seed alone', () => {
  const digest = (seed: number): string => {
    const hash = createHash('sha256');
    for (const piece of content(seed, MIB)) hash.update(piece.bytes);
    return hash.digest('hex').slice(0, 16);
  };
  expect([digest(1), digest(2)]).toMatchInlineSnapshot(`
    [
      "a386015d4ef1d1b7",
      "2b4e0ed3f00bc194",
    ]
  `);
});

test('bytes do not depend on workers and window, and do on the chunk, which the record tells', async () => {
  const one = await pack('plain', '--workers', '1', '--window', '2');
  const two = await pack('plain', '--workers', '3', '--window', '16');
  const usual = await pack('plain', '--chunk', '1M');
  const small = await pack('plain', '--chunk', '256K', '--workers', '2');
  const same = await pack('plain', '--chunk', '256K', '--window', '3', '--workers', '1');
  expect(two.sha256).toBe(one.sha256);
  expect(usual.sha256).toBe(one.sha256);
  expect(small.sha256).not.toBe(one.sha256);
  expect(same.sha256).toBe(small.sha256);
  expect(small.record.chunk).toBe(256 * 1024);
  expect(one.record.chunk).toBe(MIB);
  expect(two.pipeline).toEqual({ workers: 3, window: 16 });
});

test('--fast and --small are quick and small, and whole', async () => {
  const usual = await pack('plain');
  const fast = await pack('plain', '--fast');
  const small = await pack('plain', '--small');
  const zlib = await pack('plain', '--small', '--engine', 'zlib');
  expect(['isal 2', 'libdeflate 1', 'zlib 1']).toContain(`${fast.artifact.engine} ${fast.artifact.level}`);
  expect(['libdeflate 12', 'zlib 9']).toContain(`${small.artifact.engine} ${small.artifact.level}`);
  expect(`${zlib.artifact.engine} ${zlib.artifact.level}`).toBe('zlib 9');
  expect(Number(small.artifact.size)).toBeLessThan(Number(usual.artifact.size));
  expect(Number(fast.artifact.size)).toBeGreaterThan(Number(usual.artifact.size));
});

test.each([
  [['--fast', '--small'], /--fast and --small/],
  [['--fast', '--level', '3'], /--fast and --level 3/],
  [['--small', '--level', '3'], /--small and --level 3/],
  [['--chunk', '100K'], /members of 102400 bytes/],
  [['--chunk', '32M'], /members of/],
  [['--chunk', 'big'], /no size/],
  [['--window', '1'], /not 2 to 16/],
  [['--workers', '0'], /Cannot start 0 workers/],
])('pack %s is refused', async (flags, message) => {
  const { status, stderr } = await pack('plain', ...flags);
  expect(status).toBe(2);
  expect(stderr).toMatch(message);
});

test('bench measures, writes its files, saves, and pack takes what it saved', async () => {
  const out = join(folder, 'results');
  const args = ['bench', disk, '--budget', '4', '--runs', '1', '--sample', '4M', '--out', out, '--save', '--json'];
  const { status, stdout, stderr } = await run('tuned', ...args);
  expect(stderr).not.toContain('error');
  expect(status).toBe(0);
  const result = JSON.parse(stdout);
  expect(JSON.parse(await readFile(join(out, 'bench.json'), 'utf8'))).toEqual(result);
  expect(await readFile(join(out, 'bench.svg'), 'utf8')).toMatch(/^<\?xml.*<\/svg>\n$/s);
  expect(result.turns[0].candidates[0]).toMatchObject({ time: 1, size: 1 });
  expect(result.machine.node).toBe(process.version);
  const saved = JSON.parse(await readFile(join(folder, 'tuned', 'tuning.json'), 'utf8'));
  expect(saved).toEqual({ version: 1, ...result.choice });
  expect(readdirSync(folder).filter((name) => name.startsWith('compose-tune-'))).toEqual([]);
  const { pipeline, artifact } = await pack('tuned');
  expect(pipeline).toEqual({ workers: result.best.workers, window: result.best.window });
  expect([artifact.level, artifact.chunk]).toEqual([result.best.level, result.best.chunk]);
});

test('a saved choice yields to flags and to --no-tuning; a damaged one is warned of', async () => {
  const path = join(folder, 'mine');
  await mkdir(path);
  await writeFile(join(path, 'tuning.json'), '{"version":1,"level":1,"chunk":524288,"workers":1,"window":7}');
  const tuned = await pack('mine');
  expect([tuned.artifact.level, tuned.artifact.chunk, tuned.pipeline]).toEqual([1, 524288, { workers: 1, window: 7 }]);
  const flagged = await pack('mine', '--level', '3', '--window', '2', '--chunk', '1M');
  expect([flagged.artifact.level, flagged.artifact.chunk, flagged.pipeline]).toEqual([
    3,
    MIB,
    { workers: 1, window: 2 },
  ]);
  const none = await pack('mine', '--no-tuning');
  expect([none.artifact.level, none.artifact.chunk]).toEqual([5, MIB]);
  await writeFile(join(path, 'tuning.json'), '{');
  const damaged = await pack('mine');
  expect(damaged.status).toBe(0);
  expect(damaged.stderr).toContain('tuning.json is ignored');
  expect(damaged.sha256).toBe(none.sha256);
});

test('a budget, a sample or a disk that cannot be is refused and leaves nothing', async () => {
  const zeros = join(folder, 'zeros.raw');
  await writeFile(zeros, '');
  await truncate(zeros, MIB);
  for (const [args, message] of [
    [[disk, '--budget', '0'], /0 seconds/],
    [[disk, '--runs', '1.5'], /1.5 times/],
    [[disk, '--sample', 'all'], /no size/],
    [[zeros], /nothing but zeros/],
  ] as const) {
    const { status, stderr } = await run('none', 'bench', ...args, '--out', join(folder, 'nothing'));
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  }
  expect(existsSync(join(folder, 'nothing'))).toBe(false);
});
