import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { recordOn } from '../../fixtures/doubles/record.ts';
import { type LiveServer, liveServer, NO_SUCH_PACKAGE } from '../../fixtures/doubles/subiquity.ts';
import { smallSystem } from '../../fixtures/small-system.ts';
import type { ComposeEvent } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import { plan } from '../../src/recipe/plan.ts';

const run = promisify(execFile);
const LONG = 300_000;
const HAVE = ['dropbearconvert', 'mke2fs'].every((tool) => which(tool) !== undefined);
const why = HAVE ? '' : ' (skipped: needs dropbear, mke2fs)';

let folder = '';
let system = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-live-server-'));
  system = join(folder, 'small.raw');
  if (HAVE) await smallSystem(folder, system);
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The entry as it is; its machine is smaller, and its CD drive is one that the double's kernel has a driver for. */
async function recipe(entry: string, layout: string): Promise<string> {
  const path = join(folder, entry, `${layout}.yaml`);
  await mkdir(join(folder, entry), { recursive: true });
  const installer = `{ memory: 384M, media_interface: scsi }`;
  const over = `machine: { memory: 256M, cpus: 1, disk: 192M }\n    sources: { installer: ${installer} }`;
  await writeFile(path, `extends: ${entry}\nname: ${entry}\nlayouts:\n  ${layout}:\n    ${over}\n`);
  return path;
}

const CASES: readonly (readonly [entry: string, layout: string, media: LiveServer])[] = [
  ['ubuntu-20.04', 'flat', { release: '20.04.6', codename: 'Focal Fossa', sources: false }],
  ['ubuntu-22.04', 'lvm', { release: '22.04.5', codename: 'Jammy Jellyfish', sources: true }],
  ['ubuntu-24.04', 'flat', { release: '24.04.2', codename: 'Noble Numbat', sources: true }],
  ['ubuntu-26.04', 'lvm', { release: '26.04', codename: 'Resolute Raccoon', sources: true }],
];

describe.skipIf(!HAVE)(`the live server${why}`, () => {
  test.each(CASES)(
    '%s in the layout %s is built from the ISO to the artifact, with the answers that were planned',
    async (entry, layout, media) => {
      const path = await recipe(entry, layout);
      const at = join(folder, entry);
      const iso = join(at, `ubuntu-${media.release}-live-server-amd64.iso`);
      await liveServer(iso, media, system);
      const env = { COMPOSE_STATE: join(at, 'state'), COMPOSE_CACHE: join(at, 'cache') };
      const options = ['--layout', layout, '--iso', iso, '--set', 'packages=vim,tmux'];
      const built = await compose(
        ['build', path, ...options, '--out', join(at, 'out'), '--accelerator', 'tcg', '--log', 'plain'],
        { env },
      );
      expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
        status: 0,
        stderr: '',
      });
      const planned = plan({ recipe: path, layout, iso, set: ['packages=vim,tmux'] });
      if (planned.source.kind !== 'installer') throw new Error('another source');
      const [answers] = planned.source.answers;
      const base = readdirSync(join(at, 'cache/base')).find((name) => name.endsWith('.qcow2')) ?? '';
      const { cmdline, ...given } = await recordOn(join(at, 'cache/base', base));
      expect(given).toEqual(Object.fromEntries(answers?.files.map(({ path, content }) => [path, content]) ?? []));
      expect(cmdline?.trim().split(/\s+/)).toEqual(expect.arrayContaining(['autoinstall', 'console=ttyS0']));
      if (layout === 'flat') {
        const { stdout } = await run('tar', ['-tzf', join(at, 'out', `${entry}-flat-amd64.tar.gz`)]);
        expect(stdout.split('\n')).toEqual(expect.arrayContaining(['./curtin/curtin-hooks', './boot/vmlinuz']));
      } else {
        await run('gzip', ['-t', join(at, 'out', `${entry}-lvm-amd64.dd.gz`)]);
      }
    },
    LONG,
  );

  test(
    'a failed installation ends the build at once with what the installer said',
    async () => {
      const path = await recipe('ubuntu-24.04', 'flat');
      const at = join(folder, 'failing');
      await mkdir(at);
      const iso = join(at, 'ubuntu-24.04.2-live-server-amd64.iso');
      await liveServer(iso, { release: '24.04.2', codename: 'Noble Numbat', sources: true }, system);
      const env = { COMPOSE_STATE: join(at, 'state'), COMPOSE_CACHE: join(at, 'cache') };
      const options = ['--layout', 'flat', '--iso', iso, '--set', `packages=${NO_SUCH_PACKAGE}`];
      const started = performance.now();
      const built = await compose(
        ['build', path, ...options, '--out', join(at, 'out'), '--accelerator', 'tcg', '--log', 'ndjson'],
        { env },
      );
      expect(built.status).toBe(5);
      expect(built.stderr).toContain('subiquity');
      expect(built.stderr).toContain(`Unable to locate package ${NO_SUCH_PACKAGE}`);
      const events = built.stderr.split('\n').flatMap((line): ComposeEvent[] => {
        try {
          return [JSON.parse(line) as ComposeEvent];
        } catch {
          return [];
        }
      });
      expect(events.some((event) => event.type === 'phase' && event.phase === 'boot')).toBe(false);
      expect(performance.now() - started).toBeLessThan(LONG / 2);
    },
    LONG,
  );
});
