import type { FileHandle } from 'node:fs/promises';
import type { OutputFile } from './output-file.ts';

/** Bytes after which the host is told to bring what was written to its storage, so that little is left to wait for at the end. */
const FLUSH = 32 * 1024 * 1024;

/** Writes through the host's page cache. */
export class CachedFile implements OutputFile {
  readonly #file: FileHandle;
  #size = 0;
  #unflushed = 0;
  #flushing: Promise<void> | undefined;
  #flushError: unknown;

  /** `file` is new and open for writing. */
  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** While the compressors have all processors busy, a write is done at once and told of milliseconds later. */
  append(bytes: Uint8Array): Promise<void> {
    const position = this.#size;
    this.#size += bytes.length;
    return this.#writeAt(bytes, position);
  }

  async skip(length: number): Promise<void> {
    this.#size += length;
  }

  async #writeAt(bytes: Uint8Array, position: number): Promise<void> {
    await writeWholly(this.#file, bytes, position);
    this.#unflushed += bytes.length;
    if (this.#unflushed >= FLUSH) this.#flush();
  }

  /** Nobody waits for it before `complete`; what goes wrong is told there, because the host tells it once only. */
  #flush(): void {
    if (this.#flushing !== undefined) return;
    this.#unflushed = 0;
    this.#flushing = this.#file
      .datasync()
      .catch((error: unknown) => {
        this.#flushError ??= error;
      })
      .finally(() => {
        this.#flushing = undefined;
      });
  }

  async complete(): Promise<void> {
    await this.#flushing;
    if (this.#flushError !== undefined) throw this.#flushError;
    // The file may end with a hole. Not before: a write that is under way could be cut off.
    await this.#file.truncate(this.#size);
    await this.#file.sync();
    await this.#file.close();
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.#file.close();
  }
}

/** Writes all of `bytes`: a host may take a part. */
export async function writeWholly(file: Pick<FileHandle, 'write'>, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
