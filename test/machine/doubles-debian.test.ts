/** Debian from its installation media to an artifact, in a real QEMU, against a double of debian-installer. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALLOW_FLAGS } from '../../fixtures/allows.ts';
import { compose } from '../../fixtures/cli.ts';
import {
  type DebianMedium,
  debianMedium,
  LVM_ROOT,
  NO_SUCH_PACKAGE,
  smallDebian,
} from '../../fixtures/doubles/debian-installer.ts';
import { recordOn } from '../../fixtures/doubles/record.ts';
import { serveFiles } from '../../fixtures/http-servers.ts';
import { which } from '../../src/host/tools.ts';
import { plan } from '../../src/recipe/plan.ts';

const run = promisify(execFile);
const LONG = 300_000;
const HAVE = ['dropbearconvert', 'mke2fs'].every((tool) => which(tool) !== undefined);
const why = HAVE ? '' : ' (skipped: needs dropbear, mke2fs)';

let folder = '';
let system = '';
let lvm = '';
let archive: Awaited<ReturnType<typeof serveFiles>>;
let mirror = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-debian-'));
  system = join(folder, 'small.raw');
  lvm = join(folder, 'small-lvm.raw');
  if (HAVE) {
    await smallDebian(await mkdtemp(join(folder, 'flat-')), system);
    await smallDebian(await mkdtemp(join(folder, 'lvm-')), lvm, LVM_ROOT);
  }
  const suites = ['bullseye', 'bookworm', 'trixie'];
  archive = await serveFiles(new Map(suites.map((suite) => [`/debian/dists/${suite}/Release`, `Suite: ${suite}\n`])));
  // The host's loopback address, as the guest sees it.
  mirror = `http://10.0.2.2:${new URL(archive.url).port}/debian`;
}, LONG);
afterAll(async () => {
  await archive[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Case {
  readonly recipe: string;
  readonly iso: string;
  readonly env: Record<string, string>;
  readonly at: string;
}

/** The entry as it is on a smaller machine, with a CD drive that the double's kernel has a driver for; and its medium. */
async function prepare(entry: string, name: string, medium: DebianMedium): Promise<Case> {
  const at = join(folder, name);
  await mkdir(at);
  const recipe = join(at, `${entry}.yaml`);
  const installer = '{ memory: 384M, media_interface: scsi }';
  const machine = '{ memory: 256M, cpus: 1, disk: 192M }';
  await writeFile(
    recipe,
    `extends: ${entry}\nname: ${entry}\nmachine: ${machine}\nsources: { installer: ${installer} }\n`,
  );
  const iso = join(at, `debian-${medium.release}-amd64-netinst.iso`);
  await debianMedium(iso, medium, { system, lvm });
  return { recipe, iso, at, env: { COMPOSE_STATE: join(at, 'state'), COMPOSE_CACHE: join(at, 'cache') } };
}

const build = ({ recipe, iso, at, env }: Case, more: readonly string[]) =>
  compose(
    [
      'build',
      recipe,
      '--iso',
      iso,
      ...ALLOW_FLAGS,
      ...more,
      '--out',
      join(at, 'out'),
      '--accelerator',
      'tcg',
      '--log',
      'plain',
    ],
    {
      env,
    },
  );

const CUSTOM =
  '# Ours\nd-i time/zone string Asia/Tokyo\nd-i pkgsel/include string \\\n  tmux htop\nd-i base-installer/install-recommends boolean false\n';

describe.skipIf(!HAVE)(`debian-installer${why}`, () => {
  test.each([
    ['debian-12', 'flat', { release: '12.11.0', codename: 'Bookworm' }],
    ['debian-13', 'lvm', { release: '13.1.0', codename: 'Trixie' }],
  ] as const)(
    '%s in the layout %s is built from the ISO to the tgz, with the answers that were planned',
    async (entry, layout, medium) => {
      const made = await prepare(entry, entry, medium);
      const custom = join(made.at, 'custom.cfg');
      await writeFile(custom, CUSTOM);
      const set = ['packages=vim,tmux', `mirror=${mirror}`, 'timezone=Europe/Berlin'];
      const options = ['--layout', layout, '--custom-preseed', custom, '--format', 'tgz'];
      const built = await build(made, [...options, ...set.flatMap((one) => ['--set', one])]);
      expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
        status: 0,
        stderr: '',
      });

      const { recipe, iso, at } = made;
      const planned = plan({ recipe, layout, iso, set, custom: { language: 'preseed', file: custom } });
      if (planned.source.kind !== 'installer') throw new Error('another source');
      const base = readdirSync(join(at, 'cache/base')).find((name) => name.endsWith('.qcow2')) ?? '';
      const { cmdline, ...given } = await recordOn(join(at, 'cache/base', base));
      expect(given).toEqual({ 'preseed.cfg': planned.source.answers[0]?.files[0]?.content });
      expect(given['preseed.cfg']).toContain('d-i time/zone string Asia/Tokyo\n');
      expect(cmdline?.trim().split(/\s+/)).toEqual(
        expect.arrayContaining(['auto=true', 'priority=critical', 'console=ttyS0']),
      );

      const tgz = join(at, 'out', `${entry}${layout === 'lvm' ? '-lvm' : ''}-amd64.tar.gz`);
      const inside = async (path: string): Promise<string> => (await run('tar', ['-xzOf', tgz, `./${path}`])).stdout;
      const { stdout: listed } = await run('tar', ['-tzf', tgz]);
      expect(await inside('curtin/curtin-hooks')).toBe(readFileSync('recipes/debian/curtin-hooks', 'utf8'));
      expect(await inside('boot/grub/grub.cfg'), 'no console of the installation').toBe(
        'linux /vmlinuz root=/dev/vda2 ro quiet\n',
      );
      expect(await inside('etc/default/grub')).not.toContain('serial');
      expect(listed.split('\n'), 'no proxy of the installation').not.toContain('./etc/apt/apt.conf');
      expect(await inside('etc/network/interfaces')).toBe('auto lo\niface lo inet loopback\n');
      expect(await inside('etc/timezone')).toBe('Europe/Berlin\n');
      const calls = await inside('srv/calls');
      expect(calls.includes('systemctl enable grow-root.service')).toBe(layout === 'lvm');
      expect(calls, 'the installer had installed the packages').not.toContain('vim');
    },
    LONG,
  );

  test.each([
    ['a package that is not there', [`packages=${NO_SUCH_PACKAGE}`], '[!!] Select and install software'],
    [
      'a mirror that does not answer',
      ['mirror=http://10.0.2.2:9/debian'],
      '[!!] Choose a mirror of the Debian archive',
    ],
  ] as const)(
    '%s ends the build of debian-11 at once, with what the installer shows',
    async (name, set, shown) => {
      const made = await prepare('debian-11', name.replaceAll(' ', '-'), { release: '11.11.0', codename: 'Bullseye' });
      const all = [`mirror=${mirror}`, ...set].flatMap((one) => ['--set', one]);
      const started = performance.now();
      const built = await build(made, [...all, '--format', 'tgz']);
      expect(built.status).toBe(5);
      expect(built.stderr).toContain('installer.failed');
      expect(built.stderr).toContain(shown);
      expect(readdirSync(join(made.at, 'out'))).toEqual([]);
      expect(performance.now() - started).toBeLessThan(LONG / 2);
    },
    LONG,
  );
});
