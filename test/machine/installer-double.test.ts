import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type DoubleVendor,
  type InstallerDouble,
  installedMarker,
  installerDouble,
  targetDisk,
} from '../../fixtures/installer-double.ts';
import { haveTools } from '../../fixtures/qemu-disk.ts';
import { quietContext } from '../../src/events.ts';
import { serveAnswers } from '../../src/host/answer-server.ts';
import { liftFromIso } from '../../src/machine/installer-media.ts';
import { describeIso } from '../../src/machine/iso-describe.ts';
import { type RunningMachine, startMachine } from '../../src/machine/start.ts';
import { appendToInitrd } from '../../src/seed/initrd.ts';
import { type SeedKind, seedVolume } from '../../src/seed/volume.ts';

const LONG = 300_000;
const MIB = 1024 * 1024;
const HAVE = haveTools('xorriso');
const why = HAVE ? '' : ' (xorriso is not installed)';
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const PRESEED = text('d-i debian-installer/locale string en_US.UTF-8\nd-i passwd/root-login boolean false\n');
const KICKSTART = text('text\nrootpw --lock\n%packages\n@core\n%end\n');
const AUTOINSTALL = text('#cloud-config\nautoinstall:\n  version: 1\n');
const META = text('instance-id: double\n');

let folder = '';
const doubles = new Map<DoubleVendor, InstallerDouble>();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-double-'));
  if (!HAVE) return;
  for (const vendor of ['debian', 'rhel', 'ubuntu'] as const)
    doubles.set(vendor, await installerDouble(folder, vendor));
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Run {
  readonly machine: RunningMachine;
  readonly target: string;
}

/** Lifts kernel and initrd from the double's ISO and starts them with a command line of compose's own; nothing is typed. */
async function boot(
  vendor: DoubleVendor,
  name: string,
  options: {
    readonly append: string;
    readonly initrdFiles?: Parameters<typeof appendToInitrd>[1];
    readonly seed?: Uint8Array;
    readonly network?: boolean;
  },
): Promise<Run> {
  const { iso } = doubles.get(vendor) as InstallerDouble;
  const runDir = join(folder, name);
  await mkdir(runDir);
  const lifted = await liftFromIso(iso, {}, runDir, quietContext());
  let initrd = lifted.initrd.path;
  if (options.initrdFiles !== undefined) {
    initrd = join(runDir, 'initrd-with-answers');
    await appendToInitrd(lifted.initrd.path, options.initrdFiles, initrd, quietContext());
  }
  const target = await targetDisk(join(runDir, 'target.raw'));
  const seed = join(runDir, 'seed.img');
  if (options.seed !== undefined) await writeFile(seed, options.seed);
  const machine = await startMachine(
    {
      name: `double-${name}`,
      arch: 'amd64',
      memory: 256 * MIB,
      cpus: 1,
      firmware: 'bios',
      ssh: options.network ?? false,
      disks: [
        { path: target, format: 'raw', scratch: true },
        { path: iso, format: 'raw', readOnly: true },
        ...(options.seed === undefined ? [] : [{ path: seed, format: 'raw' as const, readOnly: true }]),
      ],
      kernel: { image: lifted.kernel.path, initrd, append: `console=ttyS0 panic=-1 ${options.append}` },
    },
    { runDir, policy: 'tcg' },
    quietContext(),
  );
  return { machine, target };
}

/** What the double installed, once it has powered itself off. */
async function installed({ machine, target }: Run): Promise<Record<string, string> | undefined> {
  const says = new Promise<never>((_, reject) => {
    const timer = setInterval(() => {
      if (!machine.serial.tail().some((line) => line.includes('waiting for somebody to type'))) return;
      reject(new Error(machine.serial.tail(8).join('\n')));
    }, 100);
    machine.failure.catch(() => {}).finally(() => clearInterval(timer));
  });
  await Promise.race([machine.failure, says]).catch((error) => {
    expect(error).toMatchObject({ code: 'machine.powered-off' });
  });
  return installedMarker(target);
}

