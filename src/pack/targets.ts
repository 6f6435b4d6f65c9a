/** Where the artifacts go, and where they must not. */
import { lstat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { identityOf } from '../disk/file-identity.ts';
import type { Disk } from '../disk/open.ts';
import { PackError, UsageError } from '../errors.ts';
import { FILE_TYPES, type FileType } from './filetypes.ts';
import type { PackOptions } from './pack-options.ts';

/** Bytes of a name between slashes: 255 less what is put around it, the longest of which is a record under its temporary name. */
const LONGEST = 200;

/** Absolute path of the artifact of `filetype`. */
export function artifactPath({ out, name }: Pick<PackOptions, 'out' | 'name'>, filetype: FileType): string {
  return join(resolve(out), `${name}.${FILE_TYPES[filetype].suffix}`);
}

/**
 * Refuses a base name that leads out of the folder of the artifacts, or that neither a file nor a line of SHA256SUMS can have.
 * @throws UsageError `pack.name`
 */
export function checkName(name: string): void {
  const why = nameProblem(name);
  if (why === undefined) return;
  throw new UsageError('pack.name', `Cannot name the artifacts ${JSON.stringify(name)}: ${why}`, {
    hint: 'The name is the beginning of each file in the folder of --out: --name web-node makes web-node.tar.gz.',
  });
}

function nameProblem(name: string): string | undefined {
  const parts = name.split('/');
  if (name === '') return 'it is empty';
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'it has control characters';
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return 'it is not below the folder';
  return parts.some((part) => Buffer.byteLength(part) > LONGEST) ? `it is longer than ${LONGEST} bytes` : undefined;
}

/**
 * Refuses to put an artifact in the place of what it is made of.
 * @throws PackError `pack.over-source`
 */
export async function checkTargets(options: PackOptions, disk: Disk): Promise<void> {
  for (const filetype of options.filetypes) {
    const path = artifactPath(options, filetype);
    // A link at that place is replaced, not followed.
    const there = await lstat(path, { bigint: true }).catch(() => undefined);
    if (there === undefined || !disk.files.some(({ identity }) => identity === identityOf(there))) continue;
    throw new PackError('pack.over-source', `Cannot write ${path}: it is the disk that is packed, or a part of it`, {
      hint: 'Choose another folder with --out, or another name with --name.',
    });
  }
}
