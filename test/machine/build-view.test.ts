import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rfbView } from '../../fixtures/rfb.ts';
import { NO_SMALL_IMAGE, smallBuild, smallImage, smallRecipe } from '../../fixtures/small-image.ts';
import type { Picture } from '../../src/formats/ppm.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { attach } from '../../src/machine/attach.ts';
import { findRunning } from '../../src/machine/running.ts';
import { differs } from '../../src/machine/screen.ts';
import { readTextScreen, textLines } from '../../src/machine/screen-text.ts';
import { until } from '../../src/machine/watch.ts';

const note = NO_SMALL_IMAGE === undefined ? '' : ` (skipped: no ${NO_SMALL_IMAGE})`;
const LONG = 120_000;
const { signal } = new AbortController();

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-build-view-'));
  if (NO_SMALL_IMAGE === undefined) await smallImage(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Files under `path` that have `text` in them. */
function filesWith(path: string, text: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const file = join(path, name);
    return statSync(file).isFile() && readFileSync(file).includes(text);
  });
}

const KINDS: readonly [flag: string, log: string, view: RegExp][] = [
  ['--view', 'plain', /vncviewer (?<path>\/\S+)\n {2}password (?<password>\S+),/],
  ['--view-port', 'ndjson', /"address":"127\.0\.0\.1:(?<port>\d+)","password":"(?<password>[^"]+)"/],
];

test.skipIf(note !== '').each(KINDS)(
  `compose build %s --log %s: a viewer with the password sees the guest's screen, and nothing else has the password${note}`,
  async (flag, log, view) => {
    const recipe = await smallRecipe(folder, 'small', ['{ shell: sleep 2; echo small >/srv/who }']);
    const { args, env, out, state } = smallBuild(folder, [recipe], [flag, '--log', log, '--verbose', '--keep-run']);
    const child = spawn(process.execPath, [join(packageRoot(), 'dist/src/cli/main.js'), ...args], {
      env: { ...process.env, ...env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        said[stream] += text;
      });
    }
    const told = await until(async () => view.exec(said.stderr)?.groups, { limitMs: LONG / 2, everyMs: 50, signal });
    const { path, port, password = '' } = told ?? {};
    const at = path === undefined ? { host: '127.0.0.1', port: Number(port) } : { path };
    expect(await rfbView(at, 'wrong123')).toBe('refused');
    expect(await rfbView(at, '')).toBe('refused');
    const admitted = await rfbView(at, password);
    if (admitted === 'refused') throw new Error(`refused with the password:\n${said.stderr}`);
    await using viewer = admitted;
    await using attached = await attach(await findRunning(undefined, { COMPOSE_STATE: state }), signal);
    const lines = async (picture: Picture): Promise<string[]> => {
      const text = await readTextScreen(attached.screen, picture);
      return text === undefined ? [] : textLines(text);
    };
    const seen = await until(
      async () => {
        const picture = await viewer.look();
        return (await lines(picture)).includes('small-image is up') ? picture : undefined;
      },
      { limitMs: LONG / 2, everyMs: 100, signal },
    );
    expect(seen, said.stderr).toBeDefined();
    // What QEMU itself says the screen shows.
    expect(differs(seen!, await attached.screen.take())).toBe(false);
    // It was for one viewer.
    expect(await rfbView(at, password)).toBe('refused');
    expect(await ended, said.stderr).toBe(0);
    // Once, for who asked; in no event, no log, no record.
    expect(said.stderr.split(password)).toHaveLength(2);
    expect(said.stdout).not.toContain(password);
    const [run = ''] = readdirSync(join(state, 'runs'));
    const logs = readdirSync(join(state, 'runs', run));
    expect(logs).toEqual(expect.arrayContaining(['qmp.log', 'qemu.sh', 'run.json', 'serial.log', 'ssh.log']));
    expect([...filesWith(join(state, 'runs', run), password), ...filesWith(out, password)]).toEqual([]);
    const qmp = readFileSync(join(state, 'runs', run, 'qmp.log'), 'utf8');
    expect(qmp).toMatch(/"execute":"set_password".*\*\*\*/);
    // The screenshots that are taken all the while do not hide what else there is.
    expect(qmp).not.toContain('screendump');
    expect(logs).toContain('screenshots');
  },
  LONG,
);
