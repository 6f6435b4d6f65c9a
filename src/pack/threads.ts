import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { builtModule } from '../host/built-module.ts';

/** A worker's own objects are few and short-lived; its large buffers lie outside these heaps. */
const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 256 };

interface Spare {
  readonly worker: Worker;
  readonly exited: Promise<void>;
  ended: boolean;
}

/**
 * Worker threads before a pool has them. Each takes 50 ms to start, on a processor that has nothing else to do while the main
 * thread loads its own modules and looks for the root.
 */
export class Threads implements AsyncDisposable {
  readonly #module: URL;
  readonly #spare: Spare[] = [];

  /** `module` is what a thread runs. */
  constructor(module = builtModule(import.meta.url, './worker.js')) {
    this.#module = module;
  }

  /** As many as `size` start now. @default as many as the host runs at once */
  static start(size = availableParallelism()): Threads {
    const threads = new Threads();
    for (let i = 0; i < size; i++) threads.#spare.push(threads.#begin());
    return threads;
  }

  #begin(): Spare {
    const worker = this.#new();
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const spare: Spare = { worker, exited, ended: false };
    worker.once('exit', () => {
      spare.ended = true;
    });
    // One that cannot start is told of by the one that takes its place.
    worker.once('error', () => {});
    return spare;
  }

  /** A thread that is the caller's to end: one of those that were started, or a new one. */
  take(): Worker {
    for (let spare = this.#spare.shift(); spare !== undefined; spare = this.#spare.shift()) {
      if (!spare.ended) return spare.worker;
    }
    return this.#new();
  }

  #new(): Worker {
    return new Worker(this.#module, { resourceLimits: LIMITS });
  }

  /** Ends those that nobody took. */
  async [Symbol.asyncDispose](): Promise<void> {
    const left = this.#spare.splice(0);
    for (const { worker } of left) void worker.terminate();
    await Promise.all(left.map(({ exited }) => exited));
  }
}
