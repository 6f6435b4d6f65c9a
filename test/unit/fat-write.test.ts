import { describe, expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { isComposeError } from '../../src/errors.ts';
import { type Fat, openFat } from '../../src/filesystem/fat/open.ts';
import { readPath } from '../../src/filesystem/file-tree.ts';
import { fatNames } from '../../src/formats/fat/names.ts';
import { type FatFile, type FatOptions, FLOPPY_SIZE, writeFat } from '../../src/formats/fat/writer.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const SECTOR = 512;

const open = (files: readonly FatFile[], options: Partial<FatOptions> = {}): Promise<Fat> =>
  openFat(memorySource(writeFat(files, { label: 'TEST', ...options })));

/** Bytes as text: long arrays take the matchers seconds. */
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** Path → content of every file. */
async function contents(fat: Fat): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const entry of fat.entries()) {
    if (entry.kind !== 'file') continue;
    const bytes = new Uint8Array(entry.data?.size ?? 0);
    for (const { logical, length, position } of entry.data?.extents ?? []) {
      bytes.set(await readBytes(fat.source, position, length), logical);
    }
    found.set(new TextDecoder().decode(entry.path), latin1(bytes));
  }
  return found;
}

const sorted = (files: readonly FatFile[]): [string, string][] =>
  files.map(({ path, content }): [string, string] => [path, latin1(content ?? new Uint8Array(0))]).sort();

describe.each([12, 16, 32] as const)('FAT%i', (bits) => {
  test('sizes around the borders of clusters', async () => {
    const files = [0, 1, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 70_000].map((size) => ({
      path: `sizes/of ${size}`,
      content: new Uint8Array(size).map((_, at) => at % 251),
    }));
    for (const clusterSize of [512, 1024]) {
      const fat = await open(files, { bits, clusterSize });
      expect(fat).toMatchObject({ bits, clean: true, label: 'TEST', geometry: { clusterSize } });
      expect([...(await contents(fat))].sort()).toEqual(sorted(files));
    }
  });

  test('what is free is all but what is used, and all of it is zeros', async () => {
    const fat = await open([{ path: 'a/b', content: new Uint8Array(3000).fill(1) }], { bits, clusterSize: 512 });
    let free = 0;
    for await (const { position, length } of fat.freeRanges()) {
      free += length;
      expect((await readBytes(fat.source, position, Math.min(length, 4096))).every((byte) => byte === 0)).toBe(true);
    }
    // Six clusters of the file, one of its directory, one of the root in FAT32.
    expect(free / 512).toBe(fat.geometry.clusters - 7 - (bits === 32 ? 1 : 0));
  });
});

const NAMES: readonly (readonly [names: readonly string[], shorts: readonly string[], reason: string])[] = [
  [['KS.CFG'], ['KS      CFG'], 'a short name as it stands'],
  [['ks.cfg'], ['KS      CFG'], 'case alone needs no number'],
  [['user-data', 'meta-data'], ['USER-D~1   ', 'META-D~1   '], 'longer than eight'],
  [['longname1.txt', 'longname2.txt', 'longname3.txt'], ['LONGNA~1TXT', 'LONGNA~2TXT', 'LONGNA~3TXT'], 'collisions'],
  [['longfilename.txt', 'LONGFI~1.TXT'], ['LONGFI~2TXT', 'LONGFI~1TXT'], 'a real name keeps its place'],
  [['.hidden'], ['HIDDEN~1   '], 'a dot in front'],
  [['a.b.c'], ['AB~1    C  '], 'two dots'],
  [['žluťoučký'], ['_LU_OU~1   '], 'other letters'],
  [['日本'], ['__~1       '], 'no letters at all'],
  [['a b'], ['AB~1       '], 'a blank'],
  [['x.html'], ['X~1     HTM'], 'a long extension'],
  [['...a'], ['A~1        '], 'nothing but dots before'],
  [['+'], ['_~1        '], 'characters a short name cannot have'],
];
test.each(NAMES)('short names of %j', (names, shorts) => {
  expect(fatNames(names).map(({ short }) => short)).toEqual(shorts);
});

test('short names stay apart past nine and past a hundred thousand', () => {
  const names = Array.from({ length: 20_000 }, (_, at) => `a long name number ${at}.conf`);
  const shorts = fatNames(names).map(({ short }) => short);
  expect(new Set(shorts).size).toBe(names.length);
  expect(shorts[9]).toBe('ALONG~10CON');
  expect(shorts[19_999]).toBe('AL~20000CON');
});

