import { type Awaitable, type BlockSource, readBytes } from '../../disk/block-source.ts';
import type { Range } from '../../disk/patched.ts';
import { u16, u32 } from '../ext4/bytes.ts';
import { InodeSet } from '../inode-set.ts';
import { MetadataCache } from '../metadata-cache.ts';
import { FIRST_CLUSTER, type Geometry } from './geometry.ts';
import { damaged } from './problems.ts';

/** Clusters that lie one after the other. */
export interface ClusterRun {
  readonly first: number;
  count: number;
}

const FREE = 0;
const MASK_32 = 0x0fffffff;
/** From here on an entry ends a chain; the lowest marks a bad cluster, which ends one too (kernel: fs/fat/fatent.c). */
const END = { 12: 0xff7, 16: 0xfff7, 32: 0x0ffffff7 } as const;
/** Of entry 1: cleared while it is mounted, and when the medium had errors. FAT12 has neither. */
const SHUT_DOWN = { 16: 0x8000, 32: 0x0800_0000 } as const;
const NO_ERRORS = { 16: 0x4000, 32: 0x0400_0000 } as const;

/** The allocation table: for every cluster which one follows it. */
export class AllocationTable {
  readonly geometry: Geometry;
  /** What else reads metadata shares it. */
  readonly cache: MetadataCache;
  /** A FAT12 table whole: its entries lie across the pieces of the cache. */
  readonly #small: Uint8Array | undefined;
  readonly #claimants = new InodeSet();
  #claimed = 0;

  private constructor(geometry: Geometry, cache: MetadataCache, small: Uint8Array | undefined) {
    this.geometry = geometry;
    this.cache = cache;
    this.#small = small;
  }

  static async open(source: BlockSource, geometry: Geometry): Promise<AllocationTable> {
    const length = Math.ceil(((geometry.clusters + FIRST_CLUSTER) * geometry.bits) / 8);
    const small = geometry.bits === 12 ? await readBytes(source, geometry.tableAt, length + 1) : undefined;
    return new AllocationTable(geometry, new MetadataCache(source), small);
  }

  /** Why it was not unmounted cleanly, as entry 1 or the boot sector tells. */
  async whyUnclean(): Promise<string | undefined> {
    const { bits, dirty } = this.geometry;
    if (dirty) return 'it was not unmounted';
    if (bits === 12) return undefined;
    const entry = await this.#entry(1);
    if ((entry & SHUT_DOWN[bits]) === 0) return 'it was not unmounted';
    return (entry & NO_ERRORS[bits]) === 0 ? 'the medium had errors' : undefined;
  }

  /**
   * The clusters from `start` on: `most` of them where it is given, else all of the chain.
   * @throws FormatError `fat.damaged` for a chain that runs in a circle, leaves the file system, or ends before `most`
   */
  async chain(start: number, what: string, most?: number): Promise<ClusterRun[]> {
    const { bits, clusters } = this.geometry;
    const limit = most ?? Number.POSITIVE_INFINITY;
    if (most !== undefined && most > clusters) {
      throw damaged(what, `it would need ${most} of the ${clusters} clusters there are`);
    }
    const runs: ClusterRun[] = [];
    let cluster = start;
    // Brent's algorithm: a mark that is left behind at every power of two is met again in a circle.
    let mark = 0;
    let power = 1;
    for (let taken = 0; taken < limit; taken++) {
      if (cluster < FIRST_CLUSTER || cluster >= clusters + FIRST_CLUSTER) {
        throw damaged(what, `its chain leads to cluster ${cluster}, outside 2 to ${clusters + 1}`, { cluster });
      }
      if (cluster === mark) throw damaged(what, `its chain runs in a circle at cluster ${cluster}`, { cluster });
      if (taken === power) {
        mark = cluster;
        power *= 2;
      }
      const last = runs.at(-1);
      if (last !== undefined && last.first + last.count === cluster) last.count++;
      else runs.push({ first: cluster, count: 1 });
      if (taken + 1 === limit) break;
      const read = this.#entry(cluster);
      const next = typeof read === 'number' ? read : await read;
      if (next >= END[bits]) {
        if (most === undefined) break;
        throw damaged(what, `its chain ends after ${taken + 1} of ${most} clusters`, { cluster });
      }
      cluster = next;
    }
    return runs;
  }

  /**
   * Counts the clusters of file or directory `inode`. A cluster belongs to one of them, so that all together cannot have
   * more than there are; without it a small directory of cross-linked files would take hours.
   * @throws FormatError `fat.damaged`
   */
  claim(inode: number, count: number): void {
    if (!this.#claimants.add(inode)) return;
    this.#claimed += count;
    if (this.#claimed > this.geometry.clusters) {
      throw damaged('the directories', `their files have more than the ${this.geometry.clusters} clusters there are`);
    }
  }

  /** Every run of clusters that nothing uses, bytes of the file system. */
  async *freeRanges(): AsyncGenerator<Range> {
    const { clusters } = this.geometry;
    let first = 0;
    for (let cluster = FIRST_CLUSTER; cluster < clusters + FIRST_CLUSTER; cluster++) {
      const read = this.#entry(cluster);
      const free = (typeof read === 'number' ? read : await read) === FREE;
      if (free && first === 0) first = cluster;
      if (!free && first !== 0) {
        yield this.range(first, cluster - first);
        first = 0;
      }
    }
    if (first !== 0) yield this.range(first, clusters + FIRST_CLUSTER - first);
  }

  /** Where clusters lie. */
  range(first: number, count: number): Range {
    const { dataAt, clusterSize } = this.geometry;
    return { position: dataAt + (first - FIRST_CLUSTER) * clusterSize, length: count * clusterSize };
  }

  #entry(cluster: number): Awaitable<number> {
    const { bits, tableAt } = this.geometry;
    if (this.#small !== undefined) {
      const pair = u16(this.#small, cluster + (cluster >>> 1));
      return (cluster & 1) === 0 ? pair & 0xfff : pair >>> 4;
    }
    const width = bits / 8;
    const position = tableAt + cluster * width;
    const decode = (bytes: Uint8Array): number => (bits === 16 ? u16(bytes, 0) : u32(bytes, 0) & MASK_32);
    const held = this.cache.peek(position, width);
    return held === undefined ? this.cache.load(position, width).then(decode) : decode(held);
  }
}
