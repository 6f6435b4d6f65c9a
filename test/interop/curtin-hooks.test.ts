import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);
const hooks = join(packageRoot(), 'recipes/debian/curtin-hooks');

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-hooks-'));
  await mkdir(join(folder, 'target/etc'), { recursive: true });
  await mkdir(join(folder, 'target/curtin'));
  await writeFile(join(folder, 'target/etc/fstab'), 'of the image\n');
  await mkdir(join(folder, 'bin'));
  // Stands for curtin's own command, which would enter the target: what it is asked to run is written down.
  const fake = `#!/bin/sh\nshift; shift; [ "$1" = -- ] && shift; echo "$*" >> "${folder}/calls"\ncase "$*" in *"$FAIL_ON"*) exit 3;; esac\n`;
  await writeFile(join(folder, 'bin/curtin'), fake);
  await chmod(join(folder, 'bin/curtin'), 0o755);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Deployment {
  readonly uefi: boolean;
  readonly fstab?: string;
  readonly config?: unknown;
  readonly failOn?: string;
  /** Files below the target, and those that curtin wrote beside its fstab. */
  readonly target?: Readonly<Record<string, string>>;
  readonly state?: Readonly<Record<string, string>>;
}

/** Runs the hooks as curtin's curthooks stage does: TARGET_MOUNT_POINT, CONFIG and OUTPUT_FSTAB in the environment. */
async function deploy(how: Deployment): Promise<{ calls: string[]; stderr: string; failed: boolean }> {
  const env: NodeJS.ProcessEnv = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    TARGET_MOUNT_POINT: join(folder, 'target'),
    COMPOSE_FIRMWARE_DIR: how.uefi ? folder : join(folder, 'no-efi'),
    FAIL_ON: how.failOn ?? 'nothing at all',
  };
  if (how.config !== undefined) {
    env.CONFIG = join(folder, 'config');
    await writeFile(env.CONFIG, typeof how.config === 'string' ? how.config : JSON.stringify(how.config));
  }
  if (how.fstab !== undefined) {
    env.OUTPUT_FSTAB = join(folder, 'fstab');
    await writeFile(env.OUTPUT_FSTAB, how.fstab);
  }
  for (const [root, files] of [
    [join(folder, 'target'), how.target ?? {}] as const,
    [folder, how.state ?? {}] as const,
  ]) {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content, { mode: 0o755 });
    }
  }
  const ended = await run(hooks, [], { env }).then(
    ({ stderr }) => ({ stderr, failed: false }),
    (error: { stderr: string }) => ({ stderr: error.stderr, failed: true }),
  );
  const calls = await readFile(join(folder, 'calls'), 'utf8').catch(() => '');
  return { ...ended, calls: calls.split('\n').filter(Boolean) };
}

const target = (path: string): string => join(folder, 'target', path);
const STORAGE = { storage: { config: [{ type: 'disk', path: '/dev/sda', grub_device: true }, { type: 'format' }] } };

test('a tar deployment on UEFI gets fstab, GRUB with its fallback path and a menu, and keeps its initramfs', async () => {
  const { calls, failed, stderr } = await deploy({ uefi: true, fstab: 'of MAAS\n', config: STORAGE });
  expect(failed, stderr).toBe(false);
  expect(await readFile(target('etc/fstab'), 'utf8')).toBe('of MAAS\n');
  expect(calls).toEqual([
    'grub-install --target=x86_64-efi --efi-directory=/boot/efi --bootloader-id=debian --recheck',
    'grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram',
    'update-grub',
  ]);
  expect(await readdir(target(''))).not.toContain('curtin');
});

test('a tar deployment on BIOS installs GRUB on every disk that MAAS marked', async () => {
  const config = { storage: { config: [...STORAGE.storage.config, { path: '/dev/sdb', grub_device: true }] } };
  const { calls } = await deploy({ uefi: false, fstab: 'x\n', config });
  expect(calls).toEqual([
    'grub-install --target=i386-pc --recheck /dev/sda',
    'grub-install --target=i386-pc --recheck /dev/sdb',
    'update-grub',
  ]);
});

/** STORAGE with another item, of a kind of curtin's. */
const withKind = (type: string, more: object = {}) => ({
  storage: { config: [...STORAGE.storage.config, { type, ...more }] },
});
const ANEW = 'update-initramfs -u -k all';

test.each([
  [
    'an array',
    withKind('raid'),
    { 'sbin/mdadm': '' },
    { 'mdadm.conf': 'ARRAY /dev/md0 UUID=1\n' },
    'etc/mdadm/mdadm.conf',
  ],
  [
    'an encrypted root',
    withKind('dm_crypt'),
    { 'usr/sbin/cryptsetup': '' },
    { crypttab: 'root UUID=1 none\n' },
    'etc/crypttab',
  ],
] as const)('%s is made known to the initramfs by what curtin wrote of it', async (_, config, files, state, copy) => {
  const { calls, failed, stderr } = await deploy({ uefi: true, fstab: 'x\n', config, target: files, state });
  expect(failed, stderr).toBe(false);
  expect(await readFile(target(copy), 'utf8')).toBe(Object.values(state)[0]);
  expect(calls[0]).toBe(ANEW);
  expect(calls).toHaveLength(4);
});