const expected = (vendor: DoubleVendor, via: string, answers: Uint8Array): Record<string, string> => ({
  vendor,
  via,
  size: String(answers.length),
  sha256: digest(answers),
});

test.skipIf(!HAVE)(`the doubles look like what they stand for${why}`, async () => {
  for (const [vendor, { iso, volumeId }] of doubles) {
    const found = await describeIso(iso);
    expect(found).toMatchObject({ volumeId, installer: { system: vendor, arch: 'amd64' }, udf: false });
    expect(found.bootImages.map(({ platform, bootable }) => [platform, bootable])).toEqual([
      ['bios', true],
      ['efi', true],
    ]);
  }
});

test.skipIf(!HAVE)(
  `Debian's installer takes preseed.cfg from the initrd it was appended to${why}`,
  async () => {
    const initrdFiles = [{ path: 'preseed.cfg', content: PRESEED }];
    const run = await boot('debian', 'initrd', { append: 'auto=true priority=critical', initrdFiles });
    await using _ = run.machine;
    expect(await installed(run)).toEqual(expected('debian', 'initrd', PRESEED));
  },
  LONG,
);

test.skipIf(!HAVE)(
  `Debian's installer fetches preseed.cfg over HTTP through QEMU's user network${why}`,
  async () => {
    await using server = await serveAnswers([{ name: 'preseed.cfg', content: PRESEED }], quietContext());
    const append = `auto=true priority=critical preseed/url=${server.guestUrl}preseed.cfg`;
    const run = await boot('debian', 'http', { append, network: true });
    await using _ = run.machine;
    expect(await installed(run)).toEqual(expected('debian', 'http', PRESEED));
    expect(server.asked.get('preseed.cfg')).toBe(1);
    expect(server.refused).toBe(0);
  },
  LONG,
);

test.skipIf(!HAVE)(
  `an installer that was not told where its answers are never asks for them, and that can be told${why}`,
  async () => {
    await using server = await serveAnswers([{ name: 'preseed.cfg', content: PRESEED }], quietContext());
    const run = await boot('debian', 'silent', { append: 'auto=true priority=critical', network: true });
    await using _ = run.machine;
    await expect(installed(run)).rejects.toThrow();
    expect(run.machine.serial.tail().join('\n')).toContain('Select a language');
    expect(() => server.assertAsked()).toThrow(expect.objectContaining({ code: 'installer.never-asked' }));
    expect(await installedMarker(run.target)).toBeUndefined();
  },
  LONG,
);

const VOLUMES: readonly (readonly [
  vendor: DoubleVendor,
  kind: SeedKind,
  files: Readonly<Record<string, Uint8Array>>,
  append: string,
  via: string,
])[] = [
  [
    'rhel',
    'oemdrv',
    { 'ks.cfg': KICKSTART },
    'inst.stage2=hd:LABEL=Rocky-9-4-x86_64-dvd inst.ks=hd:LABEL=OEMDRV:/ks.cfg',
    'volume',
  ],
  ['rhel', 'oemdrv-fat', { 'ks.cfg': KICKSTART }, 'inst.stage2=hd:LABEL=Rocky-9-4-x86_64-dvd', 'oemdrv'],
  ['ubuntu', 'autoinstall', { 'user-data': AUTOINSTALL, 'meta-data': META }, 'autoinstall', 'cidata'],
  ['ubuntu', 'autoinstall-fat', { 'user-data': AUTOINSTALL, 'meta-data': META }, 'autoinstall', 'cidata'],
];
for (const [vendor, kind, files, append, via] of VOLUMES) {
  test.skipIf(!HAVE)(
    `${vendor} finds its answers on a volume of kind ${kind}${why}`,
    async () => {
      const members = Object.entries(files).map(([path, content]) => ({ path, content }));
      const run = await boot(vendor, `${vendor}-${kind}`, { append, seed: seedVolume(kind, members).image });
      await using _ = run.machine;
      const [answers] = Object.values(files);
      expect(await installed(run)).toEqual(expected(vendor, via, answers ?? new Uint8Array(0)));
    },
    LONG,
  );
}
