/** The last step of Azure Linux run by its own shell, with the mounts of the installed system in fakes. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);

let folder = '';
const put = async (path: string, text: string, mode = 0o644): Promise<void> => {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
  await chmod(join(folder, path), mode);
};
const read = (path: string): Promise<string> => readFile(join(folder, path), 'utf8');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-azurelinux-finish-'));
  await mkdir(join(folder, 'tmp'));
  // Of the root file system, `below` is what the EFI system partition is mounted over.
  await mkdir(join(folder, 'below'));
  await put('root/boot/efi/EFI/BOOT/bootx64.efi', 'shim');
  await put('root/boot/efi/EFI/azurelinux/grubx64.efi', 'grub');
  await put('root/boot/efi/boot/grub2/grub.cfg', "of the build's disk");
  await put('root/etc/default/grub', 'GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0 quiet"\n');
  await put('root/root/compose/installed.sh', 'x');
  await put(
    'bin/mount',
    `#!/bin/sh\n[ "$1 $2" = "--bind ${folder}/root/" ]\nrmdir "$3"; ln -s ${folder}/below "$3"\n`,
    0o755,
  );
  await put('bin/umount', '#!/bin/sh\nrm "$1"; mkdir "$1"\n', 0o755);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function finish(mounts: string): Promise<void> {
  await put('mounts', mounts);
  const env = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    TMPDIR: join(folder, 'tmp'),
    COMPOSE_ROOT: join(folder, 'root'),
    COMPOSE_MOUNTS: join(folder, 'mounts'),
  };
  await run(join(packageRoot(), 'recipes/azurelinux/finish.sh'), [], { env });
}

test("the vendor's loaders are in the tree, which has no EFI system partition, and the build's menu is not", async () => {
  const mounts = '/dev/vda2 / ext4 rw 0 0\n/dev/vda1 /boot/efi vfat rw 0 0\n';
  // An operator's steps come behind it, and then it runs again.
  await finish(mounts);
  await finish(mounts);
  expect(await read('below/boot/efi/EFI/BOOT/bootx64.efi')).toBe('shim');
  expect(await read('below/boot/efi/EFI/azurelinux/grubx64.efi')).toBe('grub');
  await expect(read('below/boot/efi/boot/grub2/grub.cfg')).rejects.toThrow('ENOENT');
});

test('the console of the build and what the installer was told are gone', async () => {
  await finish('/dev/vda2 / ext4 rw 0 0\n');
  expect(await read('root/etc/default/grub')).toBe('GRUB_CMDLINE_LINUX_DEFAULT=" quiet"\n');
  await expect(read('root/root/compose/installed.sh')).rejects.toThrow('ENOENT');
});
