import { type FileHandle, open } from 'node:fs/promises';
import { HostError, isComposeError, RecipeError, SourceError } from '../errors.ts';
import type { Context } from '../events.ts';
import { CPIO_ALIGNMENT, type CpioFile, cpioMembers, cpioPadding, cpioTrailer } from '../formats/cpio.ts';
import { type Append, writeWhole } from '../host/whole-file.ts';

/** A file to be found in the root file system an installer starts from. */
export interface InitrdFile {
  /** Path from its root. */
  readonly path: string;
  /** What it holds: bytes, or a file of this host. */
  readonly content: Uint8Array | { readonly file: string };
  /** Permission bits. @default 0o644 */
  readonly mode?: number;
}

const STEP = 1024 * 1024;
/** First bytes of what the kernel unpacks: cpio, gzip, xz, zstd, LZ4 (legacy frame), bzip2, LZMA, LZO (lib/decompress.c). */
const MAGICS = ['303730373031', '1f8b', 'fd377a585a00', '28b52ffd', '02214c18', '425a68', '5d0000', '894c5a'];

/**
 * Writes the initrd `initrd` to `to` with `files` appended to it: an archive of their own behind the vendor's bytes,
 * which stay as they are. What is in both is replaced. Nothing is held in memory as a whole.
 * @throws SourceError `initrd.unreadable`, `initrd.unknown`; RecipeError `seed.file`, `seed.no-files`; FormatError
 *   `cpio.name`, `cpio.too-large`; HostError `initrd.write`
 */
export async function appendToInitrd(
  initrd: string,
  files: readonly InitrdFile[],
  to: string,
  context: Context,
): Promise<void> {
  if (files.length === 0) {
    throw new RecipeError('seed.no-files', `Cannot append to ${initrd}: no files are given`);
  }
  await using vendor = await opened(initrd, (cause) => {
    return new SourceError('initrd.unreadable', `Cannot read the initrd ${initrd}: ${cause.message}`, { cause });
  });
  await checkInitrd(initrd, vendor);
  await using sources = new Sources();
  const sized: Awaited<ReturnType<Sources['size']>>[] = [];
  for (const file of files) sized.push(await sources.size(file));
  const members = cpioMembers(sized.map(({ cpio }) => cpio));
  const byFile = new Map<CpioFile, InitrdFile>(sized.map(({ cpio, file }) => [cpio, file]));
  try {
    await writeWhole(to, async (append) => {
      const length = await copy(vendor, append, context);
      // At least one word of zeros: an LZ4 stream has no end of its own, and the kernel takes a zero for it (5.12).
      await append(new Uint8Array(CPIO_ALIGNMENT));
      await append(cpioPadding(length));
      for (const { header, file, size } of members) {
        await append(header);
        if (file !== undefined && size > 0) await sources.copy(byFile.get(file) as InitrdFile, size, append, context);
        await append(cpioPadding(size));
      }
      await append(cpioTrailer());
    });
  } catch (cause) {
    if (isComposeError(cause) || context.signal.aborted) throw cause;
    throw new HostError('initrd.write', `Cannot write ${to}: ${(cause as Error).message}`, { cause });
  }
}

/** The files of this host that are appended, open from when they are measured until they are copied. */
class Sources implements AsyncDisposable {
  readonly #handles = new Map<InitrdFile, FileHandle>();

  async size(file: InitrdFile): Promise<{ cpio: CpioFile; file: InitrdFile }> {
    const mode = file.mode === undefined ? {} : { mode: file.mode };
    if (file.content instanceof Uint8Array) {
      return { cpio: { path: file.path, size: file.content.length, ...mode }, file };
    }
    const handle = await opened(file.content.file, (cause) => unreadable(file, cause));
    this.#handles.set(file, handle);
    const stat = await handle.stat();
    if (!stat.isFile()) throw unreadable(file, new Error('it is no regular file'));
    return { cpio: { path: file.path, size: stat.size, ...mode }, file };
  }

  async copy(file: InitrdFile, size: number, append: Append, context: Context): Promise<void> {
    if (file.content instanceof Uint8Array) return append(file.content);
    const handle = this.#handles.get(file) as FileHandle;
    const done = await copy(handle, append, context, size);
    if (done !== size) throw unreadable(file, new Error('it became shorter while it was read'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#handles.values()) await handle.close();
  }
}

function unreadable(file: InitrdFile, cause: Error): RecipeError {
  const name = file.content instanceof Uint8Array ? file.path : file.content.file;
  return new RecipeError('seed.file', `Cannot read ${name}: ${cause.message}`, { cause });
}

async function opened(path: string, explain: (cause: Error) => Error): Promise<FileHandle> {
  return open(path, 'r').catch((cause: Error) => {
    throw explain(cause);
  });
}

/** Copies what is left of a file, at most `most` bytes. */
async function copy(
  handle: FileHandle,
  append: Append,
  context: Context,
  most = Number.POSITIVE_INFINITY,
): Promise<number> {
  const buffer = new Uint8Array(STEP);
  let position = 0;
  while (position < most) {
    context.signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(STEP, most - position), position);
    if (bytesRead === 0) break;
    await append(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  return position;
}

async function checkInitrd(path: string, handle: FileHandle): Promise<void> {
  const head = Buffer.alloc(512);
  const { bytesRead } = await handle.read(head, 0, head.length, 0).catch((cause: Error) => {
    throw new SourceError('initrd.unreadable', `Cannot read the initrd ${path}: ${cause.message}`, { cause });
  });
  const first = head.subarray(0, bytesRead).findIndex((byte) => byte !== 0);
  const start = head.subarray(Math.max(0, first), bytesRead).toString('hex');
  if (MAGICS.some((magic) => start.startsWith(magic))) return;
  throw new SourceError('initrd.unknown', `Cannot append to ${path}: it does not begin as an initrd does`, {
    hint: 'Check that it is the initrd of the installer, and no kernel or disk image.',
    evidence: { begins: start.slice(0, 32) },
  });
}
