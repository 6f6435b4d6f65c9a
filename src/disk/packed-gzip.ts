/** Finds the members of a gzip file, which `compose pack`, pigz -i and bgzip compress apart. */
import { open } from 'node:fs/promises';
import { openGunzipMember } from '../host/gzip-member.ts';
import type { PackedPiece, UnpackPiece } from './packed-source.ts';

/** What a member may have at most, compressed and not; a longer one cannot be unpacked for every look into it. */
const STORED_LIMIT = 20 * 1024 * 1024;
const CONTENT_LIMIT = 16 * 1024 * 1024;
/** Read ahead of a member at first. */
const AHEAD = 2 * 1024 * 1024;

export interface PackedIndex {
  readonly pieces: readonly PackedPiece[];
  readonly unpack: UnpackPiece;
}

/**
 * Reads through the file once and answers where its members are; `onContent` sees the content of each, good until it
 * answers. Undefined where a member is too long to be read by itself, or damaged, or something follows the last one.
 */
export async function indexGzip(
  path: string,
  signal: AbortSignal,
  onContent: (content: Uint8Array) => void,
): Promise<PackedIndex | undefined> {
  const gunzip = await openGunzipMember();
  const file = await open(path, 'r');
  const room = Buffer.alloc(CONTENT_LIMIT);
  const pieces: PackedPiece[] = [];
  const window = new Window(file);
  let position = 0;
  try {
    for (;;) {
      signal.throwIfAborted();
      let stored = await window.ahead(AHEAD);
      if (stored.length === 0) break;
      // Zeros may pad the file; the first byte of a member is none.
      if (stored[0] === 0) {
        const zeros = stored.findIndex((byte) => byte !== 0);
        if (zeros >= 0) return undefined;
        window.pass(stored.length);
        continue;
      }
      let member = gunzip(stored, room);
      if (member === undefined && stored.length === AHEAD) {
        stored = await window.ahead(STORED_LIMIT);
        member = gunzip(stored, room);
      }
      if (member === undefined) return undefined;
      const { read, written } = member;
      const content = room.subarray(0, written);
      pieces.push({ offset: window.at, storedLength: read, position, length: written, zero: isZero(content) });
      onContent(content);
      position += written;
      window.pass(read);
    }
  } finally {
    await file.close();
  }
  const unpack: UnpackPiece = (bytes, { length }) => {
    const content = Buffer.alloc(length);
    if (gunzip(bytes, content)?.written !== length) throw new Error('the file changed while it was read');
    return content;
  };
  return { pieces, unpack };
}

/** The next bytes of a file, as many as are asked for. */
class Window {
  /** Position in the file of the first byte that was not passed. */
  at = 0;
  readonly #file: Awaited<ReturnType<typeof open>>;
  #bytes = Buffer.alloc(0);

  constructor(file: Awaited<ReturnType<typeof open>>) {
    this.#file = file;
  }

  async ahead(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      const more = Buffer.alloc(Math.max(length, 4 * AHEAD) - this.#bytes.length);
      const { bytesRead } = await this.#file.read(more, 0, more.length, this.at + this.#bytes.length);
      if (bytesRead === 0) break;
      this.#bytes = Buffer.concat([this.#bytes, more.subarray(0, bytesRead)]);
    }
    return this.#bytes.subarray(0, length);
  }

  pass(length: number): void {
    this.#bytes = this.#bytes.subarray(length);
    this.at += length;
  }
}

const ZEROS = Buffer.alloc(64 * 1024);

export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (ZEROS.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}
