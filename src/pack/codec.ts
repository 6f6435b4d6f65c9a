export type Codec = 'gzip' | 'bzip2' | 'xz';
/** The quickest that still compresses well enough, or the smallest a host can afford. */
export type Effort = 'fast' | 'small';
export type EngineName = 'libdeflate' | 'zlib' | 'isal' | 'libbz2' | 'bzip2' | 'liblzma' | 'xz';

/**
 * Makes one member of one chunk: a whole gzip member, a whole bzip2 stream, or a block of an xz stream.
 * Bytes depend on input, engine, version and level only; those of ISA-L also on the instructions the CPU has.
 */
export interface Engine {
  readonly name: EngineName;
  readonly codec: Codec;
  /** What made the bytes: the library and its version, or what tells its build from others. */
  readonly version: string;
  readonly level: number;
  /** Bytes of output, before compression, that make one member. */
  readonly chunk: number;
  /**
   * The member of all of `parts`, `length` bytes together. Parts may share one buffer. It is good until the next one is made;
   * where it fits into `room` and the engine can, it is a part of that.
   */
  member(parts: Iterable<Uint8Array>, length: number, room?: Uint8Array): Uint8Array;
  /** Gives back the memory that the garbage collector does not know of. */
  close(): void;
}
