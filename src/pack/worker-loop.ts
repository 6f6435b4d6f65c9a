import type { MessagePort } from 'node:worker_threads';
import { openUnpacker } from '../disk/unpacker.ts';
import type { Compression, FromWorker, Job, Made, ToWorker } from './chunk.ts';
import { ChunkFiller } from './chunk-filler.ts';
import type { Engine } from './codec.ts';
import { copyBytes } from './copy-bytes.ts';
import { openEngine } from './engine.ts';
import { joined } from './joined.ts';

const ZEROS = Buffer.alloc(1024 * 1024);

/** Answers jobs on `port` until it is told to close. File data is read here, so that it never passes through the main thread. */
export function serve(port: MessagePort): void {
  let bench: Workbench | undefined;
  const send = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
  const open = async (message: Extract<ToWorker, { type: 'open' }>): Promise<void> => {
    const { compressions, files, stop } = message;
    const [unpacker, ...engines] = await Promise.all([openUnpacker(), ...openCompressions(compressions)]);
    bench = new Workbench(new ChunkFiller(files, unpacker, new Int32Array(stop)), engines);
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
        const { literals, literalsReturn } = message.job;
        const spare = literalsReturn ? literals.buffer : undefined;
        const result = bench.work(message.job, message.into);
        const owned = [result.bytes?.buffer, spare].filter((one) => one !== undefined);
        send({ type: 'result', result, spare }, owned);
      } catch (error) {
        send(failure(error, bench?.stage ?? 'read'));
      }
    }
  });
}

/** Outputs that are compressed alike share one engine: an encoder of xz takes 36 MiB. */
function openCompressions(compressions: readonly Compression[]): Promise<Engine | undefined>[] {
  const opened = new Map<string, Promise<Engine | undefined>>();
  return compressions.map((compression) => {
    const key = JSON.stringify(compression);
    const engine = opened.get(key) ?? openCompression(compression);
    opened.set(key, engine);
    return engine;
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
  readonly #lines: readonly Line[];
  /** What it is at, for the error. */
  stage: 'read' | 'compress' = 'read';

  constructor(filler: ChunkFiller, engines: readonly (Engine | undefined)[]) {
    this.#filler = filler;
    this.#lines = engines.map((engine) => ({ engine, zeroMembers: new Map() }));
  }

  work(job: Job, into: SharedArrayBuffer | undefined): Made {
    const { index, length, room, compression = 0 } = job;
    const made = (member: Uint8Array, keep: boolean): Made => {
      return { index, length, hole: false, ...handOver(member, into, keep) };
    };
    const line = this.#lines[compression];
    this.stage = 'read';
    const parts = this.#filler.parts(job);
    let zeros = 0;
    for (let part = parts.next(); part.done !== true; part = parts.next()) {
      if (isZero(part.value)) {
        zeros += part.value.length;
        continue;
      }
      const whole = this.#watched(zeros, part.value, parts);
      // A chunk that is not compressed may lie in the filler's own buffer.
      if (room === undefined) return made(this.#finish(whole, job, into), line?.engine === undefined);
      putInto(room, whole);
      return { index, length, hole: false, start: 0, stored: 0 };
    }
    if (room !== undefined || line?.engine === undefined) return { index, length, hole: true, start: 0, stored: 0 };
    const known = line.zeroMembers.get(length) ?? this.#finish(zeroParts(length), job).slice();
    line.zeroMembers.set(length, known);
    return made(known, true);
  }

  #finish(parts: Iterable<Uint8Array>, { length, compression = 0 }: Job, into?: SharedArrayBuffer): Uint8Array {
    this.stage = 'compress';
    const engine = this.#lines[compression]?.engine;
    if (engine !== undefined) return engine.member(parts, length, into && new Uint8Array(into));
    return joined(parts, length);
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
    for (const engine of new Set(this.#lines.map((line) => line.engine))) engine?.close();
  }
}

/** One of the ways this worker compresses. */
interface Line {
  readonly engine: Engine | undefined;
  /** Members of nothing but zeros, by their length: each is made once. */
  readonly zeroMembers: Map<number, Uint8Array>;
}

function putInto(room: SharedArrayBuffer, parts: Iterable<Uint8Array>): void {
  const whole = Buffer.from(room);
  let at = 0;
  for (const part of parts) {
    copyBytes(whole, at, part);
    at += part.length;
  }
}

/** Puts a member where the main thread reads it. One that is too long is sent: as it is, where it has a buffer of its own that nobody needs to `keep`. */
function handOver(
  member: Uint8Array,
  into: SharedArrayBuffer | undefined,
  keep: boolean,
): Pick<Made, 'start' | 'stored' | 'bytes'> {
  if (member.buffer === into) return { start: member.byteOffset, stored: member.length };
  if (into === undefined || member.length > into.byteLength) {
    const own = !keep && member.length === member.buffer.byteLength && !isShared(member);
    return { start: 0, stored: 0, bytes: own ? (member as Uint8Array<ArrayBuffer>) : new Uint8Array(member) };
  }
  copyBytes(Buffer.from(into), 0, member);
  return { start: 0, stored: member.length };
}

function isShared({ buffer }: Uint8Array): boolean {
  return buffer instanceof SharedArrayBuffer;
}

function isZero(part: Buffer): boolean {
  return part.equals(ZEROS.subarray(0, part.length));
}

function* zeroParts(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}