test('names of other scripts, of every length, and deep folders are read back', async () => {
  const files: FatFile[] = [
    ...Array.from({ length: 40 }, (_, at) => ({ path: `lengths/${'n'.repeat(at + 1)}`, content: text(`${at}`) })),
    { path: `${'x'.repeat(255)}`, content: text('255') },
    { path: 'žluťoučký kůň.txt', content: text('Latin') },
    { path: '日本語/ファイル', content: text('Kanji') },
    { path: '😀 smile', content: text('surrogates') },
    { path: '$WinPEDriver$/a;b,c=[d]+e', content: text('marks') },
    { path: Array.from({ length: 30 }, (_, level) => `level-${level}`).join('/'), content: text('deep') },
    { path: 'empty' },
    { path: 'LOWER~1.TXT', content: text('real') },
    { path: 'lower case.txt', content: text('made') },
  ];
  for (const bits of [12, 16, 32] as const) {
    const fat = await open(files, { bits });
    expect([...(await contents(fat))].sort()).toEqual(sorted(files));
  }
});

test('the same files in another order, or at another time of day, are the same bytes', () => {
  const files = [
    { path: 'b', content: text('b') },
    { path: 'a/c', content: text('c') },
    { path: 'a/b long', content: text('d') },
  ];
  const image = writeFat(files, { label: 'OEMDRV' });
  expect(Buffer.compare(writeFat(files.toReversed(), { label: 'OEMDRV' }), image)).toBe(0);
  const serial = (bytes: Uint8Array): number => new DataView(bytes.buffer).getUint32(39, true);
  expect(serial(writeFat([...files, { path: 'x' }], { label: 'OEMDRV' }))).not.toBe(serial(image));
  expect(serial(writeFat(files, { label: 'OTHER' }))).not.toBe(serial(image));
  expect(serial(writeFat(files, { label: 'OEMDRV', serial: 0xdeadbeef }))).toBe(0xdeadbeef);
});

test('times are UTC to two seconds, and what is before 1980 is 1980', async () => {
  const mtime = async (time?: number): Promise<bigint | undefined> => {
    const fat = await open([{ path: 'a' }], time === undefined ? {} : { time });
    return (await fat.lookup('a'))?.mtime;
  };
  expect(await mtime(1_700_000_001)).toBe(1_700_000_000_000_000_000n);
  expect(await mtime()).toBe(315_532_800_000_000_000n);
  expect(await mtime(4_354_819_198)).toBe(4_354_819_198_000_000_000n);
  expect(() => writeFat([], { label: 'X', time: 4_354_819_200 })).toThrow(
    expect.objectContaining({ code: 'fat.time' }),
  );
});

test('a floppy has the geometry of one, and is full when it is full', async () => {
  const fat = await open([{ path: 'Autounattend.xml', content: text('<xml/>') }], { size: FLOPPY_SIZE });
  expect(fat.source.size).toBe(1_474_560);
  expect(fat.geometry).toMatchObject({
    bits: 12,
    clusters: 2847,
    clusterSize: 512,
    tableSize: 9 * 512,
    rootSize: 7168,
  });
  const room = 2847 * 512;
  const exact = [{ path: 'F', content: new Uint8Array(room).fill(7) }];
  expect((await contents(await open(exact, { size: FLOPPY_SIZE }))).get('F')?.length).toBe(room);
  const over = [{ path: 'F', content: new Uint8Array(room + 1) }];
  expect(() => writeFat(over, { label: 'X', size: FLOPPY_SIZE })).toThrow(
    expect.objectContaining({ code: 'fat.too-large', message: expect.stringContaining('do not fit') }),
  );
  const many = Array.from({ length: 224 }, (_, at) => ({ path: `F${at}` }));
  expect(() => writeFat(many, { label: 'X', size: FLOPPY_SIZE })).toThrow(
    expect.objectContaining({ code: 'fat.too-large' }),
  );
  const allButTheLabel = await open(many.slice(1), { size: FLOPPY_SIZE });
  expect((await contents(allButTheLabel)).size).toBe(223);
});

/** Sectors of a volume with exactly `clusters` clusters of one sector. */
function sectorsFor(bits: 12 | 16 | 32, clusters: number): number {
  const table = Math.ceil(((clusters + 2) * bits) / 8 / SECTOR);
  return (bits === 32 ? 32 : 1) + 2 * table + (bits === 32 ? 0 : 32) + clusters;
}

