import type { OutputFileOptions } from './create-output.ts';
import { Replaced } from './replaced.ts';
import { FileSink } from './sink.ts';

/** The files of a run. They get their names together, when all of them are whole: a run that fails leaves none. */
export class Outcome implements AsyncDisposable {
  readonly #files: FileSink[] = [];

  /** Begins a file. It is removed when the run ends before it has its name. @throws PackError `pack.output` */
  async create(path: string, options: OutputFileOptions = {}): Promise<FileSink> {
    const file = await FileSink.create(path, options);
    this.#files.push(file);
    return file;
  }

  /** Writes a small one. @throws as FileSink */
  async write(path: string, text: string): Promise<void> {
    const file = await this.create(path);
    await file.write(Buffer.from(text));
    await file.complete();
  }

  /**
   * Gives all files their names, and then does `last`. When one of them cannot have its name, or `last` fails, none keeps it, and
   * what had the names before has them again.
   * @throws PackError `pack.write`; what `last` throws
   */
  async name<T>(last: () => Promise<T>): Promise<T> {
    await using replaced = new Replaced();
    try {
      for (const file of this.#files) {
        await replaced.keep(file.path);
        await file.name();
      }
      return await last();
    } catch (error) {
      for (const file of this.#files) await file.withdraw();
      await replaced.restore();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files.toReversed()) await file[Symbol.asyncDispose]();
  }
}
