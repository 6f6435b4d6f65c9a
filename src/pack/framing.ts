import { unpaddedSize } from '../formats/xz/block.ts';
import { type IndexRecord, streamEnd, streamHeader } from '../formats/xz/stream.ts';
import type { Compression } from './chunk.ts';

/** What stands around the members of a file. */
export interface Framing {
  readonly head: Uint8Array;
  /** Told each member in order with the length of its content. */
  note(member: Uint8Array, length: number): void;
  tail(): Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** A gzip member (RFC 1952) and a bzip2 stream of no bytes: a file with no member at all is none. */
const EMPTY = {
  gzip: Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  bzip2: Uint8Array.of(0x42, 0x5a, 0x68, 0x39, 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0, 0, 0, 0),
  none: NOTHING,
};

/** The framing of a kind of file: header and index of one xz stream; nothing where members just follow one another. */
export function framing(kind: Compression['kind']): Framing {
  if (kind === 'xz') return xzFraming();
  let members = 0;
  return {
    head: NOTHING,
    note: () => {
      members++;
    },
    tail: () => (members === 0 ? EMPTY[kind] : NOTHING),
  };
}

function xzFraming(): Framing {
  const records: IndexRecord[] = [];
  return {
    head: streamHeader(),
    note: (block, length) => {
      records.push({ unpaddedSize: unpaddedSize(block), uncompressedSize: length });
    },
    tail: () => streamEnd(records),
  };
}
