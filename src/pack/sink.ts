import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PackError } from '../errors.ts';
import { humanSize } from '../formats/human.ts';
import { makeFolder } from '../host/make-folder.ts';
import { reapPath } from '../host/reaper.ts';

/** What a finished file is. */
export interface Written {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** Bytes after which the host is told to bring what was written to its storage, so that little is left to wait for at the end. */
const FLUSH = 32 * 1024 * 1024;

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** A file that has its final name only once it is whole: written beside it, hashed on the way, then renamed. */
export class FileSink implements AsyncDisposable {
  readonly path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  readonly #held: Disposable;
  readonly #hash = createHash('sha256');
  #size = 0;
  #unflushed = 0;
  #flushing: Promise<void> | undefined;
  #flushError: unknown;
  #state: 'open' | 'whole' | 'done' = 'open';

  private constructor(path: string, temporary: string, file: FileHandle, held: Disposable) {
    this.#held = held;
    this.path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  static async create(path: string, mode = 0o644): Promise<FileSink> {
    const temporary = join(dirname(path), `.${basename(path)}.partial-${randomBytes(4).toString('hex')}`);
    const held = reapPath(temporary);
    try {
      await makeFolder(dirname(path));
      return new FileSink(path, temporary, await open(temporary, 'wx', mode), held);
    } catch (cause) {
      held[Symbol.dispose]();
      throw new PackError('pack.output', `Cannot write into ${dirname(path)}: ${(cause as Error).message}`, {
        hint: 'Name a folder you may write to with --out.',
        cause,
      });
    }
  }

  /** Bytes given so far, holes included. */
  get size(): number {
    return this.#size;
  }

  /**
   * Appends `bytes`, which must stay as they are until it answers. The next call need not wait for that: while the compressors
   * have all processors busy, a write is done at once and told of milliseconds later.
   * @throws PackError `pack.disk-full`, `pack.write`
   */
  write(bytes: Uint8Array): Promise<void> {
    const position = this.#size;
    this.#size += bytes.length;
    this.#hash.update(bytes);
    return this.#writeAt(bytes, position);
  }

  async #writeAt(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, position + at);
        at += bytesWritten;
      }
    } catch (cause) {
      throw await this.#writeError(cause);
    }
    this.#unflushed += bytes.length;
    if (this.#unflushed >= FLUSH) this.#flush();
  }

  /** Nobody waits for it before `finish`; what goes wrong is told there, because the host tells it once only. */
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

  /** Leaves a hole of `length` zeros; for files that are not compressed. */
  skip(length: number, zeros: Uint8Array): void {
    for (let left = length; left > 0; left -= zeros.length) this.#hash.update(zeros.subarray(0, left));
    this.#size += length;
  }

  async #writeError(cause: unknown): Promise<PackError> {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (!NO_SPACE.has(code ?? '')) {
      return new PackError('pack.write', `Cannot write ${this.path}: ${message}`, { cause });
    }
    const free = await statfs(dirname(this.path)).then(
      (fs) => fs.bavail * fs.bsize,
      () => 0,
    );
    return new PackError(
      'pack.disk-full',
      `Cannot write ${basename(this.path)}: ${dirname(this.path)} is full (${humanSize(free)} free, ${humanSize(this.#size)} written so far)`,
      { hint: 'Free some space or choose another folder with --out. Nothing was left under the final name.', cause },
    );
  }

  /**
   * Makes the file durable; it has no name yet. All writes have been waited for.
   * @param check is given the whole file under its temporary name; when it throws the file never gets its own
   */
  async complete(check?: (temporary: string) => Promise<void>): Promise<Written> {
    await this.#flushing;
    try {
      if (this.#flushError !== undefined) throw this.#flushError;
      // The file may end with a hole. Not before: a write that is under way could be cut off.
      await this.#file.truncate(this.#size);
      await this.#file.sync();
      await this.#file.close();
    } catch (cause) {
      throw await this.#writeError(cause);
    }
    await check?.(this.#temporary);
    this.#state = 'whole';
    return { path: this.path, size: this.#size, sha256: this.#hash.digest('hex') };
  }

  /** Gives a file that is whole its name. @throws PackError `pack.write` */
  async name(): Promise<void> {
    if (this.#state !== 'whole') throw new Error(`${this.path} is not whole`);
    try {
      await rename(this.#temporary, this.path);
    } catch (cause) {
      throw await this.#writeError(cause);
    }
    this.#state = 'done';
    this.#held[Symbol.dispose]();
  }

  /** `complete` and `name`. */
  async finish(check?: (temporary: string) => Promise<void>): Promise<Written> {
    const written = await this.complete(check);
    await this.name();
    return written;
  }

  /** Removes what was written although it has its name. */
  async withdraw(): Promise<void> {
    if (this.#state === 'done') await rm(this.path, { force: true });
  }

  /** Removes what was written unless it has its name. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'done') return;
    await this.#flushing;
    if (this.#state === 'open') await this.#file.close().catch(() => {});
    await rm(this.#temporary, { force: true });
    this.#held[Symbol.dispose]();
  }
}

/** Writes a small file whole or not at all. */
export async function writeWhole(path: string, content: string | Uint8Array, mode?: number): Promise<Written> {
  await using sink = await FileSink.create(path, mode);
  await sink.write(typeof content === 'string' ? Buffer.from(content) : content);
  return await sink.finish();
}
