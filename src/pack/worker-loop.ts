import type { MessagePort } from 'node:worker_threads';
import { openUnpacker } from '../disk/unpacker.ts';
import type { Compression, FromWorker, Job, Result, ToWorker } from './chunk.ts';
import { ChunkFiller } from './chunk-filler.ts';
import type { Engine } from './codec.ts';
import { openEngine } from './engine.ts';
import { joined } from './joined.ts';

const ZEROS = Buffer.alloc(1024 * 1024);

/** Answers jobs on `port` until it is told to close. File data is read here, so that it never passes through the main thread. */
export function serve(port: MessagePort): void {
  let bench: Workbench | undefined;
  const send = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
  const open = async (message: Extract<ToWorker, { type: 'open' }>): Promise<void> => {
    const { compression, files, stop } = message;
    const [engine, unpacker] = await Promise.all([openCompression(compression), openUnpacker()]);
    bench = new Workbench(new ChunkFiller(files, unpacker, new Int32Array(stop)), engine);
    send({ type: 'ready' });
  };
  port.on('message', (message: ToWorker) => {
    if (message.type === 'open') {
      open(message).catch((error: unknown) => send(failure(error, 'compress')));
    } else if (message.type === 'close') {
      bench?.close();
      port.close();
    } else {
      try {
        if (bench === undefined) throw new Error('a job came before the files were opened');
        const result = bench.work(message.job);
        send({ type: 'result', result }, [result.bytes.buffer]);
      } catch (error) {
        send(failure(error, bench?.stage ?? 'read'));
      }
    }
  });
}

async function openCompression(compression: Compression): Promise<Engine | undefined> {
  if (compression.kind === 'none') return undefined;
  const { kind, engine, level, chunk } = compression;
  return openEngine({ codec: kind, engine, level, chunk });
}

function failure(error: unknown, stage: 'read' | 'compress'): FromWorker {
  const { message, code } = error as NodeJS.ErrnoException;
  return { type: 'failed', stage, message, code: code ?? 'unknown' };
}

/** What a worker has to do its jobs with. */
class Workbench {
  readonly #filler: ChunkFiller;
  readonly #engine: Engine | undefined;
  /** Members of nothing but zeros, by their length: each is made once. */
  readonly #zeroMembers = new Map<number, Uint8Array<ArrayBuffer>>();
  /** What it is at, for the error. */
  stage: 'read' | 'compress' = 'read';

  constructor(filler: ChunkFiller, engine: Engine | undefined) {
    this.#filler = filler;
    this.#engine = engine;
  }

  work(job: Job): Result {
    const { index, length } = job;
    this.stage = 'read';
    const parts = this.#filler.parts(job);
    let zeros = 0;
    for (let part = parts.next(); part.done !== true; part = parts.next()) {
      if (isZero(part.value)) zeros += part.value.length;
      else return { index, length, hole: false, bytes: this.#finish(this.#watched(zeros, part.value, parts), length) };
    }
    if (this.#engine === undefined) return { index, length, hole: true, bytes: new Uint8Array(0) };
    // Copies, because what is sent is transferred.
    const known = this.#zeroMembers.get(length);
    if (known !== undefined) return { index, length, hole: false, bytes: known.slice() };
    const member = this.#finish(zeroParts(length), length);
    this.#zeroMembers.set(length, member);
    return { index, length, hole: false, bytes: member.slice() };
  }

  #finish(parts: Iterable<Uint8Array>, length: number): Uint8Array<ArrayBuffer> {
    this.stage = 'compress';
    if (this.#engine !== undefined) return this.#engine.member(parts, length);
    return new Uint8Array(joined(parts, length));
  }

  /** Zeros, the part at hand and those after it; while one is made, the stage is that of reading. */
  *#watched(zeros: number, first: Uint8Array, rest: Iterator<Uint8Array>): Generator<Uint8Array> {
    yield* zeroParts(zeros);
    yield first;
    for (;;) {
      this.stage = 'read';
      const part = rest.next();
      this.stage = 'compress';
      if (part.done === true) return;
      yield part.value;
    }
  }

  close(): void {
    this.#filler.close();
    this.#engine?.close();
  }
}

function isZero(part: Buffer): boolean {
  return part.equals(ZEROS.subarray(0, part.length));
}

function* zeroParts(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}
