import { DISK_FORMATS, type DiskFormat } from '../disk/image-format.ts';

export interface DiskFormatFlag {
  readonly 'disk-format': DiskFormat | undefined;
}

/** `--disk-format` of the verbs that take a disk image. */
export const diskFormatFlag = {
  'disk-format': { choices: DISK_FORMATS, describe: 'format of the disk image; told by its magic number by default' },
} as const;
