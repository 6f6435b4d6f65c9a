import { closeSync, openSync, readSync } from 'node:fs';
import type { MessagePort } from 'node:worker_threads';
import type { Codec } from '../disk/block-source.ts';
import { openUnpacker, type Unpacker } from '../disk/unpacker.ts';
import {
  CHUNK,
  type Compression,
  type FromWorker,
  type Job,
  KIND,
  OPERATION,
  type Result,
  type ToWorker,
} from './chunk.ts';
import { type Engine, openEngine } from './engine.ts';

const ZEROS = Buffer.alloc(CHUNK);

/** Answers jobs on `port` until it closes. File data is read here, so that it never passes through the main thread. */
export function serve(port: MessagePort): void {
  let filler: ChunkFiller | undefined;
  let finish: ((chunk: Uint8Array) => Uint8Array<ArrayBuffer>) | undefined;
  const send = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
  port.on('message', (message: ToWorker) => {
    if (message.type === 'open') {
      Promise.all([openFinish(message.compression), openUnpacker()]).then(
        ([open, unpacker]) => {
          filler = new ChunkFiller(message.files, unpacker);
          finish = open;
          send({ type: 'ready' });
        },
        (error: unknown) => send(failure(error)),
      );
      return;
    }
    try {
      if (filler === undefined || finish === undefined) throw new Error('a job came before the files were opened');
      const result = work(message.job, filler, finish);
      send({ type: 'result', result }, [result.bytes.buffer]);
    } catch (error) {
      send(failure(error));
    }
  });
  port.on('close', () => filler?.close());
}

async function openFinish(compression: Compression): Promise<(chunk: Uint8Array) => Uint8Array<ArrayBuffer>> {
  // A copy, because the result is transferred; Buffer.slice would be a view of the buffer that is filled next.
  if (compression.kind === 'none') return (chunk) => new Uint8Array(chunk);
  const engine: Engine = await openEngine(compression);
  return (chunk) => engine.gzip(chunk);
}

function failure(error: unknown): FromWorker {
  const { message, code } = error as NodeJS.ErrnoException;
  return { type: 'failed', message, code: code ?? 'unknown' };
}

function work(job: Job, filler: ChunkFiller, finish: (chunk: Uint8Array) => Uint8Array<ArrayBuffer>): Result {
  const { index, length } = job;
  const chunk = filler.fill(job);
  if (chunk === undefined) return { index, length, zero: true, bytes: new Uint8Array(0) };
  return { index, length, zero: false, bytes: finish(chunk) };
}

/** Puts chunks together from literals and the image's files. */
class ChunkFiller {
  readonly #paths: readonly string[];
  readonly #descriptors: (number | undefined)[] = [];
  readonly #chunk = Buffer.alloc(CHUNK);
  #stored = Buffer.alloc(64 * 1024);
  readonly #unpacker: Unpacker;
  /** The compressed cluster unpacked last: its neighbours in a chunk are parts of the same one. */
  #cluster = { file: -1, offset: -1, bytes: Buffer.alloc(0) };

  constructor(paths: readonly string[], unpacker: Unpacker) {
    this.#paths = paths;
    this.#unpacker = unpacker;
  }

  /** The bytes of the chunk in a buffer that the next call reuses, or undefined when all of them are zero. */
  fill(job: Job): Buffer | undefined {
    const { operations, literals } = job;
    let at = 0;
    let literal = 0;
    let nonzero = false;
    for (let op = 0; op < operations.length; op += OPERATION) {
      const kind = operations[op];
      const length = operations[op + 1] ?? 0;
      const target = this.#chunk.subarray(at, at + length);
      if (kind === KIND.literal) {
        target.set(literals.subarray(literal, literal + length));
        literal += length;
      } else if (kind === KIND.zero) {
        target.fill(0);
      } else if (kind === KIND.data) {
        this.#read(operations[op + 2] ?? 0, operations[op + 3] ?? 0, target);
      } else {
        this.#unpack(kind === KIND.zstd ? 'zstd' : 'deflate', operations.subarray(op, op + OPERATION), target);
      }
      if (kind !== KIND.zero && !nonzero) nonzero = !target.equals(ZEROS.subarray(0, length));
      at += length;
    }
    return nonzero ? this.#chunk.subarray(0, job.length) : undefined;
  }

  /** Reads a whole run; what lies past the end of the file is zeros, as QEMU reads it. */
  #read(file: number, offset: number, target: Buffer): void {
    const descriptor = this.#open(file);
    for (let done = 0; done < target.length; ) {
      const count = readSync(descriptor, target, done, target.length - done, offset + done);
      if (count === 0) {
        target.fill(0, done);
        return;
      }
      done += count;
    }
  }

  #unpack(codec: Codec, operation: Float64Array, target: Buffer): void {
    const [, length = 0, file = 0, offset = 0, storedLength = 0, unpackedLength = 0, skip = 0] = operation;
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
    this.#cluster.bytes.copy(target, 0, skip, skip + length);
  }

  #open(file: number): number {
    const path = this.#paths[file];
    if (path === undefined) throw new Error(`a job names file ${file} of ${this.#paths.length}`);
    this.#descriptors[file] ??= openSync(path, 'r');
    return this.#descriptors[file];
  }

  close(): void {
    for (const descriptor of this.#descriptors) if (descriptor !== undefined) closeSync(descriptor);
  }
}
