/** Chunks of output and the jobs workers are sent: plain buffers that cross threads without being copied. */

import type { StoredFile } from '../disk/file-identity.ts';
import type { Engine, EngineName } from './codec.ts';

/** Bytes of output in a chunk that is not compressed. */
const PLAIN_CHUNK = 1024 * 1024;

/** Numbers an operation takes in `Job.operations`. */
export const OPERATION = 7;
export const KIND = { literal: 0, zero: 1, data: 2, deflate: 3, zstd: 4, block: 5 } as const;

/**
 * One chunk: what it is made of, in order. Each operation is seven numbers: kind, length, file, offset, stored length,
 * unpacked length, skip; the bytes of literals follow one another in `literals`. The file of a `block` is its place in
 * `blocks`.
 */
export interface Job {
  readonly index: number;
  readonly length: number;
  readonly operations: Float64Array<ArrayBuffer>;
  readonly literals: Uint8Array<ArrayBuffer>;
  /** Whether the buffer of its literals comes back, to be used again. */
  readonly literalsReturn: boolean;
  /** Bytes of the stream that were read already, for all outputs that are made of it. */
  readonly blocks: readonly SharedArrayBuffer[];
  /** Place of its compression among those of the pool. @default 0 */
  readonly compression?: number;
  /** Where the chunk is put as it is, instead of being compressed. */
  readonly room?: SharedArrayBuffer;
}

/** What became of a job. `hole` means that all of the chunk was zeros and that there are no bytes of it. */
export interface Result {
  readonly index: number;
  readonly length: number;
  readonly hole: boolean;
  /** Good until `release`. */
  readonly bytes: Uint8Array;
  release(): void;
}

/** What a worker answers: `stored` bytes in the room it was given, from `start` on, or bytes of its own where they do not fit. */
export interface Made {
  readonly index: number;
  readonly length: number;
  readonly hole: boolean;
  readonly start: number;
  readonly stored: number;
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

export type ToWorker =
  | {
      readonly type: 'open';
      readonly files: readonly StoredFile[];
      readonly compressions: readonly Compression[];
      /** One shared number; anything but 0 ends the job at hand. */
      readonly stop: SharedArrayBuffer;
    }
  | { readonly type: 'job'; readonly job: Job; readonly into: SharedArrayBuffer | undefined }
  | { readonly type: 'close' };

export type FromWorker =
  | { readonly type: 'ready' }
  /** `spare` is the buffer of the job's literals, where it is to be used again. */
  | { readonly type: 'result'; readonly result: Made; readonly spare: ArrayBuffer | undefined }
  | { readonly type: 'failed'; readonly stage: 'read' | 'compress'; readonly message: string; readonly code: string };

/** Code of a worker's failure: the image is not what it was when its disk was opened; the message says in what. */
export const CHANGED = 'disk.changed';

/** How chunks are written: each as one member by an engine, or as they are. `chunk` is their size in bytes of output. */
export type Compression =
  | {
      readonly kind: 'gzip' | 'bzip2' | 'xz';
      readonly engine: EngineName;
      readonly level: number;
      readonly chunk: number;
    }
  | { readonly kind: 'none'; readonly chunk: number };

/** The compression `engine` makes; without one, none. */
export function compressionOf(engine: Engine | undefined): Compression {
  if (engine === undefined) return { kind: 'none', chunk: PLAIN_CHUNK };
  const { name, codec, level, chunk } = engine;
  return { kind: codec, engine: name, level, chunk };
}
