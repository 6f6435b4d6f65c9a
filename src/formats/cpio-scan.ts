import { FormatError } from '../errors.ts';
import { CPIO_ALIGNMENT } from './cpio.ts';
import { cpioHeader, cpioName, HEADER_LENGTH, isCpio, TRAILER } from './cpio-read.ts';

/**
 * Tells the paths of archives of the "newc" form that come in pieces of any length, one archive or several with zeros between
 * them. What is in the members is passed over as it comes, so that an initial file system need not be held unpacked.
 */
export class CpioScan {
  readonly #onPath: (path: string) => void;
  /** Head and name of the member that is under way, as far as they have come. */
  readonly #head = Buffer.alloc(HEADER_LENGTH + 4096);
  #held = 0;
  #needed = HEADER_LENGTH;
  /** Bytes that came before this piece and in it. */
  #at = 0;
  /** Where the content of the member ends, and where the next one may begin. */
  #contentEnd = 0;
  #next = 0;

  constructor(onPath: (path: string) => void) {
    this.#onPath = onPath;
  }

  /** @throws FormatError `cpio.not-cpio`, `cpio.damaged` */
  take(piece: Uint8Array): void {
    for (let offset = 0; offset < piece.length; ) {
      const passed = Math.min(this.#next - this.#at, piece.length - offset);
      if (passed > 0) {
        offset += passed;
        this.#at += passed;
      } else if (this.#held === 0 && piece[offset] === 0) {
        offset++;
        this.#at++;
      } else {
        const part = piece.subarray(offset, offset + this.#needed - this.#held);
        this.#head.set(part, this.#held);
        this.#held += part.length;
        this.#at += part.length;
        offset += part.length;
        if (this.#held === this.#needed) this.#member();
      }
    }
  }

  /** After the last piece. @throws FormatError `cpio.truncated` */
  end(): void {
    if (this.#held === 0 && this.#at >= this.#contentEnd) return;
    throw new FormatError('cpio.truncated', `Cannot read the cpio archive: it ends within a member (byte ${this.#at})`);
  }

  #member(): void {
    const start = this.#at - this.#held;
    if (start % CPIO_ALIGNMENT !== 0 || !isCpio(this.#head, 0)) {
      const why = `no member begins at byte ${start}`;
      throw new FormatError('cpio.not-cpio', `Cannot read the cpio archive: ${why}`);
    }
    const { size, nameSize } = cpioHeader(this.#head, 0, start);
    if (this.#held < HEADER_LENGTH + nameSize) {
      this.#needed = HEADER_LENGTH + nameSize;
      return;
    }
    const path = cpioName(this.#head.subarray(HEADER_LENGTH, this.#held), start);
    if (path !== TRAILER) this.#onPath(path);
    const contentAt = aligned(this.#at);
    this.#contentEnd = contentAt + size;
    this.#next = aligned(contentAt + size);
    [this.#held, this.#needed] = [0, HEADER_LENGTH];
  }
}

function aligned(at: number): number {
  return Math.ceil(at / CPIO_ALIGNMENT) * CPIO_ALIGNMENT;
}
