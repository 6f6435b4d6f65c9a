/** Entries of the L1 and L2 tables of a qcow2 image (QEMU, docs/interop/qcow2, "Cluster mapping"). */

import { FormatError } from '../errors.ts';
import { QCOW2_SUBCLUSTERS, type Qcow2Header } from './qcow2-header.ts';

const SECTOR = 512;
/** In the upper half of an entry: bits 62 and 63. Bit 63 only spares a look at the reference count. */
const COMPRESSED = 0x4000_0000;
const COPIED = 0x8000_0000;
/** Bits 9 to 55 of an entry are a cluster's place; these are their upper and lower half. */
const OFFSET_HIGH = 0x00ff_ffff;
const OFFSET_LOW = 0xffff_fe00;
/** Lower half of a standard entry: the cluster reads as zeros, whatever is stored. */
const ZERO = 0x1;

/** Where one cluster, or one subcluster of an image with extended L2 entries, is. */
export type Mapping =
  | { readonly kind: 'unallocated' }
  | { readonly kind: 'zero' }
  /** `offset`: where the whole cluster begins, bytes of the data file. */
  | { readonly kind: 'data'; readonly offset: number }
  /** `storedLength`: bytes up to the last sector the stream may use; the stream ends by itself before. */
  | { readonly kind: 'compressed'; readonly offset: number; readonly storedLength: number };

const UNALLOCATED: Mapping = { kind: 'unallocated' };
const ZEROS: Mapping = { kind: 'zero' };

/** Where L2 table `index` is, bytes of the file, or 0 when there is none. `table` is the L1 table. */
export function l2TableOffset(table: DataView, index: number): number {
  return placeOf(table.getUint32(index * 8), table.getUint32(index * 8 + 4));
}

/** Bytes one call of `mapping` answers for: a cluster, or a subcluster. */
export function mappingSize(header: Qcow2Header): number {
  return header.extendedL2 ? header.clusterSize / QCOW2_SUBCLUSTERS : header.clusterSize;
}

/**
 * What `table`, an L2 table, says about its entry `index`, and of that about `subcluster` when L2 is extended.
 * @throws FormatError `qcow2.damaged` for an entry no QEMU writes
 */
export function mapping(header: Qcow2Header, table: DataView, index: number, subcluster: number): Mapping {
  const at = index * (header.extendedL2 ? 16 : 8);
  const high = table.getUint32(at);
  const low = table.getUint32(at + 4);
  if ((high & COMPRESSED) !== 0) return compressed(header, high, low);
  const offset = placeOf(high, low);
  if (offset % header.clusterSize !== 0) throw damaged(`entry ${index} names byte ${offset}, where no cluster begins`);
  // In an external data file the first cluster is at 0, so there bit 63 tells a place from none.
  const allocated = offset !== 0 || (header.dataFile !== undefined && (high & COPIED) !== 0);
  if (header.extendedL2) {
    const wanted = 1 << subcluster;
    const zero = (table.getUint32(at + 8) & wanted) !== 0;
    const stored = (table.getUint32(at + 12) & wanted) !== 0;
    if (stored && (zero || !allocated)) throw damaged(`entry ${index} contradicts itself in subcluster ${subcluster}`);
    if (zero) return ZEROS;
    return stored ? { kind: 'data', offset } : UNALLOCATED;
  }
  if ((low & ZERO) !== 0) {
    if (header.version < 3) throw damaged(`entry ${index} is a zero cluster, which version 2 does not have`);
    return ZEROS;
  }
  return allocated ? { kind: 'data', offset } : UNALLOCATED;
}

function compressed(header: Qcow2Header, high: number, low: number): Mapping {
  if (header.dataFile !== undefined) throw damaged('a compressed cluster cannot be in an external data file');
  // Bits 0 to x-1 are the place, x to 61 the sectors after the first one, where x = 62 - (cluster_bits - 8): 49 to 61.
  const split = 62 - (Math.log2(header.clusterSize) - 8) - 32;
  const offset = (high & (2 ** split - 1)) * 2 ** 32 + low;
  const furtherSectors = (high & 0x3fff_ffff) >>> split;
  return { kind: 'compressed', offset, storedLength: (furtherSectors + 1) * SECTOR - (offset % SECTOR) };
}

function placeOf(high: number, low: number): number {
  return (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
}

function damaged(why: string): FormatError {
  return new FormatError('qcow2.damaged', `Cannot read the qcow2 image: in an L2 table ${why}`, {
    hint: 'Look at it with `qemu-img check IMAGE`; if it was copied or downloaded, compare its checksum.',
  });
}
