import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratch } from '../../fixtures/ext4-image.ts';
import { memoryTree } from '../../fixtures/memory-tree.ts';
import {
  buildRpms,
  exportBlobs,
  installRpms,
  makeBerkeley,
  makeNdb,
  queryLine,
  queryRpm,
  whyNoTools,
} from '../../fixtures/rpm-database.ts';
import { readRpmDatabase } from '../../src/formats/rpm/database.ts';
import { readPackages } from '../../src/verify/packages.ts';

const run = promisify(execFile);
const noRpm = whyNoTools('rpm', 'rpmbuild', 'db5.3_load', 'python3');

describe.skipIf(noRpm !== undefined)(`databases rpm made (${noRpm ?? 'with rpm'})`, () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let folder = '';
  let expected: string[] = [];
  let blobs: Map<number, Buffer>;

  beforeAll(async () => {
    place = await scratch();
    folder = join(place.path, 'sqlite');
    await mkdir(folder);
    await installRpms(folder, await buildRpms(place.path));
    expected = await queryRpm(folder, 'sqlite');
    blobs = await exportBlobs(join(folder, 'rpmdb.sqlite'));
  }, 300_000);
  afterAll(() => place[Symbol.asyncDispose]());

  const lines = (bytes: Uint8Array, wal?: Uint8Array): string[] =>
    readRpmDatabase(bytes, wal)
      .map((header) => queryLine({ ...header }))
      .sort();

  test('SQLite: every tag is what rpm -qa says', async () => {
    expect(expected).toHaveLength(61);
    expect(lines(await readFile(join(folder, 'rpmdb.sqlite')))).toEqual(expected);
  });

  test.each([512, 1024, 65_536])('SQLite: pages of %d bytes', async (pageSize) => {
    const path = join(place.path, `pages-${pageSize}.sqlite`);
    await python(
      `db = sqlite3.connect(sys.argv[1]); db.execute("pragma journal_mode=delete"); db.execute("pragma page_size=${pageSize}")
db.execute("vacuum into '${path}'")`,
      await copyOf(`to-${pageSize}`),
    );
    const bytes = await readFile(path);
    expect(bytes.readUInt16BE(16) || 65_536).toBe(pageSize === 65_536 ? 1 : pageSize);
    expect(lines(bytes)).toEqual(expected);
  });

  test('SQLite: what the write-ahead log commits counts, and what it does not commit does not', async () => {
    const path = await copyOf('wal');
    const script = `import os, shutil
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma journal_mode=wal"); db.execute("pragma wal_autocheckpoint=0"); db.execute("pragma cache_size=2")
db.execute("delete from Packages where hnum % 2 = 0")
db.execute("begin"); db.execute("delete from Packages where hnum % 3 = 0")
db.execute("insert into Packages(blob) select randomblob(100000) from Packages limit 10")
shutil.copy(sys.argv[1], sys.argv[1] + ".copy"); shutil.copy(sys.argv[1] + "-wal", sys.argv[1] + ".copy-wal")
db.execute("rollback")`;
    await python(script, path);
    const [bytes, wal] = await Promise.all([readFile(`${path}.copy`), readFile(`${path}.copy-wal`)]);
    expect(lines(bytes)).toEqual(expected);
    const left = await exportBlobs(path);
    expect(left.size).toBe(31);
    expect(wal.length, 'pages that are not committed are in the log').toBeGreaterThan(1_000_000);
    expect(lines(bytes, wal)).toEqual(lines(makeNdb(left)));
    expect(lines(bytes, wal.subarray(0, 100)), 'a torn log is no log').toEqual(expected);
  });

  test.each([
    ['little', 4096, false],
    ['big', 4096, false],
    ['little', 512, false],
    ['big', 65_536, false],
    ['little', 4096, true],
  ] as const)('Berkeley DB: %s-endian, pages of %d bytes, checksums: %s', async (order, pageSize, checksums) => {
    const dbpath = join(place.path, `bdb-${order}-${pageSize}-${checksums}`);
    await mkdir(dbpath);
    const path = join(dbpath, 'Packages');
    await makeBerkeley(path, blobs, { order, pageSize, checksums });
    expect(lines(await readFile(path))).toEqual(expected);
    if (order === 'little' && !checksums) expect(await queryRpm(dbpath, 'bdb_ro')).toEqual(expected);
  });

  test('Berkeley DB: many small records make many buckets', async () => {
    const path = join(place.path, 'many');
    const many = new Map(Array.from({ length: 5000 }, (_, at) => [at + 1, blobs.get(1 + (at % 3))!] as const));
    await makeBerkeley(path, many, { order: 'little', pageSize: 4096 });
    expect(readRpmDatabase(await readFile(path))).toHaveLength(5000);
  });

  test('ndb', () => expect(lines(makeNdb(blobs))).toEqual(expected));

  test('SQLite: cells and pages that lead to themselves end as damage', async () => {
    const bytes = await readFile(join(folder, 'rpmdb.sqlite'));
    const pageSize = bytes.readUInt16BE(16);
    const [cells, loop] = [Buffer.from(bytes), Buffer.from(bytes)];
    for (let at = pageSize; at < bytes.length; at += pageSize) {
      const count = bytes.readUInt16BE(at + 3);
      // Every cell of a leaf is its first one; every way down an interior page is that page.
      if (bytes[at] === 13)
        for (let cell = 1; cell < count; cell++) bytes.copy(cells, at + 8 + 2 * cell, at + 8, at + 10);
      if (bytes[at] === 5) loop.writeUInt32BE(1 + at / pageSize, at + 8);
    }
    for (const damaged of [cells, loop]) {
      expect(() => readRpmDatabase(damaged)).toThrow(expect.objectContaining({ code: 'sqlite.damaged' }));
    }
  });

  test('ndb: a blob that two slots name, and a changed byte, end as damage', () => {
    const good = makeNdb(blobs);
    const [twice, changed] = [Buffer.from(good), Buffer.from(good)];
    good.copy(twice, 48, 32, 48);
    changed.writeUInt8(good.readUInt8(good.length - 100) ^ 1, good.length - 100);
    for (const damaged of [twice, changed, good.subarray(0, -16)]) {
      expect(() => readRpmDatabase(damaged)).toThrow(expect.objectContaining({ code: 'ndb.damaged' }));
    }
  });

  test('Berkeley DB: a bucket that goes on in itself ends as damage', async () => {
    const path = join(place.path, 'loop');
    await makeBerkeley(path, blobs, { order: 'little', pageSize: 4096 });
    const bytes = await readFile(path);
    for (let at = 4096; at < bytes.length; at += 4096) {
      if (bytes[at + 25] === 13 || bytes[at + 25] === 2) bytes.writeUInt32LE(at / 4096, at + 16);
    }
    expect(() => readRpmDatabase(bytes)).toThrow(expect.objectContaining({ code: 'bdb.damaged' }));
    expect(() => readRpmDatabase(bytes.subarray(0, -4096))).toThrow(expect.objectContaining({ code: 'bdb.damaged' }));
  });

  test('the list of a tree has sources and package URLs', async () => {
    const database = await readFile(join(folder, 'rpmdb.sqlite'));
    const sets = await readPackages(
      memoryTree({
        '/etc/os-release': { link: '../usr/lib/os-release' },
        '/usr/lib/os-release': 'ID="rhel"\nVERSION_ID="9.4"\n',
        '/var/lib/rpm': { link: '../../usr/lib/sysimage/rpm' },
        '/usr/lib/sysimage/rpm/rpmdb.sqlite': database,
      }),
    );
    expect(sets.map(({ manager, packages }) => [manager, packages.length])).toEqual([['rpm', 61]]);
    expect(sets[0]!.packages.at(-1)).toEqual({
      name: 'sample',
      version: '1.2~rc1^git5',
      release: '3.el9',
      epoch: 2,
      arch: 'x86_64',
      license: 'MIT AND (GPL-2.0-or-later OR Apache-2.0)',
      source: 'sample',
      sourceVersion: '1.2~rc1^git5-3.el9',
      supplier: 'Sample Project',
      summary: 'One package of many, with an ü',
      purl: 'pkg:rpm/redhat/sample@1.2~rc1%5Egit5-3.el9?arch=x86_64&distro=rhel-9.4&epoch=2',
    });
  });

  async function copyOf(name: string): Promise<string> {
    const path = join(place.path, `${name}.sqlite`);
    await python(
      'sqlite3.connect(sys.argv[1]).execute("vacuum into ?", [sys.argv[2]])',
      join(folder, 'rpmdb.sqlite'),
      path,
    );
    return path;
  }
});

async function python(script: string, ...args: string[]): Promise<void> {
  await run('python3', ['-c', `import sqlite3, sys\n${script}`, ...args]);
}
