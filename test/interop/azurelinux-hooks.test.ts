/** The hooks of Azure Linux run by their own shell, with curtin's command and the mounts of a deployment in fakes. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);

let folder = '';
const target = (path: string): string => join(folder, 'target', path);
const read = (path: string): Promise<string> => readFile(target(path), 'utf8');
const put = async (path: string, text: string, mode = 0o644): Promise<void> => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  await chmod(path, mode);
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-azurelinux-hooks-'));
  await put(target('etc/fstab'), 'of the image\n');
  await put(target('etc/default/grub'), 'GRUB_CMDLINE_LINUX="rd.auto=1"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n');
  await put(target('boot/vmlinuz-6.6.1-1.azl3'), '');
  await put(target('boot/initramfs-6.6.1-1.azl3.img'), '');
  await put(target('boot/efi/EFI/BOOT/bootx64.efi'), 'shim');
  await put(target('curtin/curtin-hooks'), '');
  await put(join(folder, 'cmdline'), 'BOOT_IMAGE=x console=ttyS1,115200n8 quiet --- iommu=on\n');
  // What curtin is asked to run in the target is written down.
  const fake = ['#!/bin/sh', 'shift 3', `printf '%s\\n' "$*" >> "${folder}/calls"`];
  await put(join(folder, 'bin/curtin'), `${fake.join('\n')}\n`, 0o755);
  const mounts = '#!/bin/sh\ncase "$*" in *UUID*) echo 1111-2222 ;; *) echo /dev/vdz1 ;; esac\n';
  await put(join(folder, 'bin/findmnt'), mounts, 0o755);
  await put(join(folder, 'bin/mountpoint'), '#!/bin/sh\n[ -n "$BOOT_IS_MOUNTED" ]\n', 0o755);
  await put(join(folder, 'bin/lsblk'), '#!/bin/sh\necho vdz\n', 0o755);
  await put(join(folder, 'bin/uname'), '#!/bin/sh\necho x86_64\n', 0o755);
  const cat = '#!/bin/sh\ncase "$1" in /sys/class/block/*) echo 1 ;; *) exec /bin/cat "$@" ;; esac\n';
  await put(join(folder, 'bin/cat'), cat, 0o755);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const CONFIG = {
  storage: { config: [{ type: 'disk', path: '/dev/sda', grub_device: true }] },
  cloudconfig: { 'maas-datasource': { path: 'x', content: 'datasource: {MAAS: {}}\n' } },
};

async function deploy(how: { readonly uefi: boolean; readonly tree: boolean; readonly boot?: boolean }) {
  const env: NodeJS.ProcessEnv = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    TARGET_MOUNT_POINT: join(folder, 'target'),
    COMPOSE_FIRMWARE_DIR: how.uefi ? folder : join(folder, 'no-efi'),
    COMPOSE_CMDLINE: join(folder, 'cmdline'),
    BOOT_IS_MOUNTED: how.boot ? 'yes' : '',
    CONFIG: join(folder, 'config'),
    OUTPUT_FSTAB: join(folder, 'fstab'),
  };
  await writeFile(join(folder, 'config'), JSON.stringify(CONFIG));
  await writeFile(join(folder, 'fstab'), how.tree ? 'of MAAS\n' : '');
  const ended = await run(join(packageRoot(), 'recipes/azurelinux/curtin-hooks'), [], { env }).then(
    () => '',
    (error: { stderr: string }) => error.stderr,
  );
  const calls = await readFile(join(folder, 'calls'), 'utf8').catch(() => '');
  return { stderr: ended, calls: calls.split('\n').filter(Boolean) };
}

const DRACUT = 'dracut --force /boot/initramfs-6.6.1-1.azl3.img 6.6.1-1.azl3';

test('a tree on UEFI gets fstab, initrd, menu, the file that leads GRUB to it, and the entry of the firmware', async () => {
  const { calls, stderr } = await deploy({ uefi: true, tree: true });
  expect(stderr).toBe('');
  expect(await read('etc/fstab')).toBe('of MAAS\n');
  expect(calls).toEqual([
    DRACUT,
    'grub2-mkconfig -o /boot/grub2/grub.cfg',
    'efibootmgr --create --disk /dev/vdz --part 1 --label Azure Linux --loader \\EFI\\BOOT\\bootx64.efi',
  ]);
  expect(await read('boot/efi/boot/grub2/grub.cfg')).toBe(
    'search --no-floppy --fs-uuid --set=root 1111-2222\nset bootprefix=/boot\nset prefix=($root)/boot/grub2\nconfigfile $prefix/grub.cfg\n',
  );
  expect(await read('etc/default/grub')).toContain('_DEFAULT="rd.auto=1 console=ttyS1,115200n8 iommu=on"\n');
  expect(await readdir(target(''))).not.toContain('curtin');
});

test('where /boot is a file system of its own, GRUB looks from its root', async () => {
  await deploy({ uefi: true, tree: true, boot: true });
  expect(await read('boot/efi/boot/grub2/grub.cfg')).toContain('set bootprefix=\nset prefix=($root)/grub2\n');
});

test('a tree on BIOS installs GRUB on the disk that MAAS marked', async () => {
  const { calls } = await deploy({ uefi: false, tree: true });
  expect(calls).toEqual([
    DRACUT,
    'grub2-install --target=i386-pc --recheck /dev/sda',
    'grub2-mkconfig -o /boot/grub2/grub.cfg',
  ]);
});

test('a tree without loaders for UEFI fails and says so', async () => {
  await rm(target('boot/efi/EFI'), { recursive: true });
  expect((await deploy({ uefi: true, tree: true })).stderr).toContain('there is no boot loader in /boot/efi/EFI/BOOT');
});

test("a disk keeps fstab and boot loader, and gets MAAS's credentials", async () => {
  const { calls } = await deploy({ uefi: true, tree: false });
  expect(calls).toEqual([]);
  expect(await read('etc/fstab')).toBe('of the image\n');
  expect(await read('etc/cloud/cloud.cfg.d/95-cloudconfig-maas-datasource.cfg')).toBe('datasource: {MAAS: {}}\n');
});
