import { describe, expect, test } from 'vitest';
import { longEntries, type RawFat, rawEntry, rawFat } from '../../fixtures/fat-image.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { isComposeError } from '../../src/errors.ts';
import { clearedFat } from '../../src/filesystem/fat/edit.ts';
import { type Fat, openFat } from '../../src/filesystem/fat/open.ts';
import { ownershipOf } from '../../src/filesystem/fat/options.ts';
import { fatTime } from '../../src/filesystem/fat/time.ts';
import { type Entry, readContent } from '../../src/filesystem/file-tree.ts';

const open = (options: RawFat): Promise<Fat> => openFat(memorySource(rawFat(options)));

async function entriesOf(fs: Fat): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  for await (const entry of fs.entries()) entries.set(Buffer.from(entry.path).toString(), entry);
  return entries;
}

const namesOf = async (...root: readonly Uint8Array[]): Promise<string[]> => {
  const names = [...(await entriesOf(await open({ bits: 12, root }))).keys()];
  return names.slice(1);
};

describe('short names', () => {
  test.each([
    ['README  TXT', 0, 'README.TXT'],
    ['README     ', 0, 'README'],
    ['README  TXT', 0x08, 'readme.TXT'],
    ['README  TXT', 0x10, 'README.txt'],
    ['README  TXT', 0x18, 'readme.txt'],
    ['A B  C  D E', 0, 'A B  C.D E'],
    ['        TXT', 0, '.TXT'],
    ['\x05BC        ', 0, 'σBC'],
    ['\x8e\x99\x9a     \x80\x81\x82', 0, 'ÄÖÜ.Çüé'],
    ['\x8e\x99\x9a     \x80\xe2\x90', 0x18, 'äöü.çΓé'],
    ['AB\0CD   X\0Y', 0, 'AB.X'],
  ])('%j with case bits %i is %s', async (name, bits, expected) => {
    expect(await namesOf(rawEntry({ name, case: bits }))).toEqual([expected]);
  });

  test('deleted entries, labels, dots and blanks are nothing', async () => {
    const names = await namesOf(
      rawEntry({ name: 'LABEL      ', attributes: 0x08 }),
      rawEntry({ name: '\xe5ONE    TXT' }),
      rawEntry({ name: '.          ', attributes: 0x10 }),
      rawEntry({ name: '..         ', attributes: 0x10 }),
      rawEntry({ name: '           ' }),
      rawEntry({ name: 'STAYS      ' }),
      new Uint8Array(32),
      rawEntry({ name: 'AFTER      ' }),
    );
    expect(names).toEqual(['AFTER', 'STAYS']);
  });
});

describe('long names', () => {
  const short = 'LONGNA~1TXT';
  const entry = rawEntry({ name: short });

  test.each([
    ['a', 'a'],
    ['thirteen char', 'exactly one entry, without terminator'],
    ['a name of several parts, with blanks.text', 'several'],
    ['Grüße 日本語 😀.txt', 'beyond ASCII and beyond 16 bits'],
    ['x'.repeat(255), 'the longest'],
  ])('%s (%s)', async (name) => {
    expect(await namesOf(...longEntries(name, short), entry)).toEqual([name]);
  });

  const parts = longEntries('a long name of three parts and more', short);
  const other = longEntries('another name that is long', 'OTHER~1 TXT');
  const deleted = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes, (byte, at) => (at === 0 ? 0xe5 : byte));
  test.each([
    ['whole', [...parts, entry], 'a long name of three parts and more'],
    ['of another entry', [...other, entry], 'LONGNA~1.TXT'],
    ['without its first part', [...parts.slice(1), entry], 'LONGNA~1.TXT'],
    ['without its last part', [...parts.slice(0, -1), entry], 'LONGNA~1.TXT'],
    ['with a part deleted', [parts[0]!, deleted(parts[1]!), parts[2]!, entry], 'LONGNA~1.TXT'],
    ['after one that has no entry', [...other, ...parts, entry], 'a long name of three parts and more'],
    ['that ends before a label', [...parts, rawEntry({ name: 'LABEL      ', attributes: 8 }), entry], 'LONGNA~1.TXT'],
    ['all of it twice', [...parts, ...parts, entry], 'a long name of three parts and more'],
  ])('%s', async (_, root, expected) => {
    expect(await namesOf(...root)).toEqual([expected]);
  });

  test.each([['a/b'], ['..'], ['.']])('%s is an error', async (name) => {
    await expect(namesOf(...longEntries(name, short), entry)).rejects.toMatchObject({ code: 'fat.damaged' });
  });

  test('one name twice is an error', async () => {
    const twice = [...longEntries('same', short), entry, ...longEntries('same', 'LONGNA~2TXT')];
    const second = rawEntry({ name: 'LONGNA~2TXT' });
    await expect(namesOf(...twice, second)).rejects.toMatchObject({ code: 'fat.damaged' });
  });
});

