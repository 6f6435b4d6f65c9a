/** Which files of a tree are read, and how much of them: what the rules look at, and nothing else. */
import { KERNEL_HEAD } from '../formats/executable.ts';
import { DATABASE_LIMIT, isPackageDatabase } from './packages.ts';

export interface Reading {
  /** `initrd`: its members are listed and its bytes forgotten; `text`: settings and leftovers, which are searched as well. */
  readonly as: 'bytes' | 'text' | 'initrd';
  /** Bytes of the file from its beginning. */
  readonly length: number;
}

/** Of a settings file; longer ones are read as far as this. */
export const TEXT_LENGTH = 256 * 1024;
/** Bytes of texts that are kept of one tree. */
export const TEXTS_LIMIT = 128 * 1024 * 1024;
/** A boot loader, whole: shim is told by a name inside it. */
const LOADER_LENGTH = 8 * 1024 * 1024;
const HEAD_LENGTH = 1024;
const INITRD_LIMIT = 512 * 1024 * 1024;

/** Settings, homes, and where programs of the operator's own and leftovers lie. */
const TEXTS =
  /^(?:etc|root|home|opt|srv|tmp|curtin|usr\/local|var\/(?:tmp|log|spool|www|crash|lib\/(?:cloud|dhcp|dhclient|NetworkManager|systemd|docker|jenkins)))\//;
/** Of the distribution: who starts cloud-init, what grows the root, and what boots. */
const UNITS =
  /^(?:usr\/)?lib\/(?:systemd\/system\/[^/]*(?:cloud|grow|lvm|repart|resize)[^/]*|repart\.d\/[^/]+)$|^boot\/loader\/entries\/[^/]+\.conf$/;
/** GRUB's settings in an EFI system partition, in whatever case. */
const ESP_SETTINGS = /^(?:boot\/)?efi\/(?:efi\/[^/]+|boot\/grub2)\/grub\.cfg$/i;
const VERSIONS = /\/cloudinit\/version\.py$/;
const LOADERS = /^(?:boot\/efi\/.*\.efi|usr\/lib\/(?:shim|grub)\/.*\.efi(?:\.signed)?)$/i;
/** Programs a deployment calls, and those that tell for which machine the tree is. */
const PROGRAMS =
  /^(?:usr\/(?:local\/)?)?s?bin\/(?:bash|dash|sh|busybox|cloud-init|netplan|systemctl|growpart)$|^(?:usr\/)?lib\/netplan\/[^/]+$/;
const LIBRARIES = /^(?:usr\/)?lib(?:64|32)?\/(?:[^/]+\/)?(?:ld-[^/]*\.so\.\d|libc\.so\.6|libc\.musl-[^/]+)$/;
const KERNELS =
  /^(?:boot\/(?:vmlinu[xz]|Image|linux|zImage|image)[^/]*|(?:usr\/)?lib\/modules\/[^/]+\/(?:vmlinuz|Image))$/;
const INITRDS = /^boot\/(?:initrd|initramfs)[^/]*$/;
/** Rescue and crash kernels bring an initial file system of their own purpose. */
const NOT_FOR_BOOT = /rescue|kdump/;
const BUILT_IN = /^(?:usr\/)?lib\/modules\/[^/]+\/modules\.builtin$/;

/** What is read of the regular file at `path`; undefined for most. */
export function readingOf(path: string): Reading | undefined {
  if (isPackageDatabase(path)) return { as: 'bytes', length: DATABASE_LIMIT };
  if (KERNELS.test(path)) return { as: 'bytes', length: KERNEL_HEAD };
  if (INITRDS.test(path)) return NOT_FOR_BOOT.test(path) ? undefined : { as: 'initrd', length: INITRD_LIMIT };
  if (LOADERS.test(path)) return { as: 'bytes', length: LOADER_LENGTH };
  if (PROGRAMS.test(path) || LIBRARIES.test(path)) return { as: 'bytes', length: HEAD_LENGTH };
  if (BUILT_IN.test(path)) return { as: 'bytes', length: 4 * TEXT_LENGTH };
  if (UNITS.test(path) || VERSIONS.test(path) || ESP_SETTINGS.test(path)) return { as: 'bytes', length: TEXT_LENGTH };
  return TEXTS.test(path) ? { as: 'text', length: TEXT_LENGTH } : undefined;
}
