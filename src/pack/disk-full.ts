import { statfs } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { PackError } from '../errors.ts';
import { humanSize } from '../formats/human.ts';

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The error of a disk without room for `path`, of which `written` bytes are there; undefined where `cause` is another one. */
export async function diskFull(path: string, cause: unknown, written?: number): Promise<PackError | undefined> {
  if (!NO_SPACE.has((cause as NodeJS.ErrnoException).code ?? '')) return undefined;
  const folder = dirname(path);
  const facts = [await roomIn(folder), ...(written === undefined ? [] : [`${humanSize(written)} written so far`])];
  return new PackError('pack.disk-full', `Cannot write ${basename(path)}: ${folder} is full (${facts.join(', ')})`, {
    hint: 'Free some space or choose another folder with --out. Nothing was left under the final name.',
    cause,
  });
}

/** A file system may have no inode left, and bytes enough. */
async function roomIn(folder: string): Promise<string> {
  const fs = await statfs(folder).catch(() => undefined);
  if (fs !== undefined && fs.files > 0 && fs.ffree === 0) return 'no inode free';
  return `${humanSize(fs === undefined ? 0 : fs.bavail * fs.bsize)} free`;
}
