import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskFormat } from '../disk/image-format.ts';
import { isComposeError, UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { type CompressedKind, compressedKind, decompress } from '../host/decompress.ts';
import { fileProblem } from '../host/file-problem.ts';
import { temporaryFolder } from '../host/folders.ts';
import { describeIso, looksLikeIso } from '../machine/iso-describe.ts';
import { type Inspection, inspectDisk } from './inspect.ts';
import { inspectTar } from './inspect-tar.ts';
import { SparseFile } from './sparse-file.ts';

const USTAR_AT = 257;

/**
 * Describes a disk image, an ISO, or an artifact: a tar is read as it streams, a compressed disk through a sparse copy in a
 * private temporary folder.
 * @param format of a disk image; found by its magic number where it is not given
 * @throws UsageError `inspect.unreadable`; the errors of decompressing and of reading a disk
 */
export async function inspect(path: string, context: Context, format?: DiskFormat): Promise<Inspection> {
  const { signal } = context;
  if (format !== undefined) return inspectDisk(path, { format, signal });
  const kind = await compressedKind(path).catch((cause: NodeJS.ErrnoException) => {
    throw new UsageError('inspect.unreadable', `Cannot read ${path}: ${fileProblem(cause)}`, { cause });
  });
  if (kind === undefined && (await looksLikeIso(path))) return inspectIso(path, signal);
  if (kind === undefined) return inspectDisk(path, { signal });
  const { size } = await stat(path);
  if (await isTar(path, kind)) return { ...(await inspectTar(decompress(path, kind), context)), size };
  await using folder = await temporaryFolder('compose-inspect-');
  const raw = join(folder.path, 'disk.raw');
  await expandSparse(decompress(path, kind), raw, context);
  return {
    ...(await inspectDisk(raw, { format: 'raw', signal })),
    format: `raw, compressed by ${kind}`,
    chain: [path],
  };
}

/** A hybrid image is a disk as well; a table that cannot be read takes nothing from what the ISO is. */
async function inspectIso(path: string, signal: AbortSignal): Promise<Inspection> {
  const iso = await describeIso(path);
  const about = { kind: 'iso', format: iso.udf ? 'iso9660 and udf' : 'iso9660', size: iso.size } as const;
  try {
    return { ...(await inspectDisk(path, { format: 'raw', signal })), ...about, iso };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    const nothing = { chain: [path], partitions: [], logicalVolumes: [], system: undefined };
    return { ...about, ...nothing, problem: error.message, iso };
  }
}

async function isTar(path: string, kind: CompressedKind): Promise<boolean> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of decompress(path, kind)) {
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

async function expandSparse(chunks: AsyncIterable<Uint8Array>, raw: string, context: Context): Promise<void> {
  await using file = await SparseFile.create(raw);
  for await (const chunk of chunks) {
    context.signal.throwIfAborted();
    await file.write(chunk);
  }
  await file.end();
}
