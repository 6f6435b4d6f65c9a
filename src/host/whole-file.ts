import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Appends bytes to the file that is being written. */
export type Append = (bytes: Uint8Array) => Promise<void>;

/**
 * Makes a file that has its final name only once it is whole: written beside it, then renamed. What was at `path` stays
 * until then, and for good when `write` fails.
 * @param options.mode permission bits. @default 0o600
 * @throws what `write` throws, and the errors of the file system as they are
 */
export async function writeWhole<T>(
  path: string,
  write: (append: Append) => Promise<T>,
  options: { readonly mode?: number } = {},
): Promise<T> {
  const temporary = join(dirname(path), `.${basename(path)}.partial-${randomBytes(4).toString('hex')}`);
  const handle = await open(temporary, 'wx', options.mode ?? 0o600);
  try {
    const result = await write((bytes) => appendAll(handle, bytes)).finally(() => handle.close());
    await rename(temporary, path);
    return result;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function appendAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
  }
}