test.each([
  [0, 0x21, '1980-01-01T00:00:00Z', 'the first'],
  [0, 0, '1980-01-01T00:00:00Z', 'no date at all'],
  [0xbf7d, 0xff9f, '2107-12-31T23:59:58Z', 'the last'],
  [0x6000, 0x285d, '2000-02-29T12:00:00Z', 'a leap day'],
  [0x0001, 0x2861, '2000-03-01T00:00:02Z', 'after it'],
  [0, 0xf061, '2100-03-01T00:00:00Z', 'a century that is no leap year'],
  [0, 0xf221, '2101-01-01T00:00:00Z', 'after it'],
])('time %i of date %i is %s (%s)', (time, date, text) => {
  expect(fatTime(time, date)).toBe(BigInt(Date.parse(text)) * 1_000_000n);
});

describe.each([12, 16, 32] as const)('FAT%i', (bits) => {
  const end = { 12: 0xff8, 16: 0xfff8, 32: 0x0ffffff8 }[bits];
  const bad = end - 1;

  test('chains, directories, sizes, modes', async () => {
    const fs = await open({
      bits,
      root: [
        rawEntry({ name: 'EMPTY      ' }),
        rawEntry({ name: 'RUNS    BIN', cluster: 10, size: 512 * 4 - 100, attributes: 0x01, date: 0x285d }),
        rawEntry({ name: 'SUB        ', cluster: 20, attributes: 0x11, size: 77, time: 0x6000 }),
        rawEntry({ name: 'HOLLOW     ', attributes: 0x10 }),
      ],
      table: { 10: 11, 11: 30, 30: 31, 31: 40, 40: end, 20: 21, 21: end, 22: bad },
      content: {
        10: new Uint8Array(512).fill(1),
        11: new Uint8Array(512).fill(2),
        30: new Uint8Array(512).fill(3),
        31: new Uint8Array(512).fill(4),
        20: rawEntry({ name: '.          ', attributes: 0x10, cluster: 20 }),
        21: rawEntry({ name: 'IN         ', cluster: 99, size: 0 }),
      },
    });
    expect(fs.bits).toBe(bits);
    const entries = await entriesOf(fs);
    expect([...entries.keys()]).toEqual(['', 'EMPTY', 'HOLLOW', 'RUNS.BIN', 'SUB', 'SUB/IN']);
    expect([...entries.values()].map((one) => [one.kind, one.mode.toString(8)])).toEqual([
      ['directory', '755'],
      ['file', '755'],
      ['directory', '755'],
      ['file', '555'],
      ['directory', '755'],
      ['file', '755'],
    ]);
    const { data } = entries.get('RUNS.BIN')!;
    expect(data!.extents.map(({ logical, length }) => [logical, length])).toEqual([
      [0, 1024],
      [1024, 924],
    ]);
    const content = await readContent(data!);
    expect([0, 511, 512, 1024, 1536, 1947].map((at) => content[at])).toEqual([1, 1, 2, 3, 4, 4]);
    const free: number[] = [];
    for await (const { position, length } of fs.freeRanges()) {
      for (let at = 0; at < length; at += 512) free.push((position + at - fs.geometry.dataAt) / 512 + 2);
    }
    const used = [10, 11, 20, 21, 22, 30, 31, 40, ...(bits === 32 ? [2] : [])];
    expect(free.length).toBe(fs.geometry.clusters - used.length);
    expect(free.some((cluster) => used.includes(cluster))).toBe(false);
    expect(free.at(-1)).toBe(fs.geometry.clusters + 1);
  });

  test.each([
    ['a circle of one', { 10: 10 }, 'a circle'],
    ['a circle further on', { 10: 11, 11: 12, 12: 13, 13: 11 }, 'a circle'],
    ['an end too early', { 10: 11, 11: end }, 'ends after 2 of 40'],
    ['a bad cluster', { 10: 11, 11: bad }, 'ends after 2 of 40'],
    ['a free cluster', { 10: 11, 11: 0 }, 'cluster 0, outside'],
    ['a cluster that is not there', { 10: 11, 11: bits === 16 ? 5002 : 102 }, 'outside 2 to'],
  ])('a chain with %s is an error', async (_, table, words) => {
    const fs = await open({ bits, root: [rawEntry({ name: 'FILE       ', cluster: 10, size: 40 * 512 })], table });
    await expect(fs.lookup('/FILE')).rejects.toThrow(words);
  });

  test('a file longer than the file system, a start that is none, a directory in a circle', async () => {
    const fs = await open({
      bits,
      root: [
        rawEntry({ name: 'HUGE       ', cluster: 10, size: 0xffffffff }),
        rawEntry({ name: 'NOWHERE    ', cluster: 0, size: 1 }),
        rawEntry({ name: 'CIRCLE     ', cluster: 10, attributes: 0x10 }),
        rawEntry({ name: 'SELF       ', cluster: 20, attributes: 0x10 }),
      ],
      table: { 10: 11, 11: 10, 20: end },
      content: { 20: rawEntry({ name: 'AGAIN      ', cluster: 20, attributes: 0x10 }) },
    });
    await expect(fs.lookup('/HUGE')).rejects.toThrow('it would need 8388608 of');
    await expect(fs.lookup('/NOWHERE')).rejects.toThrow('cluster 0');
    await expect(fs.list('/CIRCLE')).rejects.toThrow('a circle');
    expect((await fs.lookup('/SELF/AGAIN/AGAIN'))?.kind).toBe('directory');
    const alone = await open({
      bits,
      root: [rawEntry({ name: 'SELF       ', cluster: 20, attributes: 0x10 })],
      table: { 20: end },
      content: { 20: rawEntry({ name: 'AGAIN      ', cluster: 20, attributes: 0x10 }) },
    });
    await expect(entriesOf(alone)).rejects.toMatchObject({ code: 'tree.loop' });
  });

  test('files that share their clusters are an error before they take time', async () => {
    const length = bits === 16 ? 5000 : 99;
    const first = bits === 32 ? 3 : 2;
    const table = Object.fromEntries(
      Array.from({ length }, (_, i) => [first + i, i === length - 1 ? end : first + i + 1]),
    );
    const names = ['A', 'B', 'C'].map((name) =>
      rawEntry({ name: name.padEnd(11), cluster: first, size: (length - 40) * 512 }),
    );
    const fs = await open({ bits, root: names, table });
    expect((await fs.lookup('/A'))?.data?.extents).toHaveLength(1);
    expect((await fs.lookup('/A'))?.data?.extents).toHaveLength(1);
    await expect(entriesOf(fs)).rejects.toThrow('more than the');
  });

  test('one that was not unmounted is read, and says so', async () => {
    expect(await open({ bits, root: [] })).toMatchObject({ clean: true, unclean: undefined });
    expect(await open({ bits, root: [], state: 1 })).toMatchObject({ clean: false });
    if (bits === 12) return;
    const [open1, error] = bits === 16 ? [0x7fff, 0xbfff] : [0x07ffffff, 0x0bffffff];
    expect(await open({ bits, root: [], second: open1 })).toMatchObject({ unclean: 'it was not unmounted' });
    expect(await open({ bits, root: [], second: error })).toMatchObject({ unclean: 'the medium had errors' });
  });

  test('edits that would change nothing are made by clearing free clusters, others are refused', async () => {
    const bytes = rawFat({
      bits,
      root: [rawEntry({ name: 'KEY        ', cluster: 10, size: 3 })],
      table: { 10: end },
      content: { 10: Buffer.from('key'), 11: Buffer.from('deleted') },
    });
    const fs = await openFat(memorySource(bytes));
    const source = await clearedFat(fs, [{ kind: 'remove', path: '/other/*', reason: 'test' }]);
    const read = new Uint8Array(bytes.length);
    await source.read(0, read);
    expect(Buffer.from(read).includes('deleted')).toBe(false);
    expect(Buffer.from(read).includes('key')).toBe(true);
    expect(await clearedFat(fs, [], false)).toBe(fs.source);
    for (const edit of [
      { kind: 'remove', path: '/K*', reason: 'test' },
      { kind: 'empty', path: '/KEY', reason: 'test' },
      { kind: 'clear', path: '/', reason: 'test' },
    ] as const) {
      await expect(clearedFat(fs, [edit])).rejects.toMatchObject({ code: 'fat.no-edit' });
    }
  });
});

