import { FormatError } from '../errors.ts';
import type { Qcow2Header } from '../formats/qcow2-header.ts';
import { l2TableOffset, type Mapping, mapping, mappingSize } from '../formats/qcow2-tables.ts';
import type { Awaitable } from './block-source.ts';
import type { ExtentList } from './extent-list.ts';
import type { HostFile } from './host-file.ts';
import type { Layer } from './layer.ts';
import { LruCache } from './lru.ts';
import { naming } from './naming.ts';

/** L2 tables of a whole chain, kept in memory; with clusters of 64 KiB they map 128 GiB. */
export type TableCache = LruCache<number, DataView>;
const TABLE_CACHE_LIMIT = 16 * 1024 * 1024;
export const tableCache = (): TableCache => new LruCache(TABLE_CACHE_LIMIT);

/** No L1 table has more entries (32 MiB of them), so layer and index make one key. */
const L1_ENTRIES_LIMIT = 2 ** 22;

export interface Qcow2LayerOptions {
  readonly header: Qcow2Header;
  /** The file with the tables. */
  readonly tables: HostFile;
  /** The file with the clusters, and its index in the chain's list of files: usually that of the tables. */
  readonly data: HostFile;
  readonly dataIndex: number;
  /** Shared by the images of a chain, which `depth` (0 for the topmost) tells apart. */
  readonly cache: TableCache;
  readonly depth: number;
  readonly backing: Layer | undefined;
}

/**
 * The active state of a qcow2 image; its snapshots, bitmaps and reference counts are not looked at.
 * @throws FormatError `qcow2.truncated` or `qcow2.damaged` when an L1 or L2 table is not whole within the file
 */
export async function openQcow2Layer(options: Qcow2LayerOptions): Promise<Layer> {
  const { header, tables } = options;
  const length = header.l1Entries * 8;
  requireWhole(tables, 'L1 table', header.l1Offset, length);
  const bytes = new Uint8Array(length);
  await tables.read(header.l1Offset, bytes);
  const l1 = viewOf(bytes);
  for (let index = 0; index < header.l1Entries; index++) {
    const offset = l2TableOffset(l1, index);
    if (offset === 0) continue;
    if (offset % header.clusterSize !== 0) {
      throw new FormatError('qcow2.damaged', `Cannot read the qcow2 image: L2 table ${index} begins inside a cluster`, {
        hint: `Look at it with \`qemu-img check ${tables.path}\`.`,
        evidence: { file: tables.path, position: offset },
      });
    }
    requireWhole(tables, `L2 table ${index}`, offset, header.clusterSize);
  }
  return new Qcow2Layer(options, l1);
}

class Qcow2Layer implements Layer {
  readonly size: number;
  readonly #options: Qcow2LayerOptions;
  readonly #l1: DataView;
  /** Bytes of the disk that one L2 table maps. */
  readonly #tableSpan: number;
  readonly #loading = new Map<number, Promise<DataView>>();

  constructor(options: Qcow2LayerOptions, l1: DataView) {
    this.#options = options;
    this.#l1 = l1;
    this.size = options.header.size;
    this.#tableSpan = options.header.clusterSize * options.header.l2Entries;
  }

  locate(out: ExtentList, position: number, end: number): Awaitable<void> {
    const stop = Math.max(position, Math.min(end, this.size));
    const walk = this.#walk(out, position, stop);
    if (walk instanceof Promise) return walk.then(() => out.zero(end - stop));
    out.zero(end - stop);
  }

