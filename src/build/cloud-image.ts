/** The cloud image of a plan, on this host: downloaded, or the operator's own file. */
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { RecipeError, SourceError } from '../errors.ts';
import type { Context } from '../events.ts';
import { fetchMedia, fileDigest } from '../host/download.ts';
import type { PlannedCloudImage } from '../recipe/plan-cloudimg.ts';
import type { AcquiredBase } from './acquired-base.ts';

/** First bytes of a qcow2 image (docs/interop/qcow2.rst). */
const QCOW2 = '514649fb';

/**
 * @throws RecipeError `cloudimg.image`; SourceError `cloudimg.unreadable`, `cloudimg.format`, `download.checksum` and those of
 *   downloads
 */
export async function cloudImage(source: PlannedCloudImage, recipe: string, context: Context): Promise<AcquiredBase> {
  const { url, sums, algorithm, file, digest: expected } = source;
  if (url !== undefined && sums !== undefined) {
    const media = await fetchMedia({ url, digest: { algorithm, sums } }, context);
    const input = { kind: 'cloudimg', url, [algorithm]: media.digest, size: media.size };
    return { path: media.path, format: 'qcow2', fromCache: media.fromCache, input };
  }
  if (file === undefined) {
    throw new RecipeError('cloudimg.image', `Cannot build ${recipe}: it was planned without its image`, {
      hint: 'Name the image with --image FILE.',
    });
  }
  const size = await sizeOfQcow2(file);
  const digest = await fileDigest(file, algorithm, context);
  if (expected !== undefined && digest !== expected) {
    throw new SourceError(
      'download.checksum',
      `Cannot use ${basename(file)}: its ${algorithm} is not the expected one`,
      {
        hint: "Compare the file's size with the vendor's, and get it again.",
        evidence: { file, expected, actual: digest },
      },
    );
  }
  const input = { kind: 'cloudimg', image: basename(file), [algorithm]: digest, size };
  return { path: file, format: 'qcow2', fromCache: false, input };
}

/** @throws SourceError `cloudimg.unreadable`, `cloudimg.format` */
async function sizeOfQcow2(file: string): Promise<number> {
  await using handle = await open(file, 'r').catch((cause: Error) => {
    throw new SourceError('cloudimg.unreadable', `Cannot read the image ${file}: ${cause.message}`, {
      hint: 'Name the file with --image FILE.',
      cause,
    });
  });
  const head = Buffer.alloc(QCOW2.length / 2);
  const { bytesRead } = await handle.read(head, 0, head.length, 0).catch((cause: Error) => {
    throw new SourceError('cloudimg.unreadable', `Cannot read the image ${file}: ${cause.message}`, { cause });
  });
  if (head.toString('hex', 0, bytesRead) === QCOW2) return (await handle.stat()).size;
  throw new SourceError('cloudimg.format', `Cannot use ${basename(file)}: it is no qcow2 image`, {
    hint: 'Convert it first: qemu-img convert -O qcow2 FILE OTHER; a compressed one is unpacked before.',
  });
}