test('owners and masks come from the options of the mount', async () => {
  const options = ['rw', 'umask=0077', 'dmask=027', 'uid=1000', 'gid=7', 'uid=x', 'shortname=mixed'];
  expect(ownershipOf(options)).toEqual({ fileMask: 0o77, directoryMask: 0o27, uid: 1000, gid: 7 });
  const bytes = rawFat({ bits: 12, root: [rawEntry({ name: 'F          ', attributes: 1 })] });
  const fs = await openFat(memorySource(bytes), ownershipOf(options));
  expect(await fs.lookup('/')).toMatchObject({ mode: 0o750, uid: 1000, gid: 7, mtime: 0n });
  expect(await fs.lookup('/F')).toMatchObject({ mode: 0o500, uid: 1000, gid: 7 });
});

describe('a boot sector', () => {
  const whole = rawFat({ bits: 16, root: [] });
  const changed = (at: number, ...values: readonly number[]): Promise<Fat> => {
    const bytes = whole.slice();
    bytes.set(values, at);
    return openFat(memorySource(bytes));
  };
  test.each([
    ['no size of a sector', 11, [0, 0], 'fat.not-fat'],
    ['sectors of 8192 bytes', 11, [0, 0x20], 'fat.not-fat'],
    ['three sectors in a cluster', 13, [3], 'fat.not-fat'],
    ['no reserved sector', 14, [0, 0], 'fat.not-fat'],
    ['no table', 16, [0], 'fat.not-fat'],
    ['an unknown medium', 21, [0x17], 'fat.not-fat'],
    ['a root of half a sector', 17, [24, 0], 'fat.damaged'],
    ['a table without length', 22, [0, 0], 'fat.damaged'],
    ['no sectors', 19, [0, 0], 'fat.damaged'],
    ['more sectors than there are', 19, [0xff, 0xff], 'fat.truncated'],
  ])('with %s is refused', async (_, at, values, code) => {
    await expect(changed(at, ...values)).rejects.toMatchObject({ code });
  });

  test('alone, or cut short, is refused', async () => {
    await expect(openFat(memorySource(whole.subarray(0, 511)))).rejects.toMatchObject({ code: 'fat.truncated' });
    await expect(openFat(memorySource(whole.subarray(0, 4096)))).rejects.toMatchObject({ code: 'fat.truncated' });
  });
});

