import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);
const hooks = (name: string): string => join(packageRoot(), 'recipes/el', name);

let folder = '';
const target = (path: string): string => join(folder, 'target', path);
const put = async (path: string, text: string, mode = 0o644): Promise<void> => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  await chmod(path, mode);
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-el-hooks-'));
  await put(target('etc/fstab'), 'of the image\n');
  await put(target('etc/os-release'), 'NAME="A system"\nID="anew"\nID_LIKE="fedora"\n');
  await put(target('etc/default/grub'), 'GRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n');
  await put(target('boot/efi/EFI/anew/shimx64.efi'), 'shim');
  await put(target('boot/efi/EFI/anew/grubx64.efi'), 'grub');
  await put(target('boot/efi/EFI/BOOT/fbx64.efi'), 'fallback');
  await put(target('curtin/curtin-hooks'), '');
  await put(
    join(folder, 'cmdline'),
    'BOOT_IMAGE=x initrd=y console=ttyS1,115200n8 quiet ip=dhcp BOOTIF=01-52-54-00-12-34-56 --- iommu="on" a$b\n',
  );
  // Stands for curtin's own command, which would enter the target: what it is asked to run is written down.
  const fake = [
    '#!/bin/sh',
    'shift; shift; [ "$1" = -- ] && shift',
    `printf '%s\\n' "$*" >> "${folder}/calls"`,
    'case "$*" in *"$FAIL_ON"*) exit 3;; esac',
    `case "$1" in rpm) echo "$RHEL" ;; findmnt) echo 1111-2222 ;; esac`,
  ];
  await put(join(folder, 'bin/curtin'), `${fake.join('\n')}\n`, 0o755);
  // Of the deployment environment, where the target is mounted.
  await put(join(folder, 'bin/findmnt'), '#!/bin/sh\necho /dev/vdz1\n', 0o755);
  await put(
    join(folder, 'bin/lsblk'),
    '#!/bin/sh\ncase "$*" in *UUID*) echo 1111-2222 ;; *) echo vdz ;; esac\n',
    0o755,
  );
  await put(
    join(folder, 'bin/cat'),
    '#!/bin/sh\ncase "$1" in /sys/class/block/*) echo 3 ;; *) exec /bin/cat "$@" ;; esac\n',
    0o755,
  );
  // Stands for curtin's library.
  await put(join(folder, 'lib/curtin/__init__.py'), '');
  await put(join(folder, 'lib/curtin/distro.py'), "DISTRO_TO_OSFAMILY = {'rocky': 'redhat'}\n");
  await put(join(folder, 'lib/curtin/config.py'), 'def load_command_config(args, state):\n    return {"of": state}\n');
  await put(join(folder, 'lib/curtin/util.py'), 'def load_command_environment():\n    return "the environment"\n');
  await put(join(folder, 'lib/curtin/commands/__init__.py'), '');
  await put(
    join(folder, 'lib/curtin/commands/curthooks.py'),
    `def builtin_curthooks(cfg, target, state):\n    open("${folder}/calls", "a").write("built in: %s %s\\n" % (cfg, state))\n`,
  );
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Deployment {
  readonly program?: string;
  readonly uefi?: boolean;
  readonly fstab?: string;
  readonly config?: unknown;
  readonly failOn?: string;
  /** What rpm says of %rhel. */
  readonly rhel?: string;
}

/** Runs the hooks as curtin does, with TARGET_MOUNT_POINT, CONFIG and OUTPUT_FSTAB in the environment. */
async function deploy(how: Deployment): Promise<{ calls: string[]; stderr: string; failed: boolean }> {
  const env: NodeJS.ProcessEnv = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    PYTHONPATH: join(folder, 'lib'),
    TARGET_MOUNT_POINT: join(folder, 'target'),
    COMPOSE_FIRMWARE_DIR: how.uefi ? folder : join(folder, 'no-efi'),
    COMPOSE_CMDLINE: join(folder, 'cmdline'),
    FAIL_ON: how.failOn ?? 'nothing at all',
    RHEL: how.rhel ?? '%rhel',
  };
  if (how.config !== undefined) {
    env.CONFIG = join(folder, 'config');
    await writeFile(env.CONFIG, JSON.stringify(how.config));
  }
  if (how.fstab !== undefined) {
    env.OUTPUT_FSTAB = join(folder, 'fstab');
    await writeFile(env.OUTPUT_FSTAB, how.fstab);
  }
  const ended = await run(hooks(how.program ?? 'curtin-hooks'), [], { env }).then(
    ({ stderr }) => ({ stderr, failed: false }),
    (error: { stderr: string }) => ({ stderr: error.stderr, failed: true }),
  );
  const calls = await readFile(join(folder, 'calls'), 'utf8').catch(() => '');
  return { ...ended, calls: calls.split('\n').filter(Boolean) };
}

const STORAGE = { storage: { config: [{ type: 'disk', path: '/dev/sda', grub_device: true }, { type: 'format' }] } };
const read = (path: string): Promise<string> => readFile(target(path), 'utf8');

test("a tree that curtin knows gets curtin's own steps, and nothing of ours", async () => {
  await writeFile(target('etc/os-release'), 'ID="rocky"\n');
  const { calls, failed, stderr } = await deploy({ uefi: true, fstab: 'x\n', config: STORAGE, rhel: '9' });
  expect(failed, stderr).toBe(false);
  expect(calls).toEqual(['rpm -E %rhel', "built in: {'of': 'the environment'} the environment"]);
  expect(await read('etc/fstab')).toBe('of the image\n');
  expect(await readdir(target(''))).not.toContain('curtin');
});

