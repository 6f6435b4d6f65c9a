import { createHash, randomBytes } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PackError } from '../errors.ts';
import { makeFolder } from '../host/make-folder.ts';
import { reapPath } from '../host/reaper.ts';
import { createOutputFile, type OutputFileOptions } from './create-output.ts';
import { diskFull } from './disk-full.ts';
import type { OutputFile } from './output-file.ts';

/** What a finished file is. */
export interface Written {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** A file that has its final name only once it is whole: written beside it, hashed on the way, then renamed. */
export class FileSink implements AsyncDisposable {
  readonly path: string;
  readonly #temporary: string;
  readonly #file: OutputFile;
  readonly #held: Disposable;
  readonly #hash = createHash('sha256');
  #size = 0;
  #state: 'open' | 'whole' | 'done' = 'open';

  private constructor(path: string, temporary: string, file: OutputFile, held: Disposable) {
    this.#held = held;
    this.path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  /** @throws PackError `pack.output`, `pack.disk-full` */
  static async create(path: string, options: OutputFileOptions = {}): Promise<FileSink> {
    const temporary = join(dirname(path), `.${basename(path)}.partial-${randomBytes(4).toString('hex')}`);
    const held = reapPath(temporary);
    try {
      await makeFolder(dirname(path));
      return new FileSink(path, temporary, await createOutputFile(temporary, options), held);
    } catch (cause) {
      held[Symbol.dispose]();
      const full = await diskFull(path, cause);
      throw (
        full ??
        new PackError('pack.output', `Cannot write into ${dirname(path)}: ${(cause as Error).message}`, {
          hint: 'Name a folder you may write to with --out.',
          cause,
        })
      );
    }
  }

  /** Bytes given so far, holes included. */
  get size(): number {
    return this.#size;
  }

  /**
   * Appends `bytes`, which must stay as they are until it answers. The next call need not wait for that.
   * @throws PackError `pack.disk-full`, `pack.write`
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.#size += bytes.length;
    this.#hash.update(bytes);
    await this.#told(this.#file.append(bytes));
  }

  /** Appends a hole of `length` zeros; for files that are not compressed. @throws as `write` */
  async skip(length: number, zeros: Uint8Array): Promise<void> {
    for (let left = length; left > 0; left -= zeros.length) this.#hash.update(zeros.subarray(0, left));
    this.#size += length;
    await this.#told(this.#file.skip(length));
  }

  async #told(done: Promise<void>): Promise<void> {
    try {
      await done;
    } catch (cause) {
      throw await this.#writeError(cause);
    }
  }

  async #writeError(cause: unknown): Promise<PackError> {
    const full = await diskFull(this.path, cause, this.#size);
    return full ?? new PackError('pack.write', `Cannot write ${this.path}: ${(cause as Error).message}`, { cause });
  }

  /**
   * Makes the file durable; it has no name yet. All writes have been waited for.
   * @param check is given the whole file under its temporary name; when it throws the file never gets its own
   */
  async complete(check?: (temporary: string) => Promise<void>): Promise<Written> {
    await this.#told(this.#file.complete());
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
    if (this.#state === 'open') await this.#file.close().catch(() => {});
    await rm(this.#temporary, { force: true });
    this.#held[Symbol.dispose]();
  }
}

/** Writes a small file whole or not at all. */
export async function writeWhole(path: string, content: string | Uint8Array, mode?: number): Promise<Written> {
  await using sink = await FileSink.create(path, { mode });
  await sink.write(typeof content === 'string' ? Buffer.from(content) : content);
  return await sink.finish();
}
