import { UsageError } from '../errors.ts';

/** What MAAS takes as `filetype` of an upload (maasserver/forms, upload choices), and how each is made. */
export interface FileTypeRow {
  readonly content: 'tree' | 'disk' | 'disk-in-tar';
  readonly compression: 'gzip' | 'bzip2' | 'xz' | 'none';
  readonly suffix: string;
  /** Whether this version of compose writes it. */
  readonly written: boolean;
}

export const FILE_TYPES = {
  tgz: { content: 'tree', compression: 'gzip', suffix: 'tar.gz', written: true },
  tbz: { content: 'tree', compression: 'bzip2', suffix: 'tar.bz2', written: true },
  txz: { content: 'tree', compression: 'xz', suffix: 'tar.xz', written: true },
  ddtgz: { content: 'disk-in-tar', compression: 'gzip', suffix: 'dd.tar.gz', written: true },
  ddtbz: { content: 'disk-in-tar', compression: 'bzip2', suffix: 'dd.tar.bz2', written: true },
  ddtxz: { content: 'disk-in-tar', compression: 'xz', suffix: 'dd.tar.xz', written: true },
  ddtar: { content: 'disk-in-tar', compression: 'none', suffix: 'dd.tar', written: true },
  ddbz2: { content: 'disk', compression: 'bzip2', suffix: 'dd.bz2', written: true },
  ddgz: { content: 'disk', compression: 'gzip', suffix: 'dd.gz', written: true },
  ddxz: { content: 'disk', compression: 'xz', suffix: 'dd.xz', written: true },
  ddraw: { content: 'disk', compression: 'none', suffix: 'dd', written: true },
} as const satisfies Record<string, FileTypeRow>;

export type FileType = keyof typeof FILE_TYPES;

/** The filetypes this version writes. */
export const WRITTEN = (Object.keys(FILE_TYPES) as FileType[]).filter((type) => FILE_TYPES[type].written);

/**
 * Filetypes named in `names`, each once, in order.
 * @throws UsageError `filetype.unknown` for one MAAS does not take, `filetype.unwritten` for one compose does not make
 */
export function parseFileTypes(names: readonly string[]): FileType[] {
  const types: FileType[] = [];
  for (const name of names.flatMap((text) => text.split(',')).map((text) => text.trim())) {
    if (!Object.hasOwn(FILE_TYPES, name)) {
      const why = /zst/.test(name) ? 'neither MAAS nor curtin reads zstd' : 'MAAS has no such filetype';
      throw new UsageError('filetype.unknown', `Cannot make "${name}": ${why}`, {
        hint: `MAAS takes ${Object.keys(FILE_TYPES).join(', ')}; compose writes ${WRITTEN.join(', ')}.`,
      });
    }
    const type = name as FileType;
    if (!FILE_TYPES[type].written) {
      throw new UsageError('filetype.unwritten', `Cannot make "${name}": this version compresses with gzip only`, {
        hint: `Choose among ${WRITTEN.join(', ')}.`,
      });
    }
    if (!types.includes(type)) types.push(type);
  }
  return types;
}
