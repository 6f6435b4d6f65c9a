import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { processorMs } from '../../fixtures/clock.ts';
import { scratch } from '../../fixtures/ext4-image.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { buildRpms, exportBlobs, installRpms, makeBerkeley, makeNdb, whyNoTools } from '../../fixtures/rpm-database.ts';
import { isComposeError } from '../../src/errors.ts';
import { readRpmDatabase } from '../../src/formats/rpm/database.ts';

const noRpm = whyNoTools('rpm', 'rpmbuild', 'db5.3_load', 'python3');
const SEEDS = 1500;

interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly wal?: Uint8Array;
  /** Byte positions of fields that decide where the rest is. */
  readonly fields: readonly number[];
}

describe.skipIf(noRpm !== undefined)(`damaged databases of rpm (${noRpm ?? 'made by rpm'})`, () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  const samples: Sample[] = [];

  beforeAll(async () => {
    place = await scratch();
    const folder = join(place.path, 'sqlite');
    await mkdir(folder);
    const rpms = await buildRpms(place.path);
    // The last ones have long headers, which take overflow pages.
    await installRpms(folder, [...rpms.slice(0, 8), ...rpms.slice(-4)]);
    const database = join(folder, 'rpmdb.sqlite');
    const blobs = await exportBlobs(database);
    const bytes = await readFile(database);
    samples.push({ name: 'sqlite', bytes, fields: [16, 18, 20, 28, 56, 100, 103, 105, 108] });
    samples.push({ name: 'ndb', bytes: makeNdb(blobs), fields: [4, 12, 32, 36, 40, 44, 56, 60, 4096, 4100, 4108] });
    for (const order of ['little', 'big'] as const) {
      const path = join(place.path, order);
      await makeBerkeley(path, blobs, { order, pageSize: 512 });
      const fields = [12, 16, 20, 24, 25, 26, 72, 96, 100, 104, 108, 512 + 16, 512 + 20, 512 + 22, 512 + 25, 512 + 26];
      samples.push({ name: `bdb-${order}`, bytes: await readFile(path), fields });
    }
  }, 300_000);
  afterAll(() => place[Symbol.asyncDispose]());

  test.each(['sqlite', 'ndb', 'bdb-little', 'bdb-big'])(
    '%s: an error with a code, or a list, in bounded time',
    (name) => {
      const { bytes, fields } = samples.find((sample) => sample.name === name)!;
      const whole = readRpmDatabase(bytes).length;
      let [listed, refused, slowest] = [0, 0, 0];
      for (let seed = 1; seed <= SEEDS; seed++) {
        const next = random(seed);
        const damaged = seed % 3 === 0 ? mutate(bytes, next) : withFields(bytes, fields, next);
        const took = processorMs(() => {
          try {
            const headers = readRpmDatabase(damaged);
            expect(headers.length).toBeLessThanOrEqual(whole * 2);
            listed++;
          } catch (error) {
            if (!isComposeError(error)) throw new Error(`seed ${seed}`, { cause: error });
            refused++;
          }
        });
        slowest = Math.max(slowest, took);
      }
      expect(refused).toBeGreaterThan(SEEDS / 20);
      // Nearly nothing gets past the checksums of ndb.
      expect(listed).toBeGreaterThan(name === 'ndb' ? 5 : SEEDS / 50);
      expect(slowest).toBeLessThan(2000);
    },
    240_000,
  );

  test('a damaged write-ahead log is cut at the damage', async () => {
    const { bytes } = samples.find((sample) => sample.name === 'sqlite')!;
    const wal = walOf(bytes);
    const whole = readRpmDatabase(bytes, wal).length;
    for (let seed = 1; seed <= 300; seed++) {
      expect(readRpmDatabase(bytes, mutate(wal, random(seed)))).toHaveLength(whole);
    }
  });
});

/** One to four of the fields that matter get an extreme or a near value, or another byte of the file changes. */
function withFields(bytes: Uint8Array, fields: readonly number[], next: () => number): Uint8Array {
  // `slice` of a Buffer shares its bytes.
  const out = Uint8Array.from(bytes);
  const view = new DataView(out.buffer);
  for (let edits = 1 + (next() % 4); edits > 0; edits--) {
    const at = next() % 2 === 0 ? fields[next() % fields.length]! : next() % (out.length - 4);
    const values = [0, 1, 2, 0xff, 0xffff, 0x7fffffff, 0xffffffff, view.getUint32(at) + 1, next()];
    const value = values[next() % values.length]! >>> 0;
    if (next() % 2 === 0) view.setUint32(at, value, next() % 2 === 0);
    else out[at] = value & 0xff;
  }
  return out;
}

/** A log that commits the first page as it is, summed by the bytes' own rule. */
function walOf(bytes: Uint8Array): Uint8Array {
  const pageSize = new DataView(bytes.buffer, bytes.byteOffset).getUint16(16);
  const wal = Buffer.alloc(32 + 24 + pageSize);
  for (const [at, value] of [
    [0, 0x377f0683],
    [4, 3_007_000],
    [8, pageSize],
    [16, 1],
    [20, 2],
  ] as const) {
    wal.writeUInt32BE(value, at);
  }
  let [a, b] = [0, 0];
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at += 8) {
      a = (a + wal.readUInt32BE(at) + b) >>> 0;
      b = (b + wal.readUInt32BE(at + 4) + a) >>> 0;
    }
  };
  const store = (at: number): void => {
    wal.writeUInt32BE(a, at);
    wal.writeUInt32BE(b, at + 4);
  };
  add(0, 24);
  store(24);
  wal.writeUInt32BE(1, 32);
  wal.writeUInt32BE(bytes.length / pageSize, 36);
  wal.writeUInt32BE(1, 40);
  wal.writeUInt32BE(2, 44);
  wal.set(bytes.subarray(0, pageSize), 56);
  add(32, 40);
  add(56, wal.length);
  store(48);
  return wal;
}
