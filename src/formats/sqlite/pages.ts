/** Pages of an SQLite database, those of its write-ahead log first (SQLite, "Database File Format"). */

import { FormatError } from '../../errors.ts';
import { readWal } from './wal.ts';

/** The first bytes of every database file. */
export const SQLITE_MAGIC = 'SQLite format 3\0';

const HEADER_LENGTH = 100;
/** Byte positions in the header; numbers are big-endian. */
const HEADER = { pageSize: 16, reserved: 20, encoding: 56 } as const;
const UTF8 = 1;
const PAGE_SIZE = { min: 512, max: 65_536 };
/** Less would not hold the cells the format promises. */
const USABLE_MIN = 480;

export interface SqlitePages {
  readonly pageSize: number;
  /** Bytes of a page without what extensions reserve at its end. */
  readonly usable: number;
  /** Bytes of all pages; no content can be longer. */
  readonly size: number;
  /** The page `number`, counted from 1. @throws FormatError `sqlite.damaged` when the database has no such page */
  page(number: number): Uint8Array;
}

/**
 * Opens a database given as bytes, with its `-wal` file where there is one: what it commits is as good as written.
 * @throws FormatError `sqlite.damaged`, `sqlite.unsupported`
 */
export function openSqlite(bytes: Uint8Array, walBytes?: Uint8Array): SqlitePages {
  const wal = walBytes === undefined ? undefined : readWal(walBytes);
  const head = wal?.pages.get(1) ?? bytes.subarray(0, HEADER_LENGTH);
  if (head.length < HEADER_LENGTH || latin1(head.subarray(0, SQLITE_MAGIC.length)) !== SQLITE_MAGIC) {
    throw sqliteDamaged('it has no header');
  }
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const field = view.getUint16(HEADER.pageSize);
  const pageSize = field === 1 ? PAGE_SIZE.max : field;
  const usable = pageSize - view.getUint8(HEADER.reserved);
  if (pageSize < PAGE_SIZE.min || (pageSize & (pageSize - 1)) !== 0 || usable < USABLE_MIN) {
    throw sqliteDamaged(`its pages are of ${pageSize} bytes`);
  }
  if (wal !== undefined && wal.pageSize !== pageSize) {
    throw sqliteDamaged(`pages of its log are of ${wal.pageSize} bytes, its own of ${pageSize}`);
  }
  const encoding = view.getUint32(HEADER.encoding);
  if (encoding !== UTF8) {
    throw new FormatError(
      'sqlite.unsupported',
      `Cannot read an SQLite database: text encoding ${encoding} is not UTF-8`,
    );
  }
  const count = wal?.count ?? Math.floor(bytes.length / pageSize);
  const page = (number: number): Uint8Array => {
    const logged = wal?.pages.get(number);
    if (logged !== undefined) return logged;
    const at = (number - 1) * pageSize;
    if (number < 1 || number > count || at + pageSize > bytes.length) throw sqliteDamaged(`it has no page ${number}`);
    return bytes.subarray(at, at + pageSize);
  };
  return { pageSize, usable, size: bytes.length + (walBytes?.length ?? 0), page };
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

export function sqliteDamaged(why: string): FormatError {
  return new FormatError('sqlite.damaged', `Cannot read an SQLite database: it is damaged: ${why}`, {
    hint: 'Run "rpmdb --rebuilddb" in the guest if it is the database of rpm.',
  });
}
