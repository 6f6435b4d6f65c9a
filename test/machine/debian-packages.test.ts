/**
 * Debian built from packages, restored onto a larger disk and booted. By default the one case that no other test has: a
 * root on LVM, of debian-12. `COMPOSE_PROVE=debian-13,debian-13/arm64 npx vitest run test/machine/debian-packages.test.ts`
 * takes every layout, artifact and firmware of the releases and architectures it names; each is half an hour of emulation.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BootedDisk, bootDisk } from '../../fixtures/boot-disk.ts';
import { compose } from '../../fixtures/cli.ts';
import { deployTree } from '../../fixtures/deploy-tree.ts';
import { ARCHITECTURES, type Arch } from '../../src/machine/arch.ts';

const run = promisify(execFile);
const MINUTES = 60_000;
const GIB = 1024 ** 3;
/** The images have 3 GiB. */
const LARGER = 5 * GIB;

const wanted = (process.env.COMPOSE_PROVE ?? '').split(',').filter(Boolean);
const everything = wanted.length > 0;
const RELEASES = ['debian-11', 'debian-12', 'debian-13'];
const LAYOUTS = ['lvm', 'flat'] as const;

interface Form {
  readonly release: string;
  readonly arch: Arch;
  readonly layout: (typeof LAYOUTS)[number];
}

const forms = RELEASES.flatMap((release) =>
  ARCHITECTURES.flatMap((arch) => LAYOUTS.map((layout): Form => ({ release, arch, layout }))),
);
for (const form of forms) {
  const { release, arch, layout } = form;
  const entry = arch === 'amd64' ? release : `${release}/${arch}`;
  const byDefault = entry === 'debian-12' && layout === 'lvm';
  const runs = everything ? wanted.includes(entry) : byDefault;
  const why = runs ? '' : ` (skipped: COMPOSE_PROVE=${entry} runs it)`;
  describe.skipIf(!runs)(`${release} of ${arch} on ${layout} from packages${why}`, () => prove(form));
}

test.skipIf(!everything)('COMPOSE_PROVE names what there is', () => {
  const known = RELEASES.flatMap((release) => [release, `${release}/arm64`]);
  expect(wanted.filter((entry) => !known.includes(entry))).toEqual([]);
});

function prove({ release, arch, layout }: Form): void {
  const name = layout === 'lvm' ? `${release}-lvm-${arch}` : `${release}-${arch}`;
  const [builds, boots] = arch === 'amd64' ? [30 * MINUTES, 10 * MINUTES] : [60 * MINUTES, 20 * MINUTES];
  let folder = '';
  let out = '';
  let restored = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'compose-prove-'));
    out = join(folder, 'out');
    restored = join(folder, 'restored.raw');
    const formats = layout === 'lvm' ? 'ddgz' : 'tgz,ddgz';
    const what = ['build', release, '--arch', arch, '--source', 'packages', '--layout', layout];
    const how = ['--format', formats, '--out', out, '--log', 'plain'];
    const built = await compose([...what, ...how], { env: { COMPOSE_STATE: join(folder, 'state') } });
    if (built.status !== 0) throw new Error(`the build failed:\n${built.stderr}`);
    const artifact = join(out, `${name}.dd.gz`);
    await run('bash', ['-euc', 'zcat "$1" | dd bs=4M conv=sparse of="$2" status=none', 'bash', artifact, restored]);
  }, builds);

  afterAll(() => rm(folder, { recursive: true, force: true }), MINUTES);

  test('the EFI system partition is no disk with partitions of its own', async () => {
    await using file = await open(restored);
    const { buffer } = await file.read(Buffer.alloc(512), 0, 512, 1024 ** 2);
    expect(buffer.toString('latin1', 82, 87)).toBe('FAT32');
    expect(buffer.subarray(446, 510)).toEqual(Buffer.alloc(64));
  });

  test(
    'the ddgz on a larger disk boots by UEFI until cloud-init is done, and its root has grown to the end',
    async () => {
      await using booted = await bootDisk(restored, 'raw', { arch, size: LARGER });
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
    boots,
  );

  test.skipIf(!everything || arch !== 'amd64')(
    'the ddgz boots by BIOS too',
    async () => {
      await using booted = await bootDisk(restored, 'raw', { arch, firmware: 'bios' });
      await healthy(booted);
      expect((await booted.session.exec('test -e /sys/firmware/efi')).exitCode).toBe(1);
    },
    boots,
  );

  test.skipIf(!everything || layout === 'lvm')(
    'the tgz, extracted as curtin does onto a disk of its own, boots until cloud-init is done',
    async () => {
      const disk = join(folder, 'deployed.raw');
      await deployTree(join(out, `${name}.tar.gz`), disk, 4 * GIB, arch);
      await using booted = await bootDisk(disk, 'raw', { arch });
      await healthy(booted);
    },
    boots,
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
