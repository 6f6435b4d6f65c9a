import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { StoredFile } from '../disk/file-identity.ts';
import { PackError } from '../errors.ts';
import {
  CHANGED,
  type Compression,
  type FromWorker,
  type Job,
  type Made,
  type Result,
  type ToWorker,
} from './chunk.ts';
import { Rooms } from './rooms.ts';
import { Threads } from './threads.ts';

interface Pending {
  readonly job: Job;
  /** Where its result is put. */
  into?: SharedArrayBuffer | undefined;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

interface Member {
  readonly worker: Worker;
  readonly exited: Promise<void>;
  /** Jobs sent and not answered, oldest first. */
  readonly sent: Pending[];
  ready: boolean;
}

/** A second small job waits in the worker while the first is compressed; a large one would keep it from an idle worker. */
const SMALL = 1024 * 1024;
/**
 * Bytes of a room for a result: a small chunk that does not shrink, and what is around it. Results that were sent as buffers of
 * their own had the collector at work for a tenth of the main thread's time.
 */
const ROOM = SMALL + 64 * 1024;
/** Rooms each worker has for small results where several outputs are made at once: two in the making and two being written. */
const SMALL_ROOMS = 4;
const NOTHING = new Uint8Array(0);
/** What is left after it ends with a worker that is stuck in a read. */
const CLOSE_MS = 5000;

/** Bytes of a room for what becomes of `chunk` bytes: no codec adds a hundredth and 64 KiB. */
function largeRoom(chunk: number): number {
  return chunk + Math.ceil(chunk / 100) + 64 * 1024;
}

export interface PoolOptions {
  readonly files: readonly StoredFile[];
  /** One for each output of the stream; a job names its own by its place. */
  readonly compressions: readonly Compression[];
  /** Workers. @default as many as the host runs at once */
  readonly size?: number | undefined;
  /** Where its rooms are taken from and given back to. */
  readonly rooms?: Rooms;
  /** Where its threads come from; tests put some in their place that fail. @default started when the pool is */
  readonly threads?: Threads;
}

/** Worker threads that compress chunks. Results come in any order; `run` answers each by its own promise. */
export class WorkerPool implements AsyncDisposable {
  readonly size: number;
  readonly #threads: Threads;
  readonly #sentAtOnce: number;
  readonly #stop = new SharedArrayBuffer(4);
  readonly #members: Member[] = [];
  readonly #waiting: Pending[] = [];
  readonly #rooms: Rooms;
  /** Rooms that may yet be taken for results of small chunks, and of large ones. */
  #smallLeft: number;
  #largeLeft: number;
  /** Bytes of a room for the result of a large chunk. */
  readonly #largeRoom: number;
  /** What literals came in that are compressed. */
  readonly #spare: ArrayBuffer[] = [];
  #failure: unknown;
  #closing = false;

  private constructor({ compressions, size = availableParallelism(), rooms = new Rooms(), threads }: PoolOptions) {
    this.size = size;
    const longest = Math.max(0, ...compressions.map(({ chunk }) => chunk));
    this.#sentAtOnce = longest > SMALL ? 1 : 2;
    this.#largeRoom = largeRoom(longest);
    const several = compressions.length > 1;
    this.#rooms = rooms;
    this.#smallLeft = several ? SMALL_ROOMS * size : Number.POSITIVE_INFINITY;
    this.#largeLeft = several ? size : size + 1;
    this.#threads = threads ?? new Threads();
  }

  /** Starts workers, each with `files` open and its engine ready. */
  static async start(options: PoolOptions): Promise<WorkerPool> {
    const pool = new WorkerPool(options);
    try {
      await pool.#open(options);
    } catch (error) {
      await pool[Symbol.asyncDispose]();
      throw error;
    }
    return pool;
  }

  /** As `start`, but does not wait for the workers: they begin with the first jobs when they are ready. */
  static begin(options: PoolOptions): WorkerPool {
    const pool = new WorkerPool(options);
    // Whoever waits for a result is told.
    pool.#open(options).catch(() => {});
    return pool;
  }

  async #open({ files, compressions }: PoolOptions): Promise<void> {
    const open: ToWorker = { type: 'open', files, compressions, stop: this.#stop };
    await Promise.all(Array.from({ length: this.size }, () => this.#add(open)));
  }

  /** Compresses one chunk. Rejects with a PackError when a worker fails; the pool is of no use after that. */
  run(job: Job): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#waiting.push({ job, resolve, reject });
      this.#dispatch();
    });
  }

