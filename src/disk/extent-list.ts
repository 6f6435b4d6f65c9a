import type { StoredExtent } from './block-source.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Run = Mutable<Extract<StoredExtent, { kind: 'zero' | 'data' }>>;

/** Extents in order, each joined to the one before where the two lie side by side. */
export class ExtentList {
  readonly extents: StoredExtent[] = [];
  /** The last extent, when it is one that can grow. */
  #last: Run | undefined;

  zero(length: number): void {
    if (length <= 0) return;
    if (this.#last?.kind === 'zero') this.#last.length += length;
    else this.#begin({ kind: 'zero', length });
  }

  data(file: number, offset: number, length: number): void {
    if (length <= 0) return;
    const last = this.#last;
    if (last?.kind === 'data' && last.file === file && last.offset + last.length === offset) last.length += length;
    else this.#begin({ kind: 'data', length, file, offset });
  }

  /** An extent as it is; `zero` and `data` join as above. */
  add(extent: StoredExtent): void {
    if (extent.kind === 'zero') this.zero(extent.length);
    else if (extent.kind === 'data') this.data(extent.file, extent.offset, extent.length);
    else if (extent.length > 0) {
      this.#last = undefined;
      this.extents.push(extent);
    }
  }

  #begin(run: Run): void {
    this.#last = run;
    this.extents.push(run);
  }
}
