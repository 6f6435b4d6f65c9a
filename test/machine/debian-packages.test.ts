/**
 * Debian built from packages, restored onto a larger disk and booted. By default the one case that no other test has: a
 * root on LVM, of debian-12. `COMPOSE_PROVE=debian-11,debian-12,debian-13 npx vitest run test/machine/debian-packages.test.ts`
 * takes every release, layout and firmware; half an hour of emulation.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootedDisk, bootDisk } from '../../fixtures/boot-disk.ts';
import { compose } from '../../fixtures/cli.ts';
import { deployTree } from '../../fixtures/deploy-tree.ts';

const run = promisify(execFile);
const MINUTES = 60_000;
const GIB = 1024 ** 3;
/** The images have 3 GiB. */
const LARGER = 5 * GIB;

const wanted = (process.env.COMPOSE_PROVE ?? '').split(',').filter(Boolean);
const RELEASES = ['debian-11', 'debian-12', 'debian-13'];
const everything = wanted.length > 0;
const LAYOUTS = ['lvm', 'flat'] as const;

for (const release of RELEASES) {
  for (const layout of LAYOUTS) {
    const byDefault = release === 'debian-12' && layout === 'lvm';
    const runs = everything ? wanted.includes(release) : byDefault;
    const why = runs ? '' : ` (skipped: COMPOSE_PROVE=${release} runs it)`;
    describe.skipIf(!runs)(`${release} on ${layout} from packages${why}`, () => prove(release, layout));
  }
}

function prove(release: string, layout: (typeof LAYOUTS)[number]): void {
  const name = layout === 'lvm' ? `${release}-lvm-amd64` : `${release}-amd64`;
  let folder = '';
  let out = '';
  let restored = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'compose-prove-'));
    out = join(folder, 'out');
    restored = join(folder, 'restored.raw');
    const formats = layout === 'lvm' ? 'ddgz' : 'tgz,ddgz';
    const args = ['build', release, '--source', 'packages', '--layout', layout, '--format', formats, '--out', out];
    const built = await compose([...args, '--log', 'plain'], { env: { COMPOSE_STATE: join(folder, 'state') } });
    if (built.status !== 0) throw new Error(`the build failed:\n${built.stderr}`);
    const artifact = join(out, `${name}.dd.gz`);
    await run('bash', ['-euc', 'zcat "$1" | dd bs=4M conv=sparse of="$2" status=none', 'bash', artifact, restored]);
  }, 20 * MINUTES);

  afterAll(() => rm(folder, { recursive: true, force: true }), MINUTES);

  test(
    'the ddgz on a larger disk boots by UEFI until cloud-init is done, and its root has grown to the end',
    async () => {
      await using booted = await bootDisk(restored, 'raw', { size: LARGER });
      await healthy(booted);
      const { stdout } = await booted.session.run('findmnt -nbo SOURCE,SIZE / && lsblk -nbdo SIZE /dev/vda2');
      const [source, size, partition] = stdout.trim().split(/\s+/);
      expect(Number(partition)).toBeGreaterThan(LARGER - 70 * 1024 ** 2);
      expect(Number(size)).toBeGreaterThan(4.6 * GIB);
      if (layout === 'flat') return expect(source).toBe('/dev/vda2');
      expect(source).toBe('/dev/mapper/system-root');
      const left = await booted.session.run('vgs --noheadings --nosuffix --units b -o vg_free system');
      expect(Number(left.stdout)).toBe(0);
      const again = await booted.session.run('grow-root');
      expect(again.stdout).toContain('/dev/mapper/system-root has all of /dev/vda');
      return undefined;
    },
    10 * MINUTES,
  );

  test.skipIf(!everything)(
    'the ddgz boots by BIOS too',
    async () => {
      await using booted = await bootDisk(restored, 'raw', { firmware: 'bios' });
      await healthy(booted);
      expect((await booted.session.exec('test -e /sys/firmware/efi')).exitCode).toBe(1);
    },
    10 * MINUTES,
  );

  test.skipIf(!everything || layout === 'lvm')(
    'the tgz, extracted as curtin does onto a disk of its own, boots until cloud-init is done',
    async () => {
      const disk = join(folder, 'deployed.raw');
      await deployTree(join(out, `${name}.tar.gz`), disk, 4 * GIB);
      await using booted = await bootDisk(disk, 'raw');
      await healthy(booted);
    },
    10 * MINUTES,
  );
}

/** cloud-init is content, no unit failed, the machine has an identity of its own, and MAAS's checks pass. */
async function healthy({ cloudInit, session }: BootedDisk): Promise<void> {
  expect(cloudInit).toBe('done');
  const failed = await session.run('systemctl --failed --no-legend --plain | cut -d" " -f1');
  expect(failed.stdout.trim()).toBe('');
  expect((await session.run('cat /etc/machine-id')).stdout.trim()).toMatch(/^[0-9a-f]{32}$/);
  expect((await session.run('netplan info && cloud-init --version')).exitCode).toBe(0);
  expect((await session.run('getent ahosts localhost && test -x /curtin/curtin-hooks')).exitCode).toBe(0);
}
