import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { random as randomFrom } from '../../fixtures/fuzz.ts';
import { GONE_WITHIN_MS, type Place, place, processesOf } from '../../fixtures/lifetime-place.ts';
import { NO_SMALL_IMAGE, smallBuild, smallImage, smallRecipe } from '../../fixtures/small-image.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { which } from '../../src/host/tools.ts';

const note = NO_SMALL_IMAGE === undefined ? '' : ` (skipped: no ${NO_SMALL_IMAGE})`;
const LONG = 120_000;

/** Moments of a build: so long at most after this phase began, ms. */
const MOMENTS: readonly [signal: NodeJS.Signals, phase: string, within: number][] = [
  ['SIGINT', 'acquire', 300],
  ['SIGHUP', 'prepare', 300],
  ['SIGTERM', 'start', 1000],
  ['SIGKILL', 'boot', 4000],
  ['SIGTERM', 'boot', 4000],
  ['SIGINT', 'wait', 1000],
  ['SIGHUP', 'power off', 150],
  ['SIGKILL', 'tgz', 150],
];

let folder = '';
let recipe = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compose-lifetime-build-'));
  if (NO_SMALL_IMAGE !== undefined) return;
  await smallImage(folder);
  recipe = await smallRecipe(folder, 'small', ['{ name: wait, shell: sleep 1; echo small >/srv/who }'], {
    tpm: which('swtpm') !== undefined,
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A whole `compose build`, and what it tells while it runs. */
function start({ tmp, out }: Place, onEvent: (event: { type: string; phase?: string; state?: string }) => void) {
  const { args, env } = smallBuild(folder, [recipe], ['--log', 'ndjson'], out);
  const child = spawn(process.execPath, [join(packageRoot(), 'dist/src/cli/main.js'), ...args], {
    // The cache is shared: a download that was cut short is kept there on purpose, to go on from.
    env: { ...process.env, ...env, TMPDIR: tmp, COMPOSE_STATE: join(tmp, 'state') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (said + text).split('\n');
    said = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('{')) onEvent(JSON.parse(line));
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, ended };
}

/** Files and folders of this place but the empty ones that every build makes. */
function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name !== 'state' && name !== join('state', 'runs'))
    .sort();
}

const random = randomFrom(20_27);
for (const [index, [signal, phase, within]] of MOMENTS.entries()) {
  const after = random() % within;
  test.skipIf(note !== '')(
    `a build that gets ${signal} ${after} ms after ${phase} began leaves no process, socket or file within five seconds${note}`,
    async () => {
      const where = place(folder, String(index));
      let begun = (): void => {};
      const moment = new Promise<void>((resolve) => {
        begun = resolve;
      });
      const { child, ended } = start(where, (event) => {
        if (event.type === 'phase' && event.state === 'start' && event.phase?.endsWith(phase)) begun();
      });
      const over = await Promise.race([moment, ended]);
      expect(over, `the build ended before ${phase}`).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, after));
      child.kill(signal);
      const left = (): unknown => ({
        processes: processesOf(where),
        temporary: filesIn(where.tmp),
        out: filesIn(where.out),
      });
      await expect
        .poll(left, { timeout: GONE_WITHIN_MS, interval: 50 })
        .toEqual({ processes: [], temporary: [], out: [] });
      expect(await ended).toBe(signal === 'SIGKILL' ? null : 130);
    },
    LONG,
  );
}

test.skipIf(note !== '')(
  `a build after all these works, and leaves its artifact alone${note}`,
  async () => {
    const where = place(folder, 'next');
    expect(await start(where, () => {}).ended).toBe(0);
    await expect.poll(() => [processesOf(where), filesIn(where.tmp)], { timeout: GONE_WITHIN_MS }).toEqual([[], []]);
    const files = ['SHA256SUMS', 'small-amd64.build.json', 'small-amd64.tar.gz', 'small-amd64.tar.gz.maas.json'];
    expect(filesIn(where.out)).toEqual(files);
    const who = execFileSync('tar', ['-xzOf', join(where.out, 'small-amd64.tar.gz'), './srv/who'], {
      encoding: 'utf8',
    });
    expect(who).toBe('small\n');
    const { artifacts } = JSON.parse(readFileSync(join(where.out, 'small-amd64.build.json'), 'utf8'));
    expect(artifacts).toHaveLength(1);
    expect(readdirSync(join(folder, 'cache/media'))).toEqual([expect.stringMatching(/^sha256-/)]);
  },
  LONG,
);
