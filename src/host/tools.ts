import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian and Ubuntu packages of the programs compose runs. */
const PACKAGES: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-system-aarch64': 'qemu-system-arm',
  'qemu-img': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  mformat: 'mtools',
  mcopy: 'mtools',
  mmd: 'mtools',
  gpgv: 'gpgv',
  newuidmap: 'uidmap',
  xz: 'xz-utils',
  'qemu-aarch64-static': 'qemu-user-static',
  'qemu-x86_64-static': 'qemu-user-static',
};

/** The package that brings `tool`, or the tool's own name where it is not known. */
export function packageOf(tool: string): string {
  return PACKAGES[tool] ?? tool;
}

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Absolute path of a program on PATH, or in the system folders an unprivileged PATH leaves out; undefined if absent. */
export function which(tool: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const folders = [...(env.PATH ?? '').split(delimiter).filter(Boolean), ...SYSTEM_FOLDERS];
  for (const folder of folders) {
    const path = join(folder, tool);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
