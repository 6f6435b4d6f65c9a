/** A hash table of Berkeley DB, as rpm before 4.16 keeps its packages (Berkeley DB, dbinc/db_page.h, dbinc/hash.h). */

import { FormatError } from '../../errors.ts';

/** At byte 12 of the first page, in the byte order of the machine that made the file. */
export const BERKELEY_HASH_MAGIC = 0x0006_1561;
export const BERKELEY_MAGIC_AT = 12;

const META = { version: 16, pageSize: 20, encryption: 24, type: 25, flags: 26, lastBucket: 72, spares: 96 } as const;
const META_LENGTH = 512;
const CHECKSUM_FLAG = 1;
const SPARES = 32;
const VERSIONS = { min: 7, max: 10 };
const PAGE_SIZE = { min: 512, max: 65_536 };

/** Fields of every other page; the positions of its items, 16 bits each, follow its header. */
const PAGE = { next: 16, entries: 20, free: 22, type: 25, header: 26, headerWithChecksum: 32 } as const;
const PAGE_TYPE = { invalid: 0, hashUnsorted: 2, overflow: 7, hashMeta: 8, hash: 13 } as const;
const ITEM = { data: 1, offPage: 3 } as const;
/** Type, three bytes unused, first page, length. */
const OFF_PAGE_LENGTH = 12;

interface Table {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly little: boolean;
  readonly pageSize: number;
  readonly header: number;
  /** Pages that were read: each belongs to one chain. */
  readonly seen: Set<number>;
}

/** Key and value of a record. */
export interface BerkeleyRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The records of a hash table, as they lie. @throws FormatError `bdb.damaged`, `bdb.unsupported` */
export function* berkeleyHashRecords(bytes: Uint8Array): Generator<BerkeleyRecord> {
  const table = openTable(bytes);
  const { view, little } = table;
  const last = view.getUint32(META.lastBucket, little);
  for (let bucket = 0; bucket <= last; bucket++) {
    // Buckets are doubled in groups, and each group lies behind the overflow pages made before it.
    const spare = bucket === 0 ? 0 : 32 - Math.clz32(bucket);
    if (spare >= SPARES) throw damaged(`it has no place for bucket ${bucket}`);
    let page = bucket + view.getUint32(META.spares + 4 * spare, little);
    do {
      const at = pageAt(table, page);
      const type = view.getUint8(at + PAGE.type);
      // A group of buckets is one stretch of the file; those not used yet are zeros.
      if (type === PAGE_TYPE.invalid && view.getUint16(at + PAGE.entries, little) === 0) break;
      if (type !== PAGE_TYPE.hash && type !== PAGE_TYPE.hashUnsorted) throw damaged(`page ${page} is of type ${type}`);
      yield* pageRecords(table, at, page);
      page = view.getUint32(at + PAGE.next, little);
    } while (page !== 0);
  }
}

function openTable(bytes: Uint8Array): Table {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < META_LENGTH) throw damaged(`it has ${bytes.length} bytes`);
  const little = view.getUint32(BERKELEY_MAGIC_AT, true) === BERKELEY_HASH_MAGIC;
  if (!little && view.getUint32(BERKELEY_MAGIC_AT) !== BERKELEY_HASH_MAGIC) throw damaged('it is no hash table');
  const version = view.getUint32(META.version, little);
  if (version < VERSIONS.min || version > VERSIONS.max || view.getUint8(META.encryption) !== 0) {
    throw new FormatError(
      'bdb.unsupported',
      `Cannot read the rpm database: a Berkeley DB hash of version ${version}, encryption ${view.getUint8(META.encryption)}, is not known`,
    );
  }
  const pageSize = view.getUint32(META.pageSize, little);
  const power = pageSize >= PAGE_SIZE.min && pageSize <= PAGE_SIZE.max && (pageSize & (pageSize - 1)) === 0;
  if (!power || view.getUint8(META.type) !== PAGE_TYPE.hashMeta) throw damaged(`its pages are of ${pageSize} bytes`);
  const checksums = (view.getUint8(META.flags) & CHECKSUM_FLAG) !== 0;
  const header = checksums ? PAGE.headerWithChecksum : PAGE.header;
  return { bytes, view, little, pageSize, header, seen: new Set([0]) };
}

/** Byte position of a page nobody has read yet. */
function pageAt({ bytes, pageSize, seen }: Table, page: number): number {
  if ((page + 1) * pageSize > bytes.length) throw damaged(`page ${page} lies past its end`);
  if (seen.has(page)) throw damaged(`page ${page} is in two places`);
  seen.add(page);
  return page * pageSize;
}

/** Items fill a page from its end, key and value in turn; an item ends where the one before it begins. */
function* pageRecords(table: Table, at: number, page: number): Generator<BerkeleyRecord> {
  const { bytes, view, little, pageSize, header } = table;
  const count = view.getUint16(at + PAGE.entries, little);
  if (count % 2 !== 0 || header + count * 2 > pageSize) throw damaged(`page ${page} has ${count} items`);
  const items: Uint8Array[] = [];
  for (let item = 0, end = pageSize; item < count; item++) {
    const start = view.getUint16(at + header + 2 * item, little);
    if (start < header + count * 2 || start >= end) throw damaged(`item ${item} of page ${page} lies outside`);
    items.push(bytes.subarray(at + start, at + end));
    end = start;
  }
  for (let item = 0; item < count; item += 2) {
    const [key, value] = [items[item], items[item + 1]];
    if (key !== undefined && value !== undefined) yield { key: content(table, key), value: content(table, value) };
  }
}

function content(table: Table, item: Uint8Array): Uint8Array {
  const type = item[0];
  if (type === ITEM.data) return item.subarray(1);
  if (type !== ITEM.offPage || item.length < OFF_PAGE_LENGTH) throw damaged(`an item is of type ${type}`);
  const view = new DataView(item.buffer, item.byteOffset, item.length);
  return overflow(table, view.getUint32(4, table.little), view.getUint32(8, table.little));
}

/** A value too long for its page: a chain of pages, each with as many bytes as its `free` field says. */
function overflow(table: Table, first: number, length: number): Uint8Array {
  const { bytes, view, little, pageSize, header } = table;
  if (length > bytes.length) throw damaged(`an item has ${length} bytes`);
  const out = new Uint8Array(length);
  let filled = 0;
  for (let page = first; filled < length; ) {
    const at = pageAt(table, page);
    const here = view.getUint16(at + PAGE.free, little);
    const room = Math.min(pageSize - header, length - filled);
    if (view.getUint8(at + PAGE.type) !== PAGE_TYPE.overflow || here === 0 || here > room) {
      throw damaged(`page ${page} does not carry on its item`);
    }
    out.set(bytes.subarray(at + header, at + header + here), filled);
    filled += here;
    page = view.getUint32(at + PAGE.next, little);
  }
  return out;
}

function damaged(why: string): FormatError {
  return new FormatError('bdb.damaged', `Cannot read the rpm database: Packages is damaged: ${why}`, {
    hint: 'Run "rpmdb --rebuilddb" in the guest and pack again.',
  });
}
