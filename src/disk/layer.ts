import type { Awaitable } from './block-source.ts';
import type { ExtentList } from './extent-list.ts';
import type { HostFile } from './host-file.ts';

/** One image of a backing chain. */
export interface Layer {
  /** Bytes; beyond it a layer reads as zeros, so a backing file may be shorter than what lies over it. */
  readonly size: number;
  /** Adds where [position, end) is stored to `out`, in order; answers now when every table it needs is cached. */
  locate(out: ExtentList, position: number, end: number): Awaitable<void>;
}

/** A file whose bytes are the disk. `file` is its index in the chain's list of files. */
export function rawLayer(source: HostFile, file: number): Layer {
  return {
    size: source.size,
    locate: (out, position, end) => {
      const stop = Math.max(position, Math.min(end, source.size));
      out.data(file, position, stop - position);
      out.zero(end - stop);
    },
  };
}
