import { FormatError, isComposeError } from '../errors.ts';
import type { StoredExtent } from './block-source.ts';
import type { HostFile } from './host-file.ts';
import { LruCache } from './lru.ts';
import { openUnpacker, type Unpacker } from './unpacker.ts';

type Compressed = Extract<StoredExtent, { kind: 'compressed' }>;

/** Unpacked clusters kept in memory, bytes: metadata is read in small pieces, many to a cluster. */
const CLUSTER_CACHE_LIMIT = 8 * 1024 * 1024;

/** Reads the bytes of extents from `files`, which their `file` is an index into. */
export class ExtentReader {
  readonly #files: readonly HostFile[];
  readonly #clusters = new LruCache<string, Uint8Array>(CLUSTER_CACHE_LIMIT);
  readonly #unpacking = new Map<string, Promise<Uint8Array>>();
  #unpacker: Promise<Unpacker> | undefined;

  constructor(files: readonly HostFile[]) {
    this.#files = files;
  }

  /**
   * Fills `into`, which is as long as `extents` are together.
   * @throws FormatError `qcow2.damaged` when a compressed cluster cannot be unpacked; what `HostFile.read` and
   *   `ByteServer.read` throw
   */
  async read(extents: readonly StoredExtent[], into: Uint8Array): Promise<void> {
    let at = 0;
    for (const extent of extents) {
      const part = into.subarray(at, at + extent.length);
      at += extent.length;
      if (extent.kind === 'zero') part.fill(0);
      else if (extent.kind === 'literal') part.set(extent.bytes);
      else if (extent.kind === 'data') await this.#files[extent.file]!.read(extent.offset, part);
      else if (extent.kind === 'served') await extent.from.read(extent.offset, part);
      else part.set((await this.#cluster(extent)).subarray(extent.skip, extent.skip + extent.length));
    }
  }

  async #cluster(extent: Compressed): Promise<Uint8Array> {
    const key = `${extent.file}:${extent.offset}`;
    const known = this.#clusters.get(key) ?? this.#unpacking.get(key);
    if (known !== undefined) return known;
    const started = this.#unpack(extent).finally(() => this.#unpacking.delete(key));
    this.#unpacking.set(key, started);
    const cluster = await started;
    this.#clusters.set(key, cluster, cluster.length);
    return cluster;
  }

  async #unpack(extent: Compressed): Promise<Uint8Array> {
    const file = this.#files[extent.file]!;
    const stored = new Uint8Array(extent.storedLength);
    await file.read(extent.offset, stored);
    this.#unpacker ??= openUnpacker();
    const { unpack } = await this.#unpacker;
    const cluster = new Uint8Array(extent.unpackedLength);
    try {
      unpack(extent.codec, stored, cluster);
      return cluster;
    } catch (cause) {
      if (isComposeError(cause)) throw cause;
      const cut = extent.offset + extent.storedLength === file.size;
      throw new FormatError(
        cut ? 'qcow2.truncated' : 'qcow2.damaged',
        `Cannot read the qcow2 image: the ${extent.codec} cluster at byte ${extent.offset} cannot be unpacked (${file.path})`,
        {
          hint: 'The file was damaged, or copied incompletely; fetch it again and compare its checksum.',
          evidence: { file: file.path, position: extent.offset },
          cause,
        },
      );
    }
  }
}
