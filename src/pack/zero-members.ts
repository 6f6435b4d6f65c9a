import { type Compression, type Job, KIND, OPERATION, type Result } from './chunk.ts';
import type { WorkerPool } from './pool.ts';

/** Members that are written at once: of chunks of 1 MiB, 1 GiB of zeros in 1 MiB. */
export const MOST_MEMBERS = 1024;

/**
 * Members of chunks of nothing but zeros, which follow one another by the thousand in a large disk. Sent to a worker one by one
 * they took as long as all the data of a disk of 100 GiB.
 */
export class ZeroMembers {
  readonly #pool: WorkerPool;
  readonly #chunk: number;
  readonly #place: number;
  /** Chunks that were kept since the last `take`. */
  #kept = 0;
  #all: Promise<{ readonly bytes: Uint8Array; readonly each: number }> | undefined;

  private constructor(pool: WorkerPool, chunk: number, place: number) {
    this.#pool = pool;
    this.#chunk = chunk;
    this.#place = place;
  }

  /**
   * Undefined for kinds of files whose members are not independent of one another, or are holes.
   * @param place that of the compression in the pool
   */
  static of(pool: WorkerPool, { kind, chunk }: Compression, place = 0): ZeroMembers | undefined {
    return kind === 'gzip' || kind === 'bzip2' ? new ZeroMembers(pool, chunk, place) : undefined;
  }

  /** Keeps `job` if it is a whole chunk of zeros that need not be read. */
  keeps({ length, operations }: Job): boolean {
    const whole = length === this.#chunk && operations.length === OPERATION && operations[0] === KIND.zero;
    if (whole) this.#kept++;
    return whole;
  }

  /** Whether nothing more may be kept before they are taken. */
  get full(): boolean {
    return this.#kept === MOST_MEMBERS;
  }

  /** The members of the chunks that were kept; undefined where there are none. */
  take(): Promise<Result> | undefined {
    const count = this.#kept;
    this.#kept = 0;
    return count === 0 ? undefined : this.#members(count);
  }

  /** The bytes a worker makes of one, as often. */
  async #members(count: number): Promise<Result> {
    this.#all ??= this.#make();
    const { bytes, each } = await this.#all;
    return {
      index: 0,
      length: count * this.#chunk,
      hole: false,
      bytes: bytes.subarray(0, count * each),
      release: () => {},
    };
  }

  async #make(): Promise<{ bytes: Uint8Array; each: number }> {
    const operations = Float64Array.of(KIND.zero, this.#chunk, 0, 0, 0, 0, 0);
    const job: Job = {
      index: 0,
      length: this.#chunk,
      operations,
      literals: new Uint8Array(0),
      literalsReturn: false,
      blocks: [],
      compression: this.#place,
    };
    const made = await this.#pool.run(job);
    const each = made.bytes.length;
    const bytes = new Uint8Array(each * MOST_MEMBERS);
    for (let at = 0; at < bytes.length; at += each) bytes.set(made.bytes, at);
    made.release();
    return { bytes, each };
  }
}
