import { createReadStream } from 'node:fs';
import { open, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { DiskFormat } from '../disk/image-format.ts';
import { FormatError } from '../errors.ts';
import type { Context } from '../events.ts';
import { temporaryFolder } from '../host/folders.ts';
import { type Inspection, inspectDisk } from './inspect.ts';
import { inspectTar } from './inspect-tar.ts';

const GZIP = 0x1f8b;
const USTAR_AT = 257;
const BLOCK = 64 * 1024;

/**
 * Describes a disk image, or an artifact: a tgz is read as it streams, a compressed disk through a sparse copy in a
 * private temporary folder.
 * @param format of a disk image; found by its magic number where it is not given
 * @throws FormatError `inspect.unknown`, `gzip.damaged`; the errors of reading a disk
 */
export async function inspect(path: string, context: Context, format?: DiskFormat): Promise<Inspection> {
  const { signal } = context;
  if (format !== undefined) return inspectDisk(path, { format, signal });
  if (!(await isGzip(path))) return inspectDisk(path, { signal });
  const { size } = await stat(path).then((info) => info);
  if (await isTar(path)) return { ...(await inspectTar(gunzip(path), context)), size };
  await using folder = await temporaryFolder('compose-inspect-');
  const raw = join(folder.path, 'disk.raw');
  await expandSparse(path, raw, context);
  return { ...(await inspectDisk(raw, { format: 'raw', signal })), format: 'raw, compressed by gzip', chain: [path] };
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw new FormatError('inspect.unreadable', `Cannot read ${path}: ${cause.message}`, { cause });
  });
  try {
    const head = Buffer.alloc(2);
    await file.read(head, 0, 2, 0);
    return head.readUInt16BE() === GZIP;
  } finally {
    await file.close();
  }
}

/** The decompressed bytes; a damaged stream is a FormatError. */
async function* gunzip(path: string): AsyncGenerator<Uint8Array> {
  const input = createReadStream(path, { highWaterMark: 1024 * 1024 });
  const unpack = createGunzip({ chunkSize: 1024 * 1024 });
  const done = pipeline(input, unpack);
  done.catch(() => {});
  try {
    for await (const chunk of unpack) yield chunk as Uint8Array;
    await done;
  } catch (cause) {
    throw new FormatError('gzip.damaged', `Cannot read ${path}: it is damaged or cut short`, {
      hint: 'Compare it with SHA256SUMS; download or build it again.',
      cause,
    });
  } finally {
    input.destroy();
    unpack.destroy();
  }
}

async function isTar(path: string): Promise<boolean> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of gunzip(path)) {
    parts.push(Buffer.from(chunk));
    length += chunk.length;
    if (length >= 512) break;
  }
  return (
    Buffer.concat(parts)
      .subarray(USTAR_AT, USTAR_AT + 5)
      .toString('latin1') === 'ustar'
  );
}

async function expandSparse(path: string, raw: string, context: Context): Promise<void> {
  const file = await open(raw, 'wx', 0o600);
  const zeros = Buffer.alloc(BLOCK);
  let position = 0;
  try {
    for await (const chunk of gunzip(path)) {
      context.signal.throwIfAborted();
      for (let at = 0; at < chunk.length; at += BLOCK) {
        const part = Buffer.from(chunk.buffer, chunk.byteOffset + at, Math.min(BLOCK, chunk.length - at));
        if (!part.equals(zeros.subarray(0, part.length))) await file.write(part, 0, part.length, position + at);
      }
      position += chunk.length;
    }
  } finally {
    await file.close();
  }
  await truncate(raw, position);
}
