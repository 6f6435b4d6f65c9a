/** The manifest of a tree made of the same bytes as its archive, while they pass. */
import type { Entry } from '../filesystem/file-tree.ts';
import { type ContentHash, contentHash } from './content-digest.ts';
import type { TreeListener } from './tree.ts';
import { type ManifestFile, type ManifestLine, manifestLine } from './tree-manifest.ts';

const ZEROS = new Uint8Array(64 * 1024);

/** A stretch of the stream that is content of a file. */
interface Run {
  /** Byte of the stream. */
  readonly start: number;
  readonly length: number;
  /** Byte of the file. */
  readonly position: number;
}

interface Waiting {
  readonly line: ManifestLine;
  /** Made when the first of its bytes pass: thousands wait, and each has memory of its own in OpenSSL. */
  hash: ContentHash | undefined;
  readonly runs: Run[];
}

/** Is told of the entries as they are written, and of the bytes as they pass later; keeps what lies between the two. */
export class ManifestTap implements TreeListener {
  readonly #file: ManifestFile;
  readonly #latestTime: bigint | undefined;
  readonly #waiting: Waiting[] = [];
  /** Bytes of the stream that have passed. */
  #passed = 0;

  constructor(file: ManifestFile, latestTime: bigint | undefined) {
    this.#file = file;
    this.#latestTime = latestTime;
  }

  entry(entry: Entry, first: Uint8Array | undefined): void {
    this.#waiting.push({ line: manifestLine(entry, first, this.#latestTime), hash: undefined, runs: [] });
  }

  content(start: number): void {
    const last = this.#waiting.at(-1);
    const data = last?.line.data;
    if (last === undefined || data === undefined) return;
    if (data.inline !== undefined) {
      last.runs.push({ start, length: data.size, position: 0 });
      return;
    }
    let at = start;
    for (const { length, logical } of data.extents) {
      last.runs.push({ start: at, length, position: logical });
      at += length;
    }
  }

  /** Takes the next bytes of the stream; undefined stands for zeros. */
  async take(bytes: Uint8Array | undefined, length: number): Promise<void> {
    const from = this.#passed;
    const to = from + length;
    this.#passed = to;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.line.data !== undefined) first.hash ??= contentHash(first.line.data.size);
      for (const run of first.runs) feed(first.hash, run, { from, to, bytes });
      const last = first.runs.at(-1);
      if (last !== undefined && last.start + last.length > to) return;
      // An entry may still have content to come as long as it is the one told of last.
      if (this.#waiting.length === 1 && !this.#over) return;
      this.#waiting.shift();
      await this.#file.add(first.line.text(first.hash?.digest()));
    }
  }

  #over = false;

  /** All entries were told and all bytes have passed. */
  async end(): Promise<void> {
    this.#over = true;
    await this.take(undefined, 0);
  }
}

interface Passing {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array | undefined;
}

/** The part of a run that is passing. */
function feed(hash: ContentHash | undefined, run: Run, { from, to, bytes }: Passing): void {
  const start = Math.max(run.start, from);
  const end = Math.min(run.start + run.length, to);
  let position = run.position + (start - run.start);
  if (bytes !== undefined) {
    if (start < end) hash?.add({ position, bytes: bytes.subarray(start - from, end - from) });
    return;
  }
  for (let at = start; at < end; ) {
    const zeros = ZEROS.subarray(0, Math.min(ZEROS.length, end - at));
    hash?.add({ position, bytes: zeros });
    at += zeros.length;
    position += zeros.length;
  }
}
