import { PackError } from '../errors.ts';
import type { StoredFile } from './file-identity.ts';

/** `T` now when it is known, or later; saves a promise for each of the many look-ups that hit a cache. */
export type Awaitable<T> = T | Promise<T>;

/** How a compressed cluster is stored: raw deflate, or zstd frames. */
export type Codec = 'deflate' | 'zstd';

/** What reads bytes that lie in no file of the host, an NBD session for instance. */
export interface ByteServer {
  /** Fills `into` from `offset`; several calls may run at the same time. */
  read(offset: number, into: Uint8Array): Promise<void>;
}

/**
 * Where a run of the address space is stored. `data` and `compressed` name a host file by its index in
 * `BlockSource.files`, so that a worker thread can read it without going through the main thread; the bytes of `served`
 * and `literal` go through it.
 */
export type StoredExtent =
  | { readonly kind: 'zero'; readonly length: number }
  | { readonly kind: 'data'; readonly length: number; readonly file: number; readonly offset: number }
  /** Part of a compressed cluster: unpack `storedLength` bytes at `offset` by `codec`, drop `skip`, take `length`. */
  | {
      readonly kind: 'compressed';
      readonly codec: Codec;
      readonly length: number;
      readonly file: number;
      readonly offset: number;
      readonly storedLength: number;
      readonly unpackedLength: number;
      readonly skip: number;
    }
  /** Bytes that `from`, another process, hands out on request: it has them, no file of the host has. */
  | { readonly kind: 'served'; readonly length: number; readonly from: ByteServer; readonly offset: number }
  /** Bytes held in memory: the edits of a seal laid over a disk. */
  | { readonly kind: 'literal'; readonly length: number; readonly bytes: Uint8Array };

/** A read-only address space of bytes with holes: a disk, a partition, a logical volume. */
export interface BlockSource extends AsyncDisposable {
  /** Length of the address space, bytes. */
  readonly size: number;
  /** The host files the bytes lie in. */
  readonly files: readonly StoredFile[];
  /**
   * Where [position, position + length) is stored: in order, without gap, lengths adding up to `length`.
   * @throws RangeError beyond `size`; FormatError where the image's own tables are damaged
   */
  locate(position: number, length: number): Awaitable<StoredExtent[]>;
  /** Fills `into` from `position`; holes read as zeros. */
  read(position: number, into: Uint8Array): Promise<void>;
}

/** The allocated and unallocated runs of `source`, in order, asked for in steps so that memory stays bounded. */
export async function* extents(
  source: BlockSource,
  range: { readonly position?: number; readonly length?: number } = {},
): AsyncGenerator<StoredExtent & { readonly position: number }> {
  const step = 64 * 1024 * 1024;
  let position = range.position ?? 0;
  const end = position + (range.length ?? source.size - position);
  while (position < end) {
    for (const extent of await source.locate(position, Math.min(step, end - position))) {
      yield { ...extent, position };
      position += extent.length;
    }
  }
}

/** Bytes of `source` as a new array. */
export async function readBytes(source: BlockSource, position: number, length: number): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  await source.read(position, into);
  return into;
}

/** The part [start, start + length) of `source` as an address space of its own. Disposing it leaves `source` open. */
export function slice(source: BlockSource, start: number, length: number): BlockSource {
  if (start < 0 || length < 0 || start + length > source.size) {
    throw new PackError(
      'disk.slice-outside',
      `Cannot use bytes ${start} to ${start + length} of the disk: it ends at ${source.size}`,
      { hint: 'The disk image is shorter than its partition table says; it was truncated or copied incompletely.' },
    );
  }
  return {
    size: length,
    files: source.files,
    locate: (position, count) => {
      checkRange(length, position, count);
      return source.locate(start + position, count);
    },
    read: async (position, into) => {
      checkRange(length, position, into.length);
      await source.read(start + position, into);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** @throws RangeError when [position, position + length) is not within [0, size) */
export function checkRange(size: number, position: number, length: number): void {
  if (!(position >= 0 && length >= 0 && position + length <= size)) {
    throw new RangeError(`bytes ${position} to ${position + length} are outside the source (0 to ${size})`);
  }
}
