import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Codec } from '../disk/block-source.ts';
import { identityOf, type StoredFile } from '../disk/file-identity.ts';
import type { Unpacker } from '../disk/unpacker.ts';
import { CHANGED, type Job, KIND, OPERATION } from './chunk.ts';
import { copyBytes } from './copy-bytes.ts';

/** Bytes a part has at most: what of a chunk is in memory at a time. */
const PART = 1024 * 1024;

/** Puts chunks together from literals and the image's files. */
export class ChunkFiller {
  readonly #files: readonly StoredFile[];
  readonly #unpacker: Unpacker;
  readonly #stop: Int32Array;
  readonly #descriptors: (number | undefined)[] = [];
  readonly #part = Buffer.alloc(PART);
  #stored = Buffer.alloc(64 * 1024);
  /** The compressed cluster unpacked last: its neighbours in a chunk are parts of the same one. */
  #cluster = { file: -1, offset: -1, bytes: Buffer.alloc(0) };

  /** `stop` is one number; anything but 0 ends the chunk at hand. */
  constructor(files: readonly StoredFile[], unpacker: Unpacker, stop: Int32Array) {
    this.#files = files;
    this.#unpacker = unpacker;
    this.#stop = stop;
  }

  /** The bytes of a chunk in parts, each in the buffer that the next one reuses. */
  *parts(job: Job): Generator<Buffer> {
    const { operations, literals, blocks } = job;
    let filled = 0;
    let literal = 0;
    for (let op = 0; op < operations.length; op += OPERATION) {
      const [kind, length = 0, file = 0, offset = 0] = operations.subarray(op, op + OPERATION);
      for (let done = 0; done < length; ) {
        const target = this.#part.subarray(filled, filled + Math.min(PART - filled, length - done));
        if (kind === KIND.literal) {
          target.set(literals.subarray(literal, literal + target.length));
          literal += target.length;
        } else if (kind === KIND.zero) {
          target.fill(0);
        } else if (kind === KIND.block) {
          const block = blocks[file];
          if (block === undefined) throw new Error(`a job names block ${file} of ${blocks.length}`);
          copyBytes(target, 0, new Uint8Array(block, offset + done, target.length));
        } else if (kind === KIND.data) {
          this.#read(file, offset + done, target);
        } else {
          this.#unpack(kind === KIND.zstd ? 'zstd' : 'deflate', operations.subarray(op, op + OPERATION), done, target);
        }
        done += target.length;
        filled += target.length;
        if (filled < PART) continue;
        if (Atomics.load(this.#stop, 0) !== 0) throw new Error('the packing was ended');
        yield this.#part;
        filled = 0;
      }
    }
    if (filled > 0) yield this.#part.subarray(0, filled);
  }

  /** Reads a whole run, none of which lay past the end of the file when the disk was opened. */
  #read(file: number, offset: number, target: Buffer): void {
    const descriptor = this.#open(file);
    for (let done = 0; done < target.length; ) {
      const count = readSync(descriptor, target, done, target.length - done, offset + done);
      if (count === 0) {
        const { path } = this.#files[file]!;
        throw changed(`it became shorter while it was read, and has no byte ${offset + done} any more (${path})`);
      }
      done += count;
    }
  }

  #unpack(codec: Codec, operation: Float64Array, done: number, target: Buffer): void {
    const [, , file = 0, offset = 0, storedLength = 0, unpackedLength = 0, skip = 0] = operation;
    if (this.#cluster.file !== file || this.#cluster.offset !== offset) {
      if (this.#stored.length < storedLength) this.#stored = Buffer.alloc(storedLength);
      const stored = this.#stored.subarray(0, storedLength);
      this.#read(file, offset, stored);
      if (this.#cluster.bytes.length !== unpackedLength) this.#cluster.bytes = Buffer.alloc(unpackedLength);
      // Nothing is known of the room while it is written.
      this.#cluster.file = -1;
      try {
        this.#unpacker.unpack(codec, stored, this.#cluster.bytes);
      } catch (error) {
        throw new Error(`the ${codec} cluster at byte ${offset} cannot be unpacked: ${(error as Error).message}`);
      }
      this.#cluster.file = file;
      this.#cluster.offset = offset;
    }
    this.#cluster.bytes.copy(target, 0, skip + done, skip + done + target.length);
  }

  #open(file: number): number {
    const open = this.#descriptors[file];
    if (open !== undefined) return open;
    const stored = this.#files[file];
    if (stored === undefined) throw new Error(`a job names file ${file} of ${this.#files.length}`);
    const descriptor = openSync(stored.path, constants.O_RDONLY | constants.O_NONBLOCK);
    // What the main thread read of the disk says nothing about another file.
    if (identityOf(fstatSync(descriptor, { bigint: true })) !== stored.identity) {
      closeSync(descriptor);
      throw changed(`another file took its place while it was read (${stored.path})`);
    }
    this.#descriptors[file] = descriptor;
    return descriptor;
  }

  close(): void {
    for (const descriptor of this.#descriptors) if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Zeros in place of what is gone, or bytes of another image, would make an artifact that nobody could tell from a good one. */
function changed(message: string): Error {
  return Object.assign(new Error(message), { code: CHANGED });
}
