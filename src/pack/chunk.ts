/** Chunks of output and the jobs workers are sent: plain buffers that cross threads without being copied. */

/** Bytes of output a worker compresses at a time. The cut depends on the content alone. */
export const CHUNK = 1024 * 1024;

/** Numbers an operation takes in `Job.operations`. */
export const OPERATION = 7;
export const KIND = { literal: 0, zero: 1, data: 2, deflate: 3, zstd: 4 } as const;

/**
 * One chunk: what it is made of, in order. Each operation is seven numbers: kind, length, file, offset, stored length,
 * unpacked length, skip; the bytes of literals follow one another in `literals`.
 */
export interface Job {
  readonly index: number;
  readonly length: number;
  readonly operations: Float64Array<ArrayBuffer>;
  readonly literals: Uint8Array<ArrayBuffer>;
}

/** What a worker makes of a job. `zero` means that all of the chunk was zeros: its member is known beforehand. */
export interface Result {
  readonly index: number;
  readonly length: number;
  readonly zero: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export type ToWorker =
  | { readonly type: 'open'; readonly files: readonly string[]; readonly compression: Compression }
  | { readonly type: 'job'; readonly job: Job };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'result'; readonly result: Result }
  | { readonly type: 'failed'; readonly message: string; readonly code: string };

/** How chunks are written: as gzip members by one engine, or as they are. */
export type Compression =
  | { readonly kind: 'gzip'; readonly engine: 'libdeflate' | 'zlib'; readonly level: number }
  | { readonly kind: 'none' };
