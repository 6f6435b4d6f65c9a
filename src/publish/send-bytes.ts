import { type FileHandle, open } from 'node:fs/promises';
import { PublishError } from '../errors.ts';
import type { Context } from '../events.ts';
import type { BootResources, Image, ImageVersion } from './boot-resources.ts';
import { type Limits, pause } from './limits.ts';
import { MaasError } from './maas-errors.ts';

/** A MAAS that images are sent to. */
export interface Remote {
  readonly images: BootResources;
  readonly limits: Limits;
  /** MAAS tells how many bytes it holds: 3.5 and later with a single region controller. */
  readonly tellsPosition: boolean;
}

/** Bytes to send and where they go. */
export interface Sending {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly image: Image;
  readonly uploadUri: string;
}

/** Below it a server that refuses a request for its size is no server for images. */
const LEAST_CHUNK = 16 * 1024;
const TOLD_MS = 200;

/**
 * Sends a file in order, a chunk at a time. After a break it goes on where MAAS says how much it holds, and that is what was
 * acknowledged, with or without the chunk in question; nothing that was acknowledged is sent again.
 * @throws PublishError `publish.lost-position` when only beginning anew helps; MaasError
 */
export async function sendBytes(sending: Sending, remote: Remote, context: Context): Promise<void> {
  const { size } = sending;
  let { chunkSize } = remote.limits;
  await using file = await open(sending.path);
  const buffer = Buffer.alloc(Math.min(chunkSize, size));
  let told = 0;
  let breaks = 0;
  for (let position = 0; position < size; ) {
    const chunk = await readChunk(file, buffer.subarray(0, Math.min(chunkSize, size - position)), position);
    const next = position + chunk.length;
    try {
      await remote.images.append(sending.uploadUri, chunk, next === size, context.signal);
      position = next;
      breaks = 0;
    } catch (error) {
      if (!(error instanceof MaasError)) throw error;
      if (error.status === 413 && chunkSize > LEAST_CHUNK) {
        // Refused by its length, before MAAS saw it.
        chunkSize = Math.max(LEAST_CHUNK, Math.floor(chunkSize / 2));
        continue;
      }
      if (error.outcome === 'refused' || ++breaks >= remote.limits.tries) throw error;
      await pause(error, breaks, remote.limits, context.signal);
      if (error.outcome === 'not-delivered') continue;
      position = await positionAfterBreak(sending, remote, position, next, error, context);
    }
    if (position < size && performance.now() - told < TOLD_MS) continue;
    told = performance.now();
    context.emit({ type: 'progress', phase: 'upload', done: position, total: size, unit: 'bytes' });
  }
}

async function readChunk(file: FileHandle, into: Buffer, position: number): Promise<Buffer> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) {
      throw new PublishError('publish.changed', 'Cannot upload: the file became shorter while it was sent');
    }
    filled += bytesRead;
  }
  return into;
}

/** How much MAAS holds, if that is `before` or `after`. */
async function positionAfterBreak(
  sending: Sending,
  remote: Remote,
  before: number,
  after: number,
  cause: MaasError,
  { signal, emit }: Context,
): Promise<number> {
  const version = versionOf(await remote.images.read(sending.image.id, signal), sending.sha256);
  if (version?.complete) return sending.size;
  const held = remote.tellsPosition && version !== undefined ? bytesHeld(version) : undefined;
  if (held === before || held === after) {
    emit({ type: 'log', level: 'warn', message: `the connection broke at ${before} bytes; going on at ${held}` });
    return held;
  }
  throw new PublishError('publish.lost-position', 'Cannot go on: MAAS does not tell how many bytes it holds', {
    hint: cause.hint,
    cause,
  });
}

function bytesHeld({ progress, size }: ImageVersion): number | undefined {
  return progress === undefined ? undefined : Math.round((progress * size) / 100);
}

/** The version of an image that has these bytes; "newest" would sort `.10` before `.9`. */
export function versionOf(image: Image | undefined, sha256: string): ImageVersion | undefined {
  const all = image?.versions.filter((version) => version.sha256 === sha256) ?? [];
  return all.find(({ complete }) => !complete) ?? all[0];
}