test.each([
  ['bcache', withKind('bcache'), { 'usr/sbin/make-bcache': '' }],
  ['several paths to a disk', withKind('disk', { multipath: 'mpatha' }), { 'sbin/multipath': '' }],
  [
    'drivers of the building machine only',
    STORAGE,
    {
      'etc/initramfs-tools/initramfs.conf': 'MODULES=most\n',
      'etc/initramfs-tools/conf.d/driver-policy': 'MODULES=dep\n',
    },
  ],
] as const)('the initramfs is built anew for %s', async (_, config, files) => {
  const { calls } = await deploy({ uefi: true, fstab: 'x\n', config, target: files });
  expect(calls[0]).toBe(ANEW);
});

test('LVM and several paths that the image has no tools for need no other initramfs', async () => {
  const { storage } = withKind('lvm_volgroup');
  const config = { storage: { config: [...storage.config, { type: 'disk', multipath: 'mpatha' }] } };
  const files = { 'sbin/lvm': '', 'etc/initramfs-tools/initramfs.conf': 'MODULES=most\n' };
  const { calls, failed, stderr } = await deploy({ uefi: true, fstab: 'x\n', config, target: files });
  expect(failed, stderr).toBe(false);
  expect(calls).not.toContain(ANEW);
});

test.each([
  ['lvm_volgroup', 'lvm2'],
  ['raid', 'mdadm'],
  ['dm_crypt', 'cryptsetup-initramfs'],
  ['bcache', 'bcache-tools'],
])('a layout with %s fails where the image has no program for it, and names the package', async (kind, name) => {
  const { calls, failed, stderr } = await deploy({ uefi: true, fstab: 'x\n', config: withKind(kind) });
  expect(failed).toBe(true);
  expect(stderr).toContain(`the storage layout has ${kind}`);
  expect(stderr).toContain(`package ${name}`);
  expect(calls).toEqual([]);
});

test('a tar deployment on BIOS with no disk marked fails and says so', async () => {
  const { failed, stderr } = await deploy({ uefi: false, fstab: 'x\n', config: { storage: { config: [] } } });
  expect(failed).toBe(true);
  expect(stderr).toContain('no disk is marked grub_device');
});

test('a dd deployment keeps its fstab and boot loader', async () => {
  const { calls, failed } = await deploy({ uefi: true, config: STORAGE });
  expect(failed).toBe(false);
  expect(calls).toEqual([]);
  expect(await readFile(target('etc/fstab'), 'utf8')).toBe('of the image\n');
  expect(await readdir(target(''))).not.toContain('curtin');
});

test("MAAS's credentials and network reach cloud-init, readable by root alone", async () => {
  const network = { version: 2, ethernets: { eno1: { dhcp4: true } } };
  const cloudconfig = { 'maas-datasource': { path: 'x', content: 'datasource: {MAAS: {}}\n' }, plain: 'a: b\n' };
  const { failed, stderr } = await deploy({ uefi: true, config: { cloudconfig, network } });
  expect(failed, stderr).toBe(false);
  const place = target('etc/cloud/cloud.cfg.d');
  expect((await readdir(place)).sort()).toEqual([
    '50-curtin-networking.cfg',
    '95-cloudconfig-maas-datasource.cfg',
    '95-cloudconfig-plain.cfg',
  ]);
  expect(await readFile(join(place, '95-cloudconfig-maas-datasource.cfg'), 'utf8')).toBe('datasource: {MAAS: {}}\n');
  expect(JSON.parse(await readFile(join(place, '50-curtin-networking.cfg'), 'utf8'))).toEqual({ network });
  for (const name of await readdir(place)) expect((await stat(join(place, name))).mode & 0o777).toBe(0o600);
});

test('a network that MAAS disabled is left alone', async () => {
  await deploy({ uefi: true, config: { network: { config: 'disabled' } } });
  expect(await readdir(target('etc/cloud/cloud.cfg.d'))).toEqual([]);
});

test('a step that fails in the target fails the deployment with its command', async () => {
  const how = { uefi: true, fstab: 'x\n', config: STORAGE, failOn: 'update-grub' };
  const { failed, stderr } = await deploy(how);
  expect(failed).toBe(true);
  expect(stderr).toContain('failed in the target: update-grub');
});

test('a configuration that cannot be read fails the deployment', async () => {
  const { failed, stderr } = await deploy({ uefi: true, fstab: 'x\n', config: '{"storage": [' });
  expect(failed).toBe(true);
  expect(stderr).toContain('cannot apply the configuration');
});
