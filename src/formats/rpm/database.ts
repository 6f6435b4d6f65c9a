/** The package database of rpm in the three forms it has had, told apart by their first bytes. */

import { FormatError } from '../../errors.ts';
import { openSqlite, SQLITE_MAGIC } from '../sqlite/pages.ts';
import { sqliteRows } from '../sqlite/table.ts';
import { BERKELEY_HASH_MAGIC, BERKELEY_MAGIC_AT, berkeleyHashRecords } from './berkeley-hash.ts';
import { parseRpmHeader, type RpmHeader } from './header.ts';
import { NDB_MAGIC, ndbBlobs } from './ndb.ts';

/** Folders rpm keeps its database in, the older first; one is often a symlink to the other. */
export const RPM_FOLDERS = ['/var/lib/rpm', '/usr/lib/sysimage/rpm'] as const;
/** Names of the database in its folder; rpm that moved from one form to another leaves only the newer. */
export const RPM_DATABASES = ['rpmdb.sqlite', 'Packages.db', 'Packages'] as const;

/**
 * Headers of the installed packages. `wal` is the `-wal` file beside an SQLite database. The keys rpm trusts are kept as
 * headers too (`gpg-pubkey`); they hold no software and are left out. A file without a byte is a database without a package.
 * @throws FormatError `rpm.unknown-database`, `rpm.damaged-header`, and those of the form
 */
export function readRpmDatabase(bytes: Uint8Array, wal?: Uint8Array): RpmHeader[] {
  const headers: RpmHeader[] = [];
  for (const blob of blobs(bytes, wal)) {
    const header = parseRpmHeader(blob);
    if (header.name !== 'gpg-pubkey') headers.push(header);
  }
  return headers;
}

function isSqlite(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(0, SQLITE_MAGIC.length)) === SQLITE_MAGIC;
}

function* blobs(bytes: Uint8Array, wal: Uint8Array | undefined): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (at: number, little: boolean): number => (at + 4 <= bytes.length ? view.getUint32(at, little) : 0);
  if (word(0, true) === NDB_MAGIC) {
    yield* ndbBlobs(bytes);
  } else if ([true, false].some((little) => word(BERKELEY_MAGIC_AT, little) === BERKELEY_HASH_MAGIC)) {
    // Key 0 holds the number of the package that was installed last.
    for (const { key, value } of berkeleyHashRecords(bytes)) if (key.some((byte) => byte !== 0)) yield value;
  } else if (isSqlite(bytes) || (bytes.length === 0 && (wal?.length ?? 0) > 0)) {
    // Columns: hnum, which is the rowid, and blob.
    for (const [, blob] of sqliteRows(openSqlite(bytes, wal), 'Packages')) {
      if (blob instanceof Uint8Array) yield blob;
    }
  } else if (bytes.length > 0) {
    throw new FormatError(
      'rpm.unknown-database',
      'Cannot read the rpm database: it is neither SQLite, nor ndb, nor a Berkeley DB hash',
    );
  }
}