  /** A buffer for literals of `length` bytes, with anything in it; those that are shorter are no longer of use. */
  takeSpare(length: number): ArrayBuffer | undefined {
    for (let spare = this.#spare.pop(); spare !== undefined; spare = this.#spare.pop()) {
      if (spare.byteLength >= length) return spare;
    }
    return undefined;
  }

  #dispatch(): void {
    for (const member of this.#members) {
      while (member.ready && member.sent.length < this.#sentAtOnce) {
        const next = this.#next();
        if (next === undefined) return;
        member.sent.push(next);
        const message: ToWorker = { type: 'job', job: next.job, into: next.into };
        member.worker.postMessage(message, [next.job.operations.buffer, next.job.literals.buffer]);
      }
    }
  }

  /**
   * The oldest job there is a room for. Rooms for small results of a single output are as many as nobody released: its
   * stream bounds them. Those for large ones are as many as workers, and one more where nothing else is held in memory.
   */
  #next(): Pending | undefined {
    for (const [at, pending] of this.#waiting.entries()) {
      const { length, room } = pending.job;
      if (room === undefined) pending.into = this.#takeRoom(length > SMALL);
      if (room === undefined && pending.into === undefined) continue;
      this.#waiting.splice(at, 1);
      return pending;
    }
    return undefined;
  }

  /** Older jobs are asked for first, so whatever has to be written before a result has its room before it. */
  #takeRoom(large: boolean): SharedArrayBuffer | undefined {
    if ((large ? this.#largeLeft : this.#smallLeft) === 0) return undefined;
    if (large) this.#largeLeft--;
    else this.#smallLeft--;
    return this.#rooms.take(large ? this.#largeRoom : ROOM);
  }

  #result({ index, length, hole, start, stored, bytes }: Made, into: SharedArrayBuffer | undefined): Result {
    const release = (): void => {
      if (into === undefined) return;
      this.#rooms.give(into);
      if (length > SMALL) this.#largeLeft++;
      else this.#smallLeft++;
      this.#dispatch();
    };
    const inRoom = into === undefined || hole ? NOTHING : new Uint8Array(into, start, stored);
    return { index, length, hole, bytes: bytes ?? inRoom, release };
  }

  #add(open: ToWorker): Promise<void> {
    const worker = this.#threads.take();
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const member: Member = { worker, exited, sent: [], ready: false };
    this.#members.push(member);
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        reject(error);
        this.#fail(error);
      };
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') {
          member.ready = true;
          this.#dispatch();
          return resolve();
        }
        if (message.type === 'failed') return fail(jobFailure(message));
        if (message.spare !== undefined) this.#spare.push(message.spare);
        const pending = member.sent.shift();
        pending?.resolve(this.#result(message.result, pending.into));
        this.#dispatch();
      });
      worker.on('error', (cause) => fail(workerDied(cause)));
      worker.on('exit', (code) => {
        if (!this.#closing) fail(workerDied(new Error(`exit code ${code}`)));
      });
      worker.postMessage(open);
    });
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const pending of [...this.#members.flatMap((member) => member.sent.splice(0)), ...this.#waiting.splice(0)]) {
      pending.reject(this.#failure);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#fail(new PackError('pack.closed', 'Cannot compress: the workers were stopped'));
    // A worker ended from outside keeps the memory its engine has of the system: each has to give it back itself.
    Atomics.store(new Int32Array(this.#stop), 0, 1);
    const close: ToWorker = { type: 'close' };
    for (const { worker } of this.#members) worker.postMessage(close);
    const timer = setTimeout(() => {
      for (const { worker } of this.#members) void worker.terminate();
    }, CLOSE_MS);
    await Promise.all(this.#members.map((member) => member.exited));
    clearTimeout(timer);
  }
}

function jobFailure(message: Extract<FromWorker, { type: 'failed' }>): PackError {
  if (message.stage === 'compress') {
    return new PackError('pack.compress', `Cannot compress: ${message.message}`, {
      hint: 'If memory was short, run with fewer --workers or a lower --level.',
    });
  }
  if (message.code === CHANGED) {
    return new PackError('pack.read', `Cannot read the disk image: ${message.message}`, {
      hint: 'Something else writes to it; stop that, then start again.',
    });
  }
  return new PackError('pack.read', `Cannot read the disk image: ${message.message} (${message.code})`, {
    hint: 'Check the storage the image lies on; a compressed cluster that does not inflate means a damaged image.',
  });
}

function workerDied(cause: unknown): PackError {
  return new PackError('pack.worker', 'Cannot compress: a worker thread ended by itself', {
    hint: 'If memory was short, run with fewer --workers.',
    cause,
  });
}
