import { setTimeout as delay } from 'node:timers/promises';
import { PublishError } from '../errors.ts';
import type { Context } from '../events.ts';
import type { Hashed } from './candidate.ts';
import { type Remote, versionOf } from './send-bytes.ts';

/**
 * Waits until every region controller has the image, which is when MAAS 3.5 and later deploy it; earlier versions have it
 * with the last byte. The bytes are all at MAAS by now, so an end of the waiting deletes nothing.
 * @throws PublishError `publish.stalled`, `publish.gone`
 */
export async function waitComplete(id: number, image: Hashed, remote: Remote, context: Context): Promise<void> {
  let last = '';
  let since = performance.now();
  for (;;) {
    const version = versionOf(await remote.images.read(id, context.signal), image.sha256);
    if (version === undefined) {
      throw new PublishError('publish.gone', `Cannot wait for ${image.name}: somebody deleted it from MAAS`);
    }
    if (version.complete) return;
    const done = Math.round(((version.progress ?? 0) * image.size) / 100);
    context.emit({ type: 'progress', phase: 'regions', done, total: image.size, unit: 'bytes' });
    if (String(version.progress) !== last) [last, since] = [String(version.progress), performance.now()];
    if (performance.now() - since > remote.limits.stallMs) throw stalled(image, last);
    await delay(remote.limits.pollMs, undefined, { signal: context.signal }).catch(() => {});
    context.signal.throwIfAborted();
  }
}

function stalled(image: Hashed, progress: string): PublishError {
  return new PublishError(
    'publish.stalled',
    `Cannot finish the upload of ${image.name}: MAAS has all bytes, but its regions do not share them (${progress} %)`,
    {
      hint: 'Look whether all region controllers run: maas $PROFILE region-controllers read. The image stays in MAAS and is deployable when they have it.',
    },
  );
}
