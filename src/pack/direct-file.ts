import { constants, type FileHandle, open } from 'node:fs/promises';
import { writeWholly } from './cached-file.ts';
import { copyBytes } from './copy-bytes.ts';
import type { OutputFile } from './output-file.ts';

/** Addresses, offsets and lengths of direct I/O are multiples of it (open(2), O_DIRECT): the largest that common disks ask for. */
const BLOCK = 4096;
/** Bytes written at a time. Two rooms of it are held: one is filled while the other is written. */
const ROOM = 2 * 1024 * 1024;
const WASM_PAGE = 64 * 1024;

/** What is used of the file that is open for direct writes. */
type WritableHandle = Pick<FileHandle, 'write' | 'close'>;

/** What is used of it; a Node that may not compile at run time has none. */
declare const WebAssembly:
  | { Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer } }
  | undefined;

/**
 * Writes past the host's page cache: to have a gigabyte copied into the cache and brought to the disk from there takes 0.3 s of
 * processor time on a host with free memory and up to 3 s where other files fill it (Linux 6.18, ext4), written directly a
 * tenth of a second; and what the host has in its cache stays there, the disk that is packed among it.
 */
export class DirectFile implements OutputFile {
  readonly #cached: FileHandle;
  readonly #direct: WritableHandle;
  #useDirect = true;
  #room: Buffer;
  #spare: Buffer;
  #filled = 0;
  /** Where in the file the room begins. */
  #position = 0;
  #writing: Promise<void> | undefined;
  /** Those who append take turns: the room is filled in their order. */
  #turn: Promise<void> = Promise.resolve();

  private constructor(cached: FileHandle, direct: WritableHandle, rooms: readonly [Buffer, Buffer]) {
    this.#cached = cached;
    this.#direct = direct;
    [this.#room, this.#spare] = rooms;
  }

  /** Opens the new file at `path`, which `cached` has open for writing, a second time; undefined where its file system cannot. */
  static async of(path: string, cached: FileHandle, again = openDirect): Promise<DirectFile | undefined> {
    const [room, spare] = [alignedRoom(), alignedRoom()];
    if (room === undefined || spare === undefined) return undefined;
    const direct = await again(path).catch(() => undefined);
    return direct && new DirectFile(cached, direct, [room, spare]);
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#put(bytes));
  }

  skip(length: number): Promise<void> {
    return this.#inTurn(() => this.#skip(length));
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(act);
    this.#turn = done;
    // Whoever appended is told; `complete` comes after all of them.
    done.catch(() => {});
    return done;
  }

  async #put(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + ROOM - this.#filled);
      copyBytes(this.#room, this.#filled, part);
      at += part.length;
      this.#filled += part.length;
      if (this.#filled === ROOM) await this.#send();
    }
  }

  /** A hole begins and ends with a block; what is around it is written. */
  async #skip(length: number): Promise<void> {
    const before = Math.min(length, (BLOCK - (this.#filled % BLOCK)) % BLOCK);
    const after = (length - before) % BLOCK;
    const hole = length - before - after;
    await this.#put(new Uint8Array(before));
    if (hole > 0) {
      await this.#send();
      this.#position += hole;
    }
    await this.#put(new Uint8Array(after));
  }

  /** Begins to write the room, which ends with a block, once the other one is written. */
  async #send(): Promise<void> {
    await this.#writing;
    if (this.#filled === 0) return;
    const full = this.#room.subarray(0, this.#filled);
    const position = this.#position;
    [this.#room, this.#spare] = [this.#spare, this.#room];
    this.#position += this.#filled;
    this.#filled = 0;
    this.#writing = this.#write(full, position);
    // Whoever waits for it next is told.
    this.#writing.catch(() => {});
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    if (this.#useDirect) {
      try {
        return await writeWholly(this.#direct, bytes, position);
      } catch (error) {
        // A file system that wants larger blocks, or has no direct I/O for this file after all, says so with the first write.
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
        this.#useDirect = false;
      }
    }
    await writeWholly(this.#cached, bytes, position);
  }

  async complete(): Promise<void> {
    await this.#turn;
    await this.#writing;
    const size = this.#position + this.#filled;
    await writeWholly(this.#cached, this.#room.subarray(0, this.#filled), this.#position);
    // The file may end with a hole.
    await this.#cached.truncate(size);
    await this.#cached.sync();
    await this.#direct.close();
    await this.#cached.close();
  }

  async close(): Promise<void> {
    await this.#turn.catch(() => {});
    await this.#writing?.catch(() => {});
    await this.#direct.close();
    await this.#cached.close();
  }
}

/** @throws EINVAL where the file system has no direct writes */
async function openDirect(path: string): Promise<WritableHandle> {
  if (constants.O_DIRECT === undefined) throw new Error('the host has no direct writes');
  return open(path, constants.O_WRONLY | constants.O_DIRECT);
}

/** The one memory of JavaScript that is known to begin with a page of the host; undefined where there is none. */
function alignedRoom(): Buffer | undefined {
  if (typeof WebAssembly === 'undefined') return undefined;
  const pages = ROOM / WASM_PAGE;
  try {
    return Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
  } catch {
    // A limit on the address space (ulimit -v): V8 reserves much more of it than it uses.
    return undefined;
  }
}
