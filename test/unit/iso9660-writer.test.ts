import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { processorMs } from '../../fixtures/clock.ts';
import { random } from '../../fixtures/fuzz.ts';
import { describeImage, sampleFiles } from '../../fixtures/iso-tree.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { type IsoFile, type IsoOptions, writeIso9660 } from '../../src/formats/iso9660/writer.ts';
import { type IsoNames, openIso9660 } from '../../src/formats/iso9660-reader.ts';

const SECTOR = 2048;

async function namesOf(image: Uint8Array, prefer: IsoNames): Promise<string[]> {
  const source = memorySource(image);
  const iso = await openIso9660(source, { prefer });
  return [...(await describeImage(source, iso.entries())).keys()];
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('the same files, label and time give the same bytes, in whatever order the files come', () => {
  const options = { volumeId: 'cidata', time: 1_700_000_000 };
  const once = digest(writeIso9660(sampleFiles(), options));
  expect(digest(writeIso9660(sampleFiles(), options))).toBe(once);
  expect(digest(writeIso9660(sampleFiles().reverse(), options))).toBe(once);
  expect(digest(writeIso9660(sampleFiles(), { ...options, time: 1_700_000_001 }))).not.toBe(once);
});

test('without a time it is 1970, not now', async () => {
  const iso = await openIso9660(memorySource(writeIso9660([{ path: 'f' }], { volumeId: 'x' })));
  expect((await iso.lookup('/f'))?.mtime).toBe(0n);
});

test('an image is whole sectors, and its descriptors say the same in both byte orders', () => {
  const image = writeIso9660(sampleFiles(), { volumeId: 'cidata' });
  expect(image.length % SECTOR).toBe(0);
  const view = new DataView(image.buffer);
  for (const descriptor of [16, 17]) {
    const at = descriptor * SECTOR;
    expect(view.getUint32(at + 80, true) * SECTOR).toBe(image.length);
    expect(view.getUint32(at + 84, false)).toBe(view.getUint32(at + 80, true));
    expect(view.getUint16(at + 130, false)).toBe(view.getUint16(at + 128, true));
    expect(view.getUint32(at + 136, false)).toBe(view.getUint32(at + 132, true));
  }
});

/** Directory identifiers and parents of the path table at `at`. */
function pathTable(image: Uint8Array, at: number, length: number, little: boolean): [string, number, number][] {
  const view = new DataView(image.buffer);
  const rows: [string, number, number][] = [];
  for (let p = at; p < at + length; ) {
    const size = image[p]!;
    const name = Buffer.from(image.subarray(p + 8, p + 8 + size)).toString('latin1');
    rows.push([name, view.getUint32(p + 2, little), view.getUint16(p + 6, little)]);
    p += 8 + size + (size % 2);
  }
  return rows;
}

test.each([
  [16, 'primary'],
  [17, 'Joliet'],
])('path tables of descriptor %i (%s): L and M agree, sorted by level, parent and name', (descriptor) => {
  const files = ['b/one', 'b/Two', 'b/three', 'a/x/y', 'a/w', 'Z/q', 'ä/q', 'c'].map((path) => ({ path: `${path}/f` }));
  const image = writeIso9660(files, { volumeId: 'x' });
  const view = new DataView(image.buffer);
  const at = descriptor * SECTOR;
  const length = view.getUint32(at + 132, true);
  const little = pathTable(image, view.getUint32(at + 140, true) * SECTOR, length, true);
  expect(pathTable(image, view.getUint32(at + 148, false) * SECTOR, length, false)).toEqual(little);
  expect(little).toHaveLength(14);
  expect(little[0]![2]).toBe(1);
  for (let i = 2; i < little.length; i++) {
    const [before, , parentBefore] = little[i - 1]!;
    const [name, , parent] = little[i]!;
    expect(parent, `parent of row ${i}`).toBeGreaterThanOrEqual(parentBefore);
    if (parent === parentBefore) expect(name > before, `${before} before ${name}`).toBe(true);
  }
});

test('no name is lost where the Joliet order differs from the plain one', async () => {
  // Upper case sorts first in UCS-2, but not once both are upper case: the two directories fill their sectors otherwise.
  for (const seed of [285, 348, 841]) {
    const next = random(seed);
    const count = 20 + (next() % 300);
    const files = Array.from({ length: count }, (_, i): IsoFile => {
      const upper = next() % 2;
      const long = next() % 3;
      const stem = `${upper ? 'B' : 'a'}${i.toString(36)}_`;
      return { path: `d/${(stem + 'x'.repeat(long === 0 ? 58 : long === 1 ? 1 : next() % 58)).slice(0, 64)}` };
    });
    const found = await namesOf(writeIso9660(files, { volumeId: 'x' }), 'joliet');
    expect(found).toEqual(['d', ...files.map((file) => file.path).sort()]);
  }
});

const LINKS: readonly (readonly [target: string, reason: string])[] = [
  ['x', 'one component'],
  ['/', 'the root alone'],
  ['/etc/x', 'absolute'],
  ['.././.', 'dots are components of their own'],
  ['c'.repeat(255), 'a component longer than an entry'],
  [`${'c'.repeat(255)}/${'d'.repeat(255)}`, 'two of them'],
  [`${'component/'.repeat(40)}end`, 'more components than an entry takes'],
  [`${'q'.repeat(200)}/`.repeat(15).slice(0, -1), 'entries that fill more than a sector'],
  [`${'ab/'.repeat(1364)}ab`, 'the longest target Linux takes'],
];

test.each(LINKS)('a symlink keeps its target (%#)', async (target, reason) => {
  const image = writeIso9660(
    [
      { path: 'link', symlink: target },
      { path: 'other', symlink: 'y' },
    ],
    { volumeId: 'x' },
  );
  const iso = await openIso9660(memorySource(image));
  const entry = await iso.lookup('/link');
  expect(Buffer.from(entry?.target ?? []).toString(), reason).toBe(target);
  expect(entry?.mode, 'what lstat shows of a symlink').toBe(0o777);
});

test('names of 1 to 255 bytes, of files and of directories', async () => {
  const lengths = [1, 29, 30, 31, 63, 64, 65, 100, 120, 200, 248, 249, 250, 251, 254, 255];
  const files = lengths.map((length) => ({ path: `${'d'.repeat(length)}/${'f'.repeat(length)}` }));
  const image = writeIso9660(files, { volumeId: 'x' });
  expect(await namesOf(image, 'rock-ridge')).toEqual(
    files.flatMap(({ path }) => [path.slice(0, path.indexOf('/')), path]).sort(),
  );
  expect(await namesOf(image, 'joliet')).toHaveLength(2 * lengths.length);
  expect(await namesOf(image, 'plain')).toHaveLength(2 * lengths.length);
});

test('a Joliet name is not cut within a character', async () => {
  const found = await namesOf(writeIso9660([{ path: `${'x'.repeat(63)}😀tail` }], { volumeId: 'x' }), 'joliet');
  expect(found).toEqual(['x'.repeat(63)]);
});

const REFUSED: readonly (readonly [
  files: readonly IsoFile[],
  options: Partial<IsoOptions>,
  code: string,
  why: string,
])[] = [
  [[{ path: '' }], {}, 'iso9660.name', 'no name'],
  [[{ path: '../x' }], {}, 'iso9660.name', 'leads out'],
  [[{ path: 'a/./b' }], {}, 'iso9660.name', 'a dot'],
  [[{ path: 'a\0b' }], {}, 'iso9660.name', 'a NUL'],
  [[{ path: 'é'.repeat(128) }], {}, 'iso9660.name', '256 bytes'],
  [[{ path: 'a' }, { path: 'a' }], {}, 'iso9660.name', 'twice'],
  [[{ path: 'a' }, { path: 'a/b' }], {}, 'iso9660.name', 'below a file'],
  [[{ path: 'a/b' }, { path: 'a' }], {}, 'iso9660.name', 'a file where a directory is'],
  [[{ path: 'l', symlink: '' }], {}, 'iso9660.name', 'a link to nothing: xorriso refuses the whole image'],
  [[], { volumeId: 'a'.repeat(33) }, 'iso9660.volume-id', '33 characters would be cut without a word'],
  [[], { volumeId: '€'.repeat(32) }, 'iso9660.volume-id', '96 bytes run into the next fields'],
  [[], { time: Number.NaN }, 'iso9660.time', 'no time'],
  [[], { time: 1e13 }, 'iso9660.time', 'a year of six digits'],
  [[], { time: -3e9 }, 'iso9660.time', 'before 1900'],
];

test.each(REFUSED)('refused %#', (files, options, code, why) => {
  expect(() => writeIso9660(files, { volumeId: 'x', ...options }), why).toThrow(expect.objectContaining({ code }));
});

test('twenty thousand files in one directory take no quadratic time', async () => {
  const files = Array.from({ length: 20_000 }, (_, i) => ({ path: `d/a-name-that-must-be-cut-for-level-two-${i}` }));
  let image: Uint8Array = new Uint8Array(0);
  const took = processorMs(() => {
    image = writeIso9660(files, { volumeId: 'x' });
  });
  expect(took).toBeLessThan(5000);
  expect(await namesOf(image, 'rock-ridge')).toHaveLength(20_001);
  expect(await namesOf(image, 'plain')).toHaveLength(20_001);
});
