/** What is in an initial file system: the modules a machine has before its root. */
import { gunzipSync } from 'node:zlib';
import { isCpio, readCpioArchive } from '../formats/cpio-read.ts';
import { unpackLz4Legacy } from '../formats/lz4.ts';
import { openLibbz2 } from '../host/libbz2.ts';
import { openLiblzma } from '../host/liblzma.ts';
import { unpackZstd } from '../host/libzstd.ts';

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

type Unpack = (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** By the first bytes (kernel: lib/decompress.c). */
const CODECS: readonly (readonly [magic: readonly number[], name: string, unpack: Unpack | undefined])[] = [
  [[0x1f, 0x8b], 'gzip', (bytes) => gunzipSync(bytes, { maxOutputLength: LIMIT })],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], 'xz', async (bytes) => drained((await openLiblzma()).decoder(XZ_MEMORY), bytes)],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd', (bytes) => unpackZstd(bytes, LIMIT)],
  [[0x42, 0x5a, 0x68], 'bzip2', async (bytes) => drained((await openLibbz2()).decoder(), bytes)],
  [[0x02, 0x21, 0x4c, 0x18], 'LZ4', (bytes) => unpackLz4Legacy(bytes, LIMIT)],
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
  let rest = bytes;
  for (let at = 0; at < rest.length; ) {
    if (rest[at] === 0) {
      at++;
      continue;
    }
    if (isCpio(rest, at)) {
      try {
        const { entries, end } = readCpioArchive(rest, at);
        found.members += entries.length;
        for (const { path } of entries) {
          const name = moduleName(path);
          if (name !== undefined) modules.add(name);
        }
        at = end;
        continue;
      } catch (error) {
        return { ...found, damage: messageOf(error), unread: undefined };
      }
    }
    const codec = CODECS.find(([magic]) => magic.every((byte, index) => rest[at + index] === byte));
    if (codec === undefined) {
      return { ...found, damage: `byte ${at} begins neither an archive nor a compressed one`, unread: undefined };
    }
    const [, name, unpack] = codec;
    if (unpack === undefined) return { ...found, damage: undefined, unread: `it is compressed by ${name}` };
    try {
      rest = await unpack(rest.subarray(at));
      at = 0;
    } catch (error) {
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

function drained(decoder: Decoder, bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    // One after the other: what is left is known only when all was read.
    for (const made of [() => decoder.write(bytes), () => decoder.finish()]) {
      for (const part of made()) {
        length += part.length;
        if (length > LIMIT) throw new RangeError(`more than ${LIMIT} bytes come of it`);
        parts.push(part);
      }
    }
    return Buffer.concat(parts, length);
  } finally {
    decoder.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
