/** Structured replies of the NBD transmission phase (NetworkBlockDevice/nbd, doc/proto.md, "Structured reply chunks"). */

import { nbdDamaged } from './nbd.ts';

const SIMPLE_MAGIC = 0x67446698;
const STRUCTURED_MAGIC = 0x668e33ef;
const HEADER = 20;
const SIMPLE_HEADER = 16;
const DONE = 1;
const CHUNK = { none: 0, data: 1, hole: 2, blockStatus: 5, error: 0x8001, errorOffset: 0x8002 } as const;
const ERROR_BIT = 0x8000;
/** Longest chunk without file data: QEMU tells 2^17 extents at most (NBD_MAX_BLOCK_STATUS_EXTENTS), 8 bytes each. */
const PLAIN_CHUNK_LIMIT = 1024 * 1024 + 4;
/** Longest chunk with file data: no request of a client that negotiated nothing may ask for more. */
const DATA_CHUNK_LIMIT = 32 * 1024 * 1024 + 8;

/** Part of an answer. An answer is over with its `done`. */
export type NbdReply =
  /** Some bytes of the export from `offset` on; a view of what was pushed, valid until the next push. */
  | { readonly type: 'data'; readonly cookie: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: 'hole'; readonly cookie: number; readonly offset: number; readonly length: number }
  /** `words`: length and flags of each extent, in turn. */
  | { readonly type: 'status'; readonly cookie: number; readonly context: number; readonly words: Uint32Array }
  /** `code` is an errno of Linux. */
  | { readonly type: 'error'; readonly cookie: number; readonly code: number; readonly message: string }
  | { readonly type: 'done'; readonly cookie: number };

/** Takes replies apart, whatever pieces they come in. File data is passed on as it comes and never collected. */
export class NbdReplyDecoder {
  /** Of a header, or of a chunk without file data. */
  #held = new Uint8Array(HEADER);
  #have = 0;
  #want = SIMPLE_HEADER;
  #state: 'header' | 'offset' | 'data' | 'plain' = 'header';
  #chunk = { done: false, type: 0, cookie: 0 };
  /** While in `data`: where the next byte belongs, and how many are to come. */
  #offset = 0;
  #left = 0;

  /**
   * What `bytes` complete.
   * @throws FormatError `nbd.damaged` for what is no reply, or one longer than any request allows
   */
  *push(bytes: Uint8Array): Generator<NbdReply, void, undefined> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === 'data') {
        const part = bytes.subarray(at, at + this.#left);
        at += part.length;
        const { cookie } = this.#chunk;
        yield { type: 'data', cookie, offset: this.#offset, bytes: part };
        this.#offset += part.length;
        this.#left -= part.length;
        if (this.#left === 0) yield* this.#endOfChunk();
        continue;
      }
      const part = bytes.subarray(at, at + this.#want - this.#have);
      this.#held.set(part, this.#have);
      this.#have += part.length;
      at += part.length;
      if (this.#have === this.#want) yield* this.#whole(new DataView(this.#held.buffer, 0, this.#want));
    }
  }

  *#whole(view: DataView): Generator<NbdReply, void, undefined> {
    if (this.#state === 'header') yield* this.#header(view);
    else if (this.#state === 'plain') yield* this.#plain(view);
    else {
      this.#offset = safe(view.getBigUint64(0), 'offset');
      if (this.#left === 0) throw nbdDamaged('a chunk of data has no data');
      this.#state = 'data';
    }
  }

  *#header(view: DataView): Generator<NbdReply, void, undefined> {
    const magic = view.getUint32(0);
    if (magic === SIMPLE_MAGIC) {
      const cookie = safe(view.getBigUint64(8), 'cookie');
      const code = view.getUint32(4);
      // Structured replies were negotiated, so a simple one carries no data: it ends a request that failed.
      if (code === 0) throw nbdDamaged('it gave a simple reply where a structured one was negotiated');
      yield { type: 'error', cookie, code, message: '' };
      this.#expect('header', SIMPLE_HEADER);
      yield { type: 'done', cookie };
      return;
    }
    if (magic !== STRUCTURED_MAGIC) throw nbdDamaged(`a reply begins with 0x${magic.toString(16)}`);
    if (this.#want < HEADER) {
      this.#want = HEADER;
      return;
    }
    const type = view.getUint16(6);
    this.#chunk = { done: (view.getUint16(4) & DONE) !== 0, type, cookie: safe(view.getBigUint64(8), 'cookie') };
    const length = view.getUint32(16);
    if (type === CHUNK.data) {
      if (length < 8 || length > DATA_CHUNK_LIMIT) throw nbdDamaged(`a chunk of data has ${length} bytes`);
      this.#left = length - 8;
      this.#expect('offset', 8);
    } else {
      if (length > PLAIN_CHUNK_LIMIT) throw nbdDamaged(`a chunk of type ${type} has ${length} bytes`);
      this.#expect('plain', length);
      if (length === 0) yield* this.#plain(new DataView(this.#held.buffer, 0, 0));
    }
  }

  *#plain(view: DataView): Generator<NbdReply, void, undefined> {
    const { type, cookie } = this.#chunk;
    const length = view.byteLength;
    if (type === CHUNK.none) {
      if (length !== 0 || !this.#chunk.done) throw nbdDamaged('an empty chunk is not the end of its reply');
    } else if (type === CHUNK.hole) {
      if (length !== 12) throw nbdDamaged(`a hole is described in ${length} bytes, not 12`);
      yield { type: 'hole', cookie, offset: safe(view.getBigUint64(0), 'offset'), length: view.getUint32(8) };
    } else if (type === CHUNK.blockStatus) {
      if (length < 12 || length % 8 !== 4) throw nbdDamaged(`block status comes in ${length} bytes`);
      const words = new Uint32Array((length - 4) / 4);
      for (let index = 0; index < words.length; index++) words[index] = view.getUint32(4 + 4 * index);
      yield { type: 'status', cookie, context: view.getUint32(0), words };
    } else if ((type & ERROR_BIT) !== 0) {
      yield { type: 'error', cookie, ...errorOf(view) };
    } else {
      throw nbdDamaged(`a chunk has the unknown type ${type}`);
    }
    yield* this.#endOfChunk();
  }

  *#endOfChunk(): Generator<NbdReply, void, undefined> {
    const { done, cookie } = this.#chunk;
    this.#expect('header', SIMPLE_HEADER);
    if (done) yield { type: 'done', cookie };
  }

  #expect(state: 'header' | 'offset' | 'plain', length: number): void {
    this.#state = state;
    this.#have = 0;
    this.#want = length;
    // What was long is let go; what is short keeps its room.
    if (length > this.#held.length || this.#held.length > 4096) this.#held = new Uint8Array(Math.max(length, HEADER));
  }
}

function errorOf(view: DataView): { readonly code: number; readonly message: string } {
  if (view.byteLength < 6) throw nbdDamaged(`an error is described in ${view.byteLength} bytes`);
  const length = view.getUint16(4);
  if (6 + length > view.byteLength) throw nbdDamaged('the text of an error leaves its chunk');
  const text = new Uint8Array(view.buffer, view.byteOffset + 6, length);
  return { code: view.getUint32(0), message: new TextDecoder().decode(text.subarray(0, 500)) };
}

function safe(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw nbdDamaged(`a reply has the ${what} ${value}`);
  return Number(value);
}