  #walk(out: ExtentList, position: number, end: number): Awaitable<void> {
    for (let at = position; at < end; ) {
      const index = Math.floor(at / this.#tableSpan);
      const stop = Math.min(end, (index + 1) * this.#tableSpan);
      const offset = l2TableOffset(this.#l1, index);
      const table = offset === 0 ? undefined : (this.#cached(index) ?? this.#load(index, offset));
      if (table instanceof Promise) {
        const from = at;
        return table.then((loaded) => this.#map(loaded, out, from, stop)).then(() => this.#walk(out, stop, end));
      }
      const step = table === undefined ? this.#below(out, at, stop) : this.#map(table, out, at, stop);
      if (step instanceof Promise) return step.then(() => this.#walk(out, stop, end));
      at = stop;
    }
  }

  /** Adds [position, end), all of it mapped by `table`. Holds the table while a backing file is asked, cached or not. */
  #map(table: DataView, out: ExtentList, position: number, end: number): Awaitable<void> {
    const granule = mappingSize(this.#options.header);
    for (let at = position; at < end; ) {
      const found = this.#mapping(table, at);
      let stop = Math.min(end, at - (at % granule) + granule);
      if (found.kind === 'unallocated') {
        while (stop < end && this.#mapping(table, stop).kind === 'unallocated') stop = Math.min(end, stop + granule);
        const below = this.#below(out, at, stop);
        if (below instanceof Promise) return below.then(() => this.#map(table, out, stop, end));
      } else {
        this.#add(out, found, at, stop - at);
      }
      at = stop;
    }
  }

  #mapping(table: DataView, position: number): Mapping {
    const { header } = this.#options;
    const inTable = position % this.#tableSpan;
    const inCluster = inTable % header.clusterSize;
    const index = (inTable - inCluster) / header.clusterSize;
    const subcluster = Math.floor(inCluster / mappingSize(header));
    return naming(this.#options.tables.path, () => mapping(header, table, index, subcluster));
  }

  #below(out: ExtentList, position: number, end: number): Awaitable<void> {
    const { backing } = this.#options;
    if (backing === undefined) out.zero(end - position);
    else return backing.locate(out, position, end);
  }

  #add(out: ExtentList, found: Exclude<Mapping, { kind: 'unallocated' }>, position: number, length: number): void {
    if (found.kind === 'zero') {
      out.zero(length);
      return;
    }
    const { header, data, dataIndex } = this.#options;
    if (found.offset >= data.size) throw truncated(data, `the data at ${position} of the disk`, found.offset);
    const skip = position % header.clusterSize;
    if (found.kind === 'compressed') {
      // QEMU rounds the length of a stream up to a sector, which may lie past the end of the file.
      const storedLength = Math.min(found.storedLength, data.size - found.offset);
      const { kind, offset } = found;
      const { compression: codec, clusterSize: unpackedLength } = header;
      out.add({ kind, codec, length, file: dataIndex, offset, storedLength, unpackedLength, skip });
      return;
    }
    // The last cluster may be there in part only; the rest of it reads as zeros, in QEMU too.
    const present = Math.max(0, Math.min(length, data.size - found.offset - skip));
    out.data(dataIndex, found.offset + skip, present);
    out.zero(length - present);
  }

  #key(index: number): number {
    return this.#options.depth * L1_ENTRIES_LIMIT + index;
  }

  #cached(index: number): DataView | undefined {
    return this.#options.cache.get(this.#key(index));
  }

  /** Reads one L2 table; whoever asks for it meanwhile waits for the same read. */
  #load(index: number, offset: number): Promise<DataView> {
    const running = this.#loading.get(index);
    if (running !== undefined) return running;
    const { header, tables } = this.#options;
    const load = async () => {
      const bytes = new Uint8Array(header.clusterSize);
      await tables.read(offset, bytes);
      const table = viewOf(bytes);
      this.#options.cache.set(this.#key(index), table, bytes.length);
      return table;
    };
    const started = load().finally(() => this.#loading.delete(index));
    this.#loading.set(index, started);
    return started;
  }
}

function requireWhole(file: HostFile, what: string, offset: number, length: number): void {
  if (offset + length > file.size) throw truncated(file, `the ${what}`, offset);
}

function truncated(file: HostFile, what: string, position: number): FormatError {
  return new FormatError(
    'qcow2.truncated',
    `Cannot read the qcow2 image: ${what} should be at byte ${position}, the file ends at ${file.size} (${file.path})`,
    {
      hint: 'The file was copied or downloaded incompletely; fetch it again and compare its checksum.',
      evidence: { file: file.path, position, size: file.size },
    },
  );
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
