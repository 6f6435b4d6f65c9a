import { constants, copyFile, link, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PublishError } from '../errors.ts';
import type { Context } from '../events.ts';
import { packagesText } from '../formats/package-list.ts';
import { makeFolder } from '../host/make-folder.ts';
import { reapPath } from '../host/reaper.ts';
import { FILE_TYPES } from '../pack/filetypes.ts';
import { writeWhole } from '../pack/sink.ts';
import { inspect } from '../verify/inspect-artifact.ts';
import type { Hashed } from './candidate.ts';
import { ITEM_KINDS, type Item } from './stream-documents.ts';

/**
 * Puts an artifact and the list of its packages into the tree, under `folder`. A file system that has both gets a hard link.
 * @throws PublishError `stream.write`
 */
export async function placeItems(
  image: Hashed,
  root: string,
  folder: string,
  context: Context,
): Promise<Record<string, Item>> {
  const kind = ITEM_KINDS[image.filetype];
  const path = `${folder}/${kind}`;
  try {
    await place(image.path, join(root, path));
    // MAAS 3.8 takes no product without a manifest, and looks into none.
    const manifest = await writeWhole(join(root, folder, 'manifest'), await packageList(image, context), 0o644);
    const { size, sha256 } = manifest;
    return {
      manifest: { ftype: 'manifest', path: `${folder}/manifest`, sha256, size },
      [kind]: { ftype: kind, path, sha256: image.sha256, size: image.size },
    };
  } catch (cause) {
    context.signal.throwIfAborted();
    const { code, message } = cause as NodeJS.ErrnoException;
    if (typeof code !== 'string' || !/^E[A-Z]+$/.test(code)) throw cause;
    throw new PublishError('stream.write', `Cannot write into the stream: ${message}`, {
      hint: 'Name a folder you may write to with --out.',
      cause,
    });
  }
}

/** A link, or a copy where there can be none; whole under its name or not there. */
async function place(from: string, to: string): Promise<void> {
  await makeFolder(dirname(to));
  const partial = `${to}.partial`;
  using _held = reapPath(partial);
  await rm(partial, { force: true });
  try {
    await link(from, partial);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await copyFile(from, partial, constants.COPYFILE_FICLONE);
  }
  await rename(partial, to);
}

/** The list `compose build` wrote beside the artifact, or what the artifact itself says. */
async function packageList(image: Hashed, context: Context): Promise<string> {
  const beside = image.path.slice(0, -FILE_TYPES[image.filetype].suffix.length);
  const written = `${beside}packages.txt`;
  if (await stat(written).catch(() => undefined)) return readFile(written, 'utf8');
  const { system } = await inspect(image.path, context);
  return packagesText(system === undefined ? [] : [system]);
}

/** Whether a version of the tree has this image. */
export function holds(items: Readonly<Record<string, Item>>, image: Hashed): boolean {
  const item = items[ITEM_KINDS[image.filetype]];
  return item?.sha256 === image.sha256 && item.size === image.size;
}
