import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { NO_SMALL_IMAGE, smallBuild, smallImage, smallRecipe } from '../../fixtures/small-image.ts';

const note = NO_SMALL_IMAGE === undefined ? '' : ` (skipped: no ${NO_SMALL_IMAGE})`;
const LONG = 180_000;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-build-parallel-'));
  if (NO_SMALL_IMAGE === undefined) await smallImage(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A file of an artifact. */
const inside = (artifact: string, path: string): string =>
  execFileSync('tar', ['-xzOf', artifact, path], { encoding: 'utf8' });
const filesOf = (name: string): string[] => [
  `${name}-amd64.build.json`,
  `${name}-amd64.tar.gz`,
  `${name}-amd64.tar.gz.maas.json`,
];

test.skipIf(note !== '')(
  `two recipes are built at once: each artifact is its own, and one SHA256SUMS has both${note}`,
  async () => {
    const recipes = [
      await smallRecipe(folder, 'first', ['{ shell: echo first >/srv/who }']),
      await smallRecipe(folder, 'second', ['{ shell: echo second >/srv/who }']),
    ];
    const { args, env, out, state } = smallBuild(folder, recipes, ['--jobs', '2', '--log', 'ndjson']);
    const { status, stdout, stderr } = await compose(args, { env });
    expect(status, stderr).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['SHA256SUMS', ...filesOf('first'), ...filesOf('second')]);
    for (const name of ['first', 'second']) {
      expect(inside(join(out, `${name}-amd64.tar.gz`), './srv/who')).toBe(`${name}\n`);
      const manifest = JSON.parse(readFileSync(join(out, `${name}-amd64.build.json`), 'utf8'));
      expect(manifest).toMatchObject({ recipe: name, guest: { argv: expect.arrayContaining([`compose-${name}`]) } });
      expect(stdout).toContain(`== ${name}: done after`);
    }
    expect(readFileSync(join(out, 'SHA256SUMS'), 'utf8').trimEnd().split('\n')).toHaveLength(2);
    execFileSync('sha256sum', ['--quiet', '--check', 'SHA256SUMS'], { cwd: out });
    // At once indeed: both guests booted before either build was over.
    const events = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const boots = events.flatMap((one, at) => (one.phase === 'boot' && one.state === 'start' ? [at] : []));
    const over = events.findIndex((one) => one.type === 'log' && one.message.startsWith('done in'));
    expect(boots.filter((at) => at < over)).toHaveLength(2);
    const builds = new Set(events.filter((one) => one.phase === 'boot').map((one) => one.build));
    expect(builds).toEqual(new Set(['first', 'second']));
    expect(readdirSync(join(state, 'runs'))).toEqual([]);
    expect(readdirSync(join(folder, 'cache/media'))).toHaveLength(1);
  },
  LONG,
);

test.skipIf(note !== '')(
  `one of two that fails keeps its own run, gives the exit status, and does no harm to the other${note}`,
  async () => {
    const recipes = [
      await smallRecipe(folder, 'first', ['{ shell: sleep 2; echo first >/srv/who }']),
      await smallRecipe(folder, 'broken', ['{ name: break, shell: echo it is broken >&2; exit 3 }']),
    ];
    const { args, env, out, state } = smallBuild(folder, recipes, ['--jobs', '2']);
    const { status, stdout, stderr } = await compose(args, { env });
    expect(status, stderr).toBe(6);
    expect(stdout).toContain('== first: done after');
    expect(stdout).toMatch(/== broken: failed after .*\nerror: /);
    expect(stdout).toContain('it is broken');
    expect(readdirSync(out).sort()).toEqual(['SHA256SUMS', ...filesOf('first')]);
    expect(inside(join(out, 'first-amd64.tar.gz'), './srv/who')).toBe('first\n');
    execFileSync('sha256sum', ['--quiet', '--check', 'SHA256SUMS'], { cwd: out });
    const runs = readdirSync(join(state, 'runs'));
    expect(runs).toEqual([expect.stringContaining('-broken-')]);
    expect(stderr).toContain(`${runs[0]}; compose debug ${runs[0]} boots its guest again`);
    expect(existsSync(join(state, 'runs', runs[0] ?? '', 'disk.qcow2'))).toBe(true);
  },
  LONG,
);
