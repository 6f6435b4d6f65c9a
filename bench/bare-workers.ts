/**
 * `node bare-workers.js <tar> <out>`: compresses a file that is in memory already with libdeflate in as many workers as the host
 * has cores, in the chunks and at the level of compose, and prints the milliseconds from the first chunk to the last.
 * Nothing but libdeflate is called for a chunk, so that one that is compressed already is compressed again. Nothing that
 * is made is kept; `out` gets as many zeros, so that its size can be compared.
 */
import { closeSync, fstatSync, openSync, readSync, truncateSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { LIBDEFLATE, loadNativeLibrary } from '../src/host/native-library.ts';
import { LEVELS } from '../src/pack/engine.ts';

const CHUNK = 1024 * 1024;

interface Work {
  readonly input: SharedArrayBuffer;
  readonly length: number;
  /** Number of the next chunk. */
  readonly next: SharedArrayBuffer;
}

async function compress({ input, length, next }: Work): Promise<void> {
  const { library } = await loadNativeLibrary(LIBDEFLATE);
  const compressor = library.func('void *libdeflate_alloc_compressor(int level)')(LEVELS.gzip.usual) as unknown;
  const bound = library.func('size_t libdeflate_gzip_compress_bound(void *c, size_t n)');
  const gzip = library.func('size_t libdeflate_gzip_compress(void *c, void *in, size_t n, void *out, size_t room)');
  const room = new Uint8Array(Number(bound(compressor, CHUNK)));
  const counter = new Int32Array(next);
  parentPort?.postMessage('ready');
  parentPort?.once('message', () => {
    let made = 0;
    for (let at = Atomics.add(counter, 0, 1); at * CHUNK < length; at = Atomics.add(counter, 0, 1)) {
      const chunk = new Uint8Array(input, at * CHUNK, Math.min(CHUNK, length - at * CHUNK));
      const bytes = Number(gzip(compressor, chunk, chunk.length, room, room.length));
      if (bytes === 0) throw new RangeError(`libdeflate could not compress chunk ${at}`);
      made += bytes;
    }
    parentPort?.postMessage(made);
  });
}

/** A whole file; `readFile` has none above 2 GiB. */
function readShared(path: string): SharedArrayBuffer {
  const file = openSync(path, 'r');
  try {
    const bytes = new SharedArrayBuffer(fstatSync(file).size);
    for (let at = 0; at < bytes.byteLength; ) {
      const part = new Uint8Array(bytes, at, Math.min(64 * CHUNK, bytes.byteLength - at));
      const read = readSync(file, part, 0, part.length, at);
      if (read === 0) throw new Error(`${path} became shorter`);
      at += read;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

async function main(tar: string, out: string): Promise<void> {
  const input = readShared(tar);
  const work: Work = { input, length: input.byteLength, next: new SharedArrayBuffer(4) };
  const workers = Array.from({ length: availableParallelism() }, () => {
    return new Worker(new URL(import.meta.url), { workerData: work });
  });
  const answer = (worker: Worker): Promise<unknown> => new Promise((resolve) => worker.once('message', resolve));
  await Promise.all(workers.map(answer));
  const start = performance.now();
  const made = await Promise.all(
    workers.map((worker) => {
      const done = answer(worker) as Promise<number>;
      worker.postMessage('go');
      return done;
    }),
  );
  console.log(performance.now() - start);
  writeFileSync(out, '');
  truncateSync(
    out,
    made.reduce((sum, bytes) => sum + bytes, 0),
  );
}

if (isMainThread) await main(process.argv[2] ?? '', process.argv[3] ?? '');
else await compress(workerData as Work);