test('the numbers of clusters between the types', async () => {
  const make = (bits: 12 | 16 | 32, clusters: number): Promise<Fat> =>
    open([{ path: 'last', content: text('x') }], {
      bits,
      clusterSize: SECTOR,
      size: sectorsFor(bits, clusters) * SECTOR,
    });
  for (const [bits, clusters] of [
    [12, 4084],
    [16, 4085],
    [16, 65_524],
    [32, 65_525],
  ] as const) {
    const fat = await make(bits, clusters);
    expect(fat.geometry).toMatchObject({ bits, clusters });
    expect(new TextDecoder().decode(await readPath(fat, '/last'))).toBe('x');
  }
  const options = { label: 'X', clusterSize: SECTOR };
  for (const [bits, clusters] of [
    [12, 4086],
    [16, 4084],
    [16, 65_526],
    [32, 65_524],
  ] as const) {
    const size = sectorsFor(bits, clusters) * SECTOR;
    expect(() => writeFat([], { ...options, bits, size }), `FAT${bits} of ${clusters}`).toThrow(
      expect.objectContaining({ code: 'fat.size' }),
    );
  }
});

test('a root directory of many names grows, in FAT16 and FAT32', async () => {
  const files = Array.from({ length: 3000 }, (_, at) => ({ path: `a rather long name, number ${at}` }));
  for (const bits of [12, 16, 32] as const) {
    expect((await contents(await open(files, { bits }))).size).toBe(files.length);
  }
});

const REFUSED: readonly (readonly [
  files: readonly FatFile[],
  options: Partial<FatOptions>,
  code: string,
  why: string,
])[] = [
  [[{ path: '' }], {}, 'fat.name', 'no name'],
  [[{ path: 'a/../b' }], {}, 'fat.name', 'a way out'],
  [[{ path: 'a:b' }], {}, 'fat.name', 'a colon'],
  [[{ path: 'a\u0007' }], {}, 'fat.name', 'a control character'],
  [[{ path: 'a.' }], {}, 'fat.name', 'a dot at the end'],
  [[{ path: 'dir /f' }], {}, 'fat.name', 'a blank at the end'],
  [[{ path: 'x\ud800' }], {}, 'fat.name', 'half a character'],
  [[{ path: 'n'.repeat(256) }], {}, 'fat.name', 'too long'],
  [[{ path: 'a' }, { path: 'a' }], {}, 'fat.name', 'twice'],
  [[{ path: 'KS.cfg' }, { path: 'ks.CFG' }], {}, 'fat.name', 'twice but for case'],
  [[{ path: 'É' }, { path: 'é' }], {}, 'fat.name', 'twice but for case, beyond ASCII'],
  [[{ path: 'a' }, { path: 'a/b' }], {}, 'fat.name', 'a file as a directory'],
  [[{ path: 'Dir/a' }, { path: 'dir/b' }], {}, 'fat.name', 'two directories that are one'],
  [[{ path: `${'d/'.repeat(80)}f` }], {}, 'fat.name', 'too deep'],
  [[], { label: 'TWELVE CHARS' }, 'fat.label', 'twelve characters'],
  [[], { label: '' }, 'fat.label', 'no label'],
  [[], { label: 'ä' }, 'fat.label', 'a letter beyond ASCII'],
  [[], { label: 'a/b' }, 'fat.label', 'a slash'],
  [[], { clusterSize: 500 }, 'fat.size', 'no power of two'],
  [[], { size: 1000 }, 'fat.size', 'no whole sectors'],
  [[], { size: 512 }, 'fat.size', 'a sector'],
  [[], { time: Number.NaN }, 'fat.time', 'no time'],
];
test.each(REFUSED)('refused %#', (files, options, code, why) => {
  expect(() => writeFat(files, { label: 'X', ...options }), why).toThrow(expect.objectContaining({ code }));
});

test('trees made at random are read back as they were written', async () => {
  const next = random(1980);
  const alphabet = [...'abcXYZ019 ._-~+[]é日', '😀'];
  const name = (): string =>
    Array.from({ length: 1 + (next() % 30) }, () => alphabet[next() % alphabet.length])
      .join('')
      .replace(/[. ]+$/, '_');
  let written = 0;
  for (let round = 0; round < 120; round++) {
    const files: FatFile[] = Array.from({ length: next() % 40 }, () => ({
      path: Array.from({ length: 1 + (next() % 3) }, name).join('/'),
      content: new Uint8Array(next() % 3000).fill(next() & 0xff),
    }));
    const bits = ([12, 16, 32, undefined] as const)[next() % 4];
    const shape = { ...(bits === undefined ? {} : { bits }), ...(bits === 32 ? { clusterSize: 512 } : {}) };
    try {
      const fat = await open(files, shape);
      expect([...(await contents(fat))].sort(), `round ${round}`).toEqual(sorted(files));
      written++;
    } catch (error) {
      if (!isComposeError(error) || !error.code.startsWith('fat.name')) throw error;
    }
  }
  expect(written).toBeGreaterThan(60);
});