test.each([12, 16, 32] as const)('damaged FAT%i ends in an error or a tree', async (bits) => {
  const end = { 12: 0xfff, 16: 0xffff, 32: 0x0fffffff }[bits];
  const short = 'LONGNA~1TXT';
  const image = rawFat({
    bits,
    root: [
      ...longEntries('a long name of three parts and more', short),
      rawEntry({ name: short, cluster: 10, size: 1500 }),
      rawEntry({ name: 'SUB        ', cluster: 20, attributes: 0x10 }),
    ],
    table: { 10: 12, 12: 13, 13: end, 20: 22, 22: end, 30: end },
    content: {
      20: Buffer.concat([rawEntry({ name: 'DEEP       ', cluster: 30, attributes: 0x10 }), ...longEntries('x', short)]),
      22: rawEntry({ name: 'FILE       ', cluster: 0 }),
      30: rawEntry({ name: 'LAST       ', cluster: 0, size: 0 }),
    },
  });
  const places = [0, (bits === 32 ? 32 : 1) * 512, image.length - (bits === 16 ? 5002 : 102) * 512];
  const next = random(bits);
  let trees = 0;
  for (let i = 0; i < 1500; i++) {
    const bytes = image.slice();
    const at = places[i % 3]!;
    bytes.set(mutate(bytes.subarray(at, at + (at === 0 ? 90 : 1600)), next), at);
    try {
      const fs = await openFat(memorySource(bytes));
      for await (const entry of fs.entries()) {
        const last = entry.data?.extents.at(-1);
        if (last !== undefined && last.position + last.length > bytes.length) throw new Error('data beyond the end');
      }
      for await (const { position, length } of fs.freeRanges()) {
        if (position + length > bytes.length) throw new Error('free beyond the end');
      }
      trees++;
    } catch (error) {
      if (!isComposeError(error)) throw error;
    }
  }
  expect(trees).toBeGreaterThan(100);
});
