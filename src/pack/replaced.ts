import { randomBytes } from 'node:crypto';
import { link, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { reapPath } from '../host/reaper.ts';

/** Errors of a file system without hard links, and of places that have nothing to keep. */
const NOTHING_KEPT = new Set(['ENOENT', 'ENOTDIR', 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK']);

/** Files of earlier runs that lose their names to those of this one, under other names as long as that may be taken back. */
export class Replaced implements AsyncDisposable {
  readonly #kept: { readonly path: string; readonly aside: string; readonly held: Disposable }[] = [];

  /** Gives what is at `path` a second name. A file system without hard links keeps nothing. */
  async keep(path: string): Promise<void> {
    const aside = join(dirname(path), `.${basename(path)}.before-${randomBytes(4).toString('hex')}`);
    try {
      await link(path, aside);
    } catch (error) {
      if (NOTHING_KEPT.has((error as NodeJS.ErrnoException).code ?? '')) return;
      throw error;
    }
    this.#kept.push({ path, aside, held: reapPath(aside) });
  }

  /** Everything is at its place again. */
  async restore(): Promise<void> {
    for (const { path, aside, held } of this.#kept.splice(0)) {
      await rename(aside, path);
      held[Symbol.dispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { aside, held } of this.#kept) {
      await rm(aside, { force: true });
      held[Symbol.dispose]();
    }
  }
}
