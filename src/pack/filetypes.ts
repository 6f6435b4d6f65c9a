import { UsageError } from '../errors.ts';

/** What MAAS takes as `filetype` of an upload (maasserver/forms, upload choices), and how each is made. */
export interface FileTypeRow {
  readonly content: 'tree' | 'disk' | 'disk-in-tar';
  readonly compression: 'gzip' | 'bzip2' | 'xz' | 'none';
  readonly suffix: string;
}

export const FILE_TYPES = {
  tgz: { content: 'tree', compression: 'gzip', suffix: 'tar.gz' },
  tbz: { content: 'tree', compression: 'bzip2', suffix: 'tar.bz2' },
  txz: { content: 'tree', compression: 'xz', suffix: 'tar.xz' },
  ddtgz: { content: 'disk-in-tar', compression: 'gzip', suffix: 'dd.tar.gz' },
  ddtbz: { content: 'disk-in-tar', compression: 'bzip2', suffix: 'dd.tar.bz2' },
  ddtxz: { content: 'disk-in-tar', compression: 'xz', suffix: 'dd.tar.xz' },
  ddtar: { content: 'disk-in-tar', compression: 'none', suffix: 'dd.tar' },
  ddbz2: { content: 'disk', compression: 'bzip2', suffix: 'dd.bz2' },
  ddgz: { content: 'disk', compression: 'gzip', suffix: 'dd.gz' },
  ddxz: { content: 'disk', compression: 'xz', suffix: 'dd.xz' },
  ddraw: { content: 'disk', compression: 'none', suffix: 'dd' },
} as const satisfies Record<string, FileTypeRow>;

export type FileType = keyof typeof FILE_TYPES;

/**
 * Filetypes named in `names`, each once, in order.
 * @throws UsageError `filetype.unknown` for one MAAS does not take
 */
export function parseFileTypes(names: readonly string[]): FileType[] {
  const types: FileType[] = [];
  for (const name of names.flatMap((text) => text.split(',')).map((text) => text.trim())) {
    if (!Object.hasOwn(FILE_TYPES, name)) {
      const why = /zst/.test(name) ? 'neither MAAS nor curtin reads zstd' : 'MAAS has no such filetype';
      throw new UsageError('filetype.unknown', `Cannot make "${name}": ${why}`, {
        hint: `MAAS takes ${Object.keys(FILE_TYPES).join(', ')}.`,
      });
    }
    const type = name as FileType;
    if (!types.includes(type)) types.push(type);
  }
  return types;
}
