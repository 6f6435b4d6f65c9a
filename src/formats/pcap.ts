/** Capture files as QEMU's filter-dump writes them: classic pcap, Ethernet (draft-ietf-opsawg-pcap, net/dump.c). */
import { FormatError } from '../errors.ts';

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const MAGIC = 0xa1b2c3d4;
/** Longest frame taken; filter-dump's `maxlen` is far below. */
const MAX_FRAME = 256 * 1024;

/** Takes a capture file apart as it grows, however it was cut on the way. */
export class PcapReader {
  #left: Uint8Array = new Uint8Array(0);
  #little: boolean | undefined;

  /** The frames that `bytes` completes, cut off where the capture cut them. @throws FormatError `pcap.damaged` */
  push(bytes: Uint8Array): Uint8Array[] {
    const all = new Uint8Array(this.#left.length + bytes.length);
    all.set(this.#left);
    all.set(bytes, this.#left.length);
    const view = new DataView(all.buffer);
    let at = 0;
    if (this.#little === undefined) {
      if (all.length < FILE_HEADER) {
        this.#left = all;
        return [];
      }
      this.#little = view.getUint32(0, true) === MAGIC;
      if (!this.#little && view.getUint32(0) !== MAGIC) throw damaged('it does not begin with its magic number');
      at = FILE_HEADER;
    }
    const frames: Uint8Array[] = [];
    while (all.length - at >= RECORD_HEADER) {
      const length = view.getUint32(at + 8, this.#little);
      if (length > MAX_FRAME) throw damaged(`a frame has ${length} bytes`);
      if (all.length - at < RECORD_HEADER + length) break;
      frames.push(all.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length));
      at += RECORD_HEADER + length;
    }
    this.#left = all.slice(at);
    return frames;
  }
}

function damaged(why: string): FormatError {
  return new FormatError('pcap.damaged', `Cannot read the capture of the guest's network: ${why}`);
}
