/** Rows of an SQLite table, read along its B-tree (SQLite, "Database File Format", sections 1.5 to 2.6). */

import { FormatError } from '../../errors.ts';
import { type SqlitePages, sqliteDamaged } from './pages.ts';

/** A value of a record. Whole numbers of 64 bits are told apart from others by nobody here, so they are bigints. */
export type SqliteValue = null | bigint | number | string | Uint8Array;

const PAGE_TYPE = { interior: 5, leaf: 13 } as const;
/** Fields of a page's header; numbers are big-endian. */
const PAGE = { type: 0, cells: 3, rightmost: 8, leafHeader: 8, interiorHeader: 12 } as const;
/** The database header comes before that of page 1. */
const FIRST_PAGE_OFFSET = 100;
const SCHEMA_ROOT = 1;
/** Number of bytes for the serial types 0 to 9 of a record. */
const WIDTHS = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];
/** Longest text that is decoded, bytes; the schema and the tables read here have none of that size. */
const MAX_TEXT = 16 * 1024 * 1024;

/** The rows of table `name`, in order of their rowid. @throws FormatError `sqlite.no-table`, `sqlite.damaged` */
export function* sqliteRows(pages: SqlitePages, name: string): Generator<SqliteValue[]> {
  for (const [type, , table, root] of treeRows(pages, SCHEMA_ROOT)) {
    if (type !== 'table' || typeof table !== 'string' || table.toLowerCase() !== name.toLowerCase()) continue;
    if (typeof root !== 'bigint') throw sqliteDamaged(`table ${name} has no page`);
    return yield* treeRows(pages, Number(root));
  }
  throw new FormatError('sqlite.no-table', `Cannot read an SQLite database: it has no table ${name}`);
}

interface Walk {
  readonly pages: SqlitePages;
  /** Pages that were read: each belongs to one tree or one chain. */
  readonly seen: Set<number>;
  /** Bytes of content that may still come; cells that overlap would have no end otherwise. */
  left: number;
}

function* treeRows(pages: SqlitePages, root: number): Generator<SqliteValue[]> {
  const walk: Walk = { pages, seen: new Set(), left: pages.size };
  const pending = [root];
  for (let number = pending.pop(); number !== undefined; number = pending.pop()) {
    const page = take(walk, number);
    const view = new DataView(page.buffer, page.byteOffset, page.length);
    const base = number === 1 ? FIRST_PAGE_OFFSET : 0;
    const type = view.getUint8(base + PAGE.type);
    if (type !== PAGE_TYPE.interior && type !== PAGE_TYPE.leaf)
      throw sqliteDamaged(`page ${number} is of type ${type}`);
    const count = view.getUint16(base + PAGE.cells);
    const pointers = base + (type === PAGE_TYPE.leaf ? PAGE.leafHeader : PAGE.interiorHeader);
    if (pointers + 2 * count > pages.usable) throw sqliteDamaged(`page ${number} has ${count} cells`);
    const cells = Array.from({ length: count }, (_, cell) => view.getUint16(pointers + 2 * cell));
    // The smallest cell has four bytes.
    if (cells.some((at) => at + 4 > pages.usable)) throw sqliteDamaged(`a cell of page ${number} lies outside`);
    if (type === PAGE_TYPE.interior) {
      pending.push(view.getUint32(base + PAGE.rightmost), ...cells.reverse().map((at) => view.getUint32(at)));
    } else {
      for (const at of cells) yield parseRecord(cellPayload(walk, page, at));
    }
  }
}

/** A page nobody has read in this walk. */
function take({ pages, seen }: Walk, number: number): Uint8Array {
  if (seen.has(number)) throw sqliteDamaged(`page ${number} is in two places`);
  seen.add(number);
  return pages.page(number);
}

/** Content of a leaf's cell: its length, the rowid, what fits the page, and the first page of the rest. */
function cellPayload(walk: Walk, page: Uint8Array, start: number): Uint8Array {
  const { usable } = walk.pages;
  const [length, rowidAt] = varint(page, start);
  const [, at] = varint(page, rowidAt);
  if (length > walk.left) throw sqliteDamaged(`a cell has ${length} bytes`);
  walk.left -= Number(length);
  const total = Number(length);
  const local = localBytes(total, usable);
  const end = at + local + (local < total ? 4 : 0);
  if (end > usable) throw sqliteDamaged('a cell goes past its page');
  if (local === total) return page.subarray(at, at + total);
  const out = new Uint8Array(total);
  out.set(page.subarray(at, at + local));
  let next = new DataView(page.buffer, page.byteOffset, page.length).getUint32(at + local);
  for (let filled = local; filled < total; ) {
    const more = take(walk, next);
    const room = Math.min(usable - 4, total - filled);
    out.set(more.subarray(4, 4 + room), filled);
    filled += room;
    next = new DataView(more.buffer, more.byteOffset, more.length).getUint32(0);
  }
  return out;
}

/** How much of `total` bytes a leaf keeps itself (section 1.6). */
function localBytes(total: number, usable: number): number {
  if (total <= usable - 35) return total;
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const wanted = least + ((total - least) % (usable - 4));
  return wanted <= usable - 35 ? wanted : least;
}

/** A record: the length of its header, a serial type for each value, the values (section 2.1). */
function parseRecord(record: Uint8Array): SqliteValue[] {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  const [headerLength, first] = varint(record, 0);
  if (headerLength > record.length) throw sqliteDamaged('a record ends in its header');
  const values: SqliteValue[] = [];
  let body = Number(headerLength);
  for (let at = first; at < headerLength; ) {
    const [serial, next] = varint(record, at);
    at = next;
    const width = serial < 12n ? WIDTHS[Number(serial)] : Number((serial - 12n) / 2n);
    if (width === undefined || body + width > record.length) throw sqliteDamaged('a record ends in a value');
    values.push(decodeValue(view, serial, record.subarray(body, body + width)));
    body += width;
  }
  return values;
}

function decodeValue(view: DataView, serial: bigint, bytes: Uint8Array): SqliteValue {
  if (serial >= 12n && serial % 2n === 0n) return bytes;
  if (serial >= 12n) {
    if (bytes.length > MAX_TEXT) throw sqliteDamaged(`a text has ${bytes.length} bytes`);
    return new TextDecoder().decode(bytes);
  }
  if (serial === 0n) return null;
  if (serial === 7n) return view.getFloat64(bytes.byteOffset - view.byteOffset);
  if (serial >= 8n) return serial - 8n;
  const unsigned = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return BigInt.asIntN(8 * bytes.length, unsigned);
}

/** Up to nine bytes, seven bits each but for the last, which has eight. Answers the value and where the next thing is. */
function varint(bytes: Uint8Array, start: number): [value: bigint, next: number] {
  let value = 0n;
  for (let at = start; at < start + 9; at++) {
    const byte = bytes[at];
    if (byte === undefined) throw sqliteDamaged('a number ends too early');
    if (at === start + 8) return [(value << 8n) | BigInt(byte), at + 1];
    value = (value << 7n) | BigInt(byte & 0x7f);
    if (byte < 0x80) return [value, at + 1];
  }
  return [value, start + 9];
}
