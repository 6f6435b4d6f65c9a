import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { scratch } from '../../fixtures/ext4-image.ts';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);
// On a new machine the base disk is made first.
const MINUTES = 60_000;

test(
  'an interrupt while the guest boots ends with 130 and leaves nothing',
  async () => {
    await using folder = await scratch();
    const to = join(folder.path, 'out');
    const args = ['build', 'debian-12', '--source', 'packages', '--out', to, '--log', 'ndjson'];
    const child = spawn(process.execPath, [join(packageRoot(), 'dist/src/cli/main.js'), ...args], {
      env: { ...process.env, COMPOSE_STATE: join(folder.path, 'state') },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const before = said;
      said += text;
      const boots = /"phase":"boot","state":"start"/;
      // Once: a second interrupt means not to wait for the clean end.
      if (boots.test(said) && !boots.test(before)) child.kill('SIGINT');
    });
    expect(await ended, said.slice(-2000)).toBe(130);
    expect(existsSync(to) ? readdirSync(to) : []).toEqual([]);
    const runs = join(folder.path, 'state/runs');
    expect(existsSync(runs) ? readdirSync(runs) : []).toEqual([]);
    const { stdout } = await run('pgrep', ['-fc', runs]).catch(() => ({ stdout: '0' }));
    expect(Number(stdout)).toBe(0);
  },
  15 * MINUTES,
);
