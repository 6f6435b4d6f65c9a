import { type FileHandle, open } from 'node:fs/promises';

const BLOCK = 64 * 1024;
const ZEROS = Buffer.alloc(BLOCK);

/** A new file in which what is zero takes no room. */
export class SparseFile implements AsyncDisposable {
  /** Bytes, holes at the end included. */
  size = 0;
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Readable by its owner only. */
  static async create(path: string): Promise<SparseFile> {
    return new SparseFile(await open(path, 'wx', 0o600));
  }

  /** Appends `bytes`. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.writeAt(this.size, bytes);
  }

  async writeAt(position: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += BLOCK) {
      const part = Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(BLOCK, bytes.length - at));
      if (!part.equals(ZEROS.subarray(0, part.length))) await this.#file.write(part, 0, part.length, position + at);
    }
    this.size = Math.max(this.size, position + bytes.length);
  }

  /** Gives the file its length. */
  async end(): Promise<void> {
    await this.#file.truncate(this.size);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}