test('a tree on UEFI gets fstab, a menu, its own loaders with a fallback, and the entry of the firmware', async () => {
  const { calls, failed, stderr } = await deploy({ uefi: true, fstab: 'of MAAS\n', config: STORAGE });
  expect(failed, stderr).toBe(false);
  expect(await read('etc/fstab')).toBe('of MAAS\n');
  expect(calls).toEqual([
    'rpm -E %rhel',
    'grub2-mkconfig -o /boot/grub2/grub.cfg',
    'findmnt -n -o UUID --target /boot',
    'efibootmgr --create --disk /dev/vdz --part 3 --label anew --loader \\EFI\\anew\\shimx64.efi',
  ]);
  expect(await read('boot/efi/EFI/anew/grub.cfg')).toBe(
    'search --no-floppy --fs-uuid --set=dev 1111-2222\nset prefix=($dev)/boot/grub2\nexport $prefix\nconfigfile $prefix/grub.cfg\n',
  );
  expect(await read('boot/efi/EFI/BOOT/BOOTX64.EFI')).toBe('shim');
  expect(await read('boot/efi/EFI/BOOT/grub.cfg')).toBe(await read('boot/efi/EFI/anew/grub.cfg'));
  expect(await readdir(target(''))).toContain('.autorelabel');
  expect(await readdir(target(''))).not.toContain('curtin');
});

test('a tree on BIOS installs GRUB on every disk that MAAS marked', async () => {
  const config = { storage: { config: [...STORAGE.storage.config, { path: '/dev/sdb', grub_device: true }] } };
  const { calls } = await deploy({ fstab: 'x\n', config });
  expect(calls.slice(1)).toEqual([
    'grub2-install --target=i386-pc --recheck /dev/sda',
    'grub2-install --target=i386-pc --recheck /dev/sdb',
    'grub2-mkconfig -o /boot/grub2/grub.cfg',
  ]);
  const none = await deploy({ fstab: 'x\n', config: { storage: { config: [] } } });
  expect(none.stderr).toContain('no disk is marked grub_device');
});

test("the consoles of the deployment and what stands behind the dashes come to the kernel's command line, quoted", async () => {
  await deploy({ uefi: true, fstab: 'x\n', config: STORAGE });
  const { stdout } = await run('sh', ['-c', `. ${target('etc/default/grub')}; echo "$GRUB_CMDLINE_LINUX_DEFAULT"`]);
  expect(stdout).toBe('rd.auto=1 console=ttyS1,115200n8 iommu="on" a$b\n');
});

test('a tree without loaders for UEFI fails and says so', async () => {
  await rm(target('boot/efi/EFI/anew'), { recursive: true });
  const { failed, stderr } = await deploy({ uefi: true, fstab: 'x\n', config: STORAGE });
  expect(failed).toBe(true);
  expect(stderr).toContain('no boot loader for UEFI');
});

test('a step that fails in the target fails the deployment with its command', async () => {
  const { failed, stderr } = await deploy({ uefi: true, fstab: 'x\n', config: STORAGE, failOn: 'grub2-mkconfig' });
  expect(failed).toBe(true);
  expect(stderr).toContain('failed in the target: grub2-mkconfig');
});

for (const program of ['curtin-hooks', 'curtin-hooks-el6']) {
  test(`${program}: a disk keeps fstab and boot loader; MAAS's credentials reach cloud-init, for root alone`, async () => {
    await mkdir(target('etc/sysconfig/network-scripts'), { recursive: true });
    const cloudconfig = { 'maas-datasource': { path: 'x', content: 'datasource: {MAAS: {}}\n' } };
    const { calls, failed, stderr } = await deploy({ program, uefi: true, config: { cloudconfig, ...STORAGE } });
    expect(failed, stderr).toBe(false);
    expect(calls).toEqual([]);
    expect(await read('etc/fstab')).toBe('of the image\n');
    const place = 'etc/cloud/cloud.cfg.d/95-cloudconfig-maas-datasource.cfg';
    expect(await read(place)).toBe('datasource: {MAAS: {}}\n');
    expect((await stat(target(place))).mode & 0o777).toBe(0o600);
    expect(await readdir(target(''))).not.toContain('curtin');
  });
}

test("Enterprise Linux 6 gets GRUB Legacy's menu, the card it was started by, and what old kernels want mounted", async () => {
  await put(target('boot/vmlinuz-2.6.32-754.el6.x86_64'), '');
  await put(target('boot/vmlinuz-2.6.32-71.el6.x86_64'), '');
  await put(target('boot/initramfs-2.6.32-754.el6.x86_64.img'), '');
  await put(target('boot/grub/stage1'), '');
  await put(target('etc/sysconfig/network-scripts/ifcfg-lo'), '');
  const { calls, failed, stderr } = await deploy({
    program: 'curtin-hooks-el6',
    fstab: '/dev/x / ext4 defaults 0 1\n',
    failOn: 'no such',
  });
  expect(failed, stderr).toBe(false);
  expect(calls).toHaveLength(1);
  expect(calls[0]).toContain('grub --batch');
  expect(await read('boot/grub/grub.conf')).toContain(
    '\troot (hd0,2)\n\tkernel /boot/vmlinuz-2.6.32-754.el6.x86_64 ro root=UUID=1111-2222 iommu="on" a$b\n\tinitrd /boot/initramfs-2.6.32-754.el6.x86_64.img\n',
  );
  expect(await read('etc/sysconfig/network-scripts/ifcfg-eth0')).toContain('HWADDR=52:54:00:12:34:56\n');
  const fstab = await read('etc/fstab');
  for (const one of ['/dev/x / ext4', 'devpts /dev/pts', 'sysfs /sys', 'proc /proc']) expect(fstab).toContain(one);
  expect(await readdir(target(''))).toContain('.autorelabel');
});
