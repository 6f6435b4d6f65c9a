/** What is in an initial file system: the modules a machine has before its root. */
import { gunzipSync } from 'node:zlib';
import { FormatError } from '../errors.ts';
import { isCpio, readCpioArchive } from '../formats/cpio-read.ts';
import { CpioScan } from '../formats/cpio-scan.ts';
import { unpackLz4Legacy } from '../formats/lz4.ts';
import { openLibbz2 } from '../host/libbz2.ts';
import { openLiblzma } from '../host/liblzma.ts';
import { zstdPieces } from '../host/libzstd.ts';

export interface InitrdFacts {
  /** Members of its archives. */
  readonly members: number;
  /** Names of its kernel modules, with underscores for dashes. */
  readonly modules: ReadonlySet<string>;
  /** Why it is no initial file system, where it is damaged. */
  readonly damage: string | undefined;
  /** Why nothing here reads it, which says nothing against it. */
  readonly unread: string | undefined;
}

/** Bytes that may come of one; the largest seen, of a distribution's rescue entry, has 400 MiB. */
const LIMIT = 1024 * 1024 * 1024;
const XZ_MEMORY = 256 * 1024 * 1024;

/** Gives what comes of the bytes piece by piece; a piece is valid until the next one. */
type Unpack = (bytes: Uint8Array) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** By the first bytes (kernel: lib/decompress.c). */
const CODECS: readonly (readonly [magic: readonly number[], name: string, unpack: Unpack | undefined])[] = [
  [[0x1f, 0x8b], 'gzip', (bytes) => [gunzipSync(bytes, { maxOutputLength: LIMIT })]],
  [
    [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
    'xz',
    (bytes) => drained(async () => (await openLiblzma()).decoder(XZ_MEMORY), bytes),
  ],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd', (bytes) => zstdPieces(bytes, LIMIT)],
  [[0x42, 0x5a, 0x68], 'bzip2', (bytes) => drained(async () => (await openLibbz2()).decoder(), bytes)],
  [[0x02, 0x21, 0x4c, 0x18], 'LZ4', (bytes) => [unpackLz4Legacy(bytes, LIMIT)]],
  [[0x5d, 0, 0], 'LZMA', undefined],
  [[0x89, 0x4c, 0x5a, 0x4f], 'LZO', undefined],
];

interface Decoder {
  write(input: Uint8Array): Iterable<Uint8Array>;
  finish(): Iterable<Uint8Array>;
  close(): void;
}

/** Reads an image of one or several archives, the last of which may be compressed. */
export async function readInitrd(bytes: Uint8Array): Promise<InitrdFacts> {
  const modules = new Set<string>();
  const found = { members: 0, modules };
  const take = (path: string): void => {
    found.members++;
    const name = moduleName(path);
    if (name !== undefined) modules.add(name);
  };
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] === 0) {
      at++;
      continue;
    }
    if (isCpio(bytes, at)) {
      try {
        const { entries, end } = readCpioArchive(bytes, at);
        for (const { path } of entries) take(path);
        at = end;
        continue;
      } catch (error) {
        return { ...found, damage: messageOf(error), unread: undefined };
      }
    }
    const codec = CODECS.find(([magic]) => magic.every((byte, index) => bytes[at + index] === byte));
    if (codec === undefined) {
      return { ...found, damage: `byte ${at} begins neither an archive nor a compressed one`, unread: undefined };
    }
    const [, name, unpack] = codec;
    if (unpack === undefined) return { ...found, damage: undefined, unread: `it is compressed by ${name}` };
    try {
      const scan = new CpioScan(take);
      for await (const piece of unpack(bytes.subarray(at))) scan.take(piece);
      scan.end();
      break;
    } catch (error) {
      if (error instanceof FormatError) return { ...found, damage: messageOf(error), unread: undefined };
      const missing = /neither|cannot (load|find|open)|koffi/i.test(messageOf(error));
      const why = `${name}: ${messageOf(error)}`;
      return { ...found, damage: missing ? undefined : why, unread: missing ? why : undefined };
    }
  }
  return { ...found, damage: found.members === 0 ? 'it has no members' : undefined, unread: undefined };
}

/** `nvme_core` of `lib/modules/6.1/kernel/drivers/nvme/host/nvme-core.ko.xz`; undefined for what is no module. */
export function moduleName(path: string): string | undefined {
  return /([^/]+)\.ko(?:\.(?:xz|zst|gz))?$/.exec(path)?.[1]?.replaceAll('-', '_');
}

async function* drained(open: () => Promise<Decoder>, bytes: Uint8Array): AsyncIterable<Uint8Array> {
  const decoder = await open();
  let length = 0;
  try {
    // One after the other: what is left is known only when all was read.
    for (const made of [() => decoder.write(bytes), () => decoder.finish()]) {
      for (const part of made()) {
        length += part.length;
        if (length > LIMIT) throw new RangeError(`more than ${LIMIT} bytes come of it`);
        yield part;
      }
    }
  } finally {
    decoder.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
