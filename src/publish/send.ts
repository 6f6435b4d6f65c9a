import { InterruptedError, isComposeError, PublishError } from '../errors.ts';
import type { Context } from '../events.ts';
import type { Image } from './boot-resources.ts';
import type { Candidate, Hashed } from './candidate.ts';
import { pause } from './limits.ts';
import { MaasError } from './maas-errors.ts';
import { type Remote, sendBytes, versionOf } from './send-bytes.ts';

/** Failures after which the same upload, begun anew, may work: MAAS forgot where it was, or holds other bytes. */
const RESTARTS = new Set(['publish.lost-position', 'publish.damaged', 'publish.broken', 'publish.server']);

/**
 * Creates an image that is not there and sends its bytes. However it ends, MAAS has the whole image with the same digest or
 * nothing of it.
 * @returns number of the image
 * @throws PublishError `publish.leftover` when MAAS cannot be brought to delete what a failed upload left; MaasError
 */
export async function sendImage(image: Hashed, remote: Remote, context: Context): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    let id: number | undefined;
    try {
      const made = await create(image, remote, context);
      id = made.id;
      await fill(made, image, remote, context);
      return id;
    } catch (error) {
      await discardOrTell(id, image, remote, error, context);
      context.signal.throwIfAborted();
      const again = isComposeError(error) && RESTARTS.has(error.code) && attempt <= remote.limits.restarts;
      if (!again) throw error;
      const message = `${image.name}: ${error.message}; what was sent is deleted, beginning anew`;
      context.emit({ type: 'log', level: 'warn', message });
    }
  }
}

/** A POST whose answer is lost may have made an image: what it made is deleted before the next try. */
async function create(image: Hashed, remote: Remote, context: Context): Promise<Image> {
  const fields = {
    name: image.name,
    title: image.title,
    architecture: image.architecture,
    filetype: image.filetype,
    sha256: image.sha256,
    size: String(image.size),
    ...(image.baseImage === '' ? {} : { base_image: image.baseImage }),
  };
  for (let attempt = 1; ; attempt++) {
    context.signal.throwIfAborted();
    try {
      // Not ended by an interruption: MAAS could make the image after it was looked for in order to be deleted.
      return await remote.images.create(fields, new AbortController().signal);
    } catch (error) {
      if (!(error instanceof MaasError) || error.outcome === 'refused' || attempt >= remote.limits.tries) throw error;
      await pause(error, attempt, remote.limits, context.signal);
      if (error.outcome === 'unknown') await discard(undefined, image, remote, context.signal);
    }
  }
}

async function fill(made: Image, image: Hashed, remote: Remote, context: Context): Promise<void> {
  const version = versionOf(made, image.sha256);
  if (version === undefined) {
    throw new PublishError('publish.digest', `Cannot upload ${image.file}: MAAS made an image of another digest`, {
      evidence: { expected: image.sha256, told: made.versions.map(({ sha256 }) => sha256) },
    });
  }
  // MAAS 3.4 and earlier know bytes they already have by their digest.
  if (!version.complete) {
    if (version.uploadUri === undefined) {
      throw new PublishError('publish.digest', `Cannot upload ${image.file}: MAAS does not say where its bytes go`);
    }
    const { path, size, sha256 } = image;
    await sendBytes({ path, size, sha256, image: made, uploadUri: version.uploadUri }, remote, context);
  }
  const held = versionOf(await remote.images.read(made.id, context.signal), image.sha256);
  if (held?.size === image.size) return;
  throw new PublishError('publish.digest', `Cannot upload ${image.file}: MAAS has another image than was sent`, {
    hint: 'Somebody else may upload under this name. What was sent is deleted; run the command again.',
    evidence: { expected: `${image.sha256}, ${image.size} bytes`, told: held && `${held.sha256}, ${held.size} bytes` },
  });
}

/** Deletes what a failed upload left, also when the failure is an interruption; when that fails too, says what is left. */
async function discardOrTell(
  id: number | undefined,
  image: Hashed,
  remote: Remote,
  error: unknown,
  context: Context,
): Promise<void> {
  const nothing = error instanceof MaasError && id === undefined && error.outcome !== 'unknown';
  if (nothing && !context.signal.aborted) return;
  const signal = AbortSignal.timeout(remote.limits.cleanupMs);
  try {
    await discard(id, image, remote, signal);
  } catch (cause) {
    const hint = `Part of it may be in MAAS. When MAAS is well, run: compose upload --delete ${image.name} --architecture ${image.architecture}`;
    if (context.signal.aborted) {
      const why = `Cannot finish: interrupted, and what was sent of ${image.name} could not be deleted`;
      throw new InterruptedError('publish.leftover', why, { hint, cause });
    }
    throw new PublishError(
      'publish.leftover',
      `Cannot upload ${image.file}, nor delete what was sent of ${image.name}`,
      {
        hint,
        cause: error,
        evidence: { deleting: cause instanceof Error ? cause.message : String(cause) },
      },
    );
  }
}

/** Deletes image `id`, or whatever of this name, architecture and digest an unanswered request made. */
async function discard(id: number | undefined, image: Hashed, remote: Remote, signal: AbortSignal): Promise<void> {
  if (id !== undefined) return remote.images.remove(id, signal);
  const alike = (await remote.images.list(signal)).filter((one) => isSame(one, image));
  for (const { id: found } of alike) {
    if (versionOf(await remote.images.read(found, signal), image.sha256) === undefined) continue;
    await remote.images.remove(found, signal);
  }
}

/** Whether `one` is what an upload of `image` would add to. */
export function isSame(one: Image, { name, architecture }: Pick<Candidate, 'name' | 'architecture'>): boolean {
  return one.type === 'Uploaded' && one.name === name && one.architecture === architecture;
}
