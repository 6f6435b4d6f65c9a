import { expect, test } from 'vitest';
import { memoryFiles } from '../../fixtures/memory-source.ts';
import { type HandMadeQcow2, handMadeQcow2 } from '../../fixtures/qcow2-image.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { type Disk, openDiskWith } from '../../src/disk/open.ts';
import { openUnpacker } from '../../src/disk/unpacker.ts';
import { parseQcow2Header } from '../../src/formats/qcow2-header.ts';

const zstdEngine = (await openUnpacker()).engines.zstd;
const noZstd = zstdEngine === undefined ? ' (skipped: neither Node nor libzstd unpacks zstd here)' : '';
const fill = (byte: number, length = 512): Uint8Array => new Uint8Array(length).fill(byte);

function open(files: Record<string, Uint8Array>, path = '/d/top.qcow2'): Promise<Disk> {
  return openDiskWith(memoryFiles(new Map(Object.entries(files))).openFile, path, {});
}

/** Byte of each cluster, the first of it. */
async function firstBytes(disk: Disk, clusterSize = 512): Promise<number[]> {
  const bytes = await readBytes(disk, 0, disk.size);
  return Array.from({ length: Math.ceil(disk.size / clusterSize) }, (_, index) => bytes[index * clusterSize]!);
}

test('each kind of cluster is located and read for what it is', async () => {
  const image = handMadeQcow2({ clusters: [fill(1), 'zero', 'unallocated', { deflate: fill(4) }, fill(5), fill(6)] });
  await using disk = await open({ '/d/top.qcow2': image });
  expect(await disk.locate(0, disk.size)).toEqual([
    { kind: 'data', length: 512, file: 0, offset: 1536 },
    { kind: 'zero', length: 1024 },
    {
      kind: 'compressed',
      codec: 'deflate',
      length: 512,
      file: 0,
      offset: 2048,
      storedLength: 512,
      unpackedLength: 512,
      skip: 0,
    },
    { kind: 'data', length: 1024, file: 0, offset: 2560 },
  ]);
  expect(await firstBytes(disk)).toEqual([1, 0, 0, 4, 5, 6]);
});

test.skipIf(noZstd !== '')(`a zstd cluster says so, and is read${noZstd}`, async () => {
  const image = handMadeQcow2({ clusters: [{ zstd: fill(4) }, fill(5)], features: 8n, compressionType: 1 });
  await using disk = await open({ '/d/top.qcow2': image });
  expect(await disk.locate(0, 512)).toMatchObject([{ kind: 'compressed', codec: 'zstd', storedLength: 1024 }]);
  expect(await firstBytes(disk)).toEqual([4, 5]);
});

test('a part of a compressed cluster says what to skip', async () => {
  const image = handMadeQcow2({ clusters: [{ deflate: Uint8Array.from({ length: 512 }, (_, at) => at) }] });
  await using disk = await open({ '/d/top.qcow2': image });
  expect(await disk.locate(100, 20)).toMatchObject([{ kind: 'compressed', skip: 100, length: 20 }]);
  expect(await readBytes(disk, 100, 3)).toEqual(Uint8Array.of(100, 101, 102));
});

test('a zero cluster hides the backing file, an unallocated one shows it, past its end are zeros', async () => {
  const top = handMadeQcow2({
    clusters: ['unallocated', 'zero', 'unallocated', 'unallocated'],
    backing: 'base.raw',
    backingFormat: 'raw',
  });
  await using disk = await open({ '/d/top.qcow2': top, '/d/base.raw': fill(7, 1300) });
  expect(await disk.locate(0, disk.size)).toEqual([
    { kind: 'data', length: 512, file: 1, offset: 0 },
    { kind: 'zero', length: 512 },
    { kind: 'data', length: 276, file: 1, offset: 1024 },
    { kind: 'zero', length: 748 },
  ]);
  expect(await firstBytes(disk)).toEqual([7, 0, 7, 0]);
});

test('a middle image that is shorter hides what is under its end', async () => {
  const files = {
    '/d/top.qcow2': handMadeQcow2({ size: 2048, backing: 'middle', backingFormat: 'qcow2' }),
    '/d/middle': handMadeQcow2({ size: 1024, backing: '/base', backingFormat: 'raw' }),
    '/base': fill(9, 4096),
  };
  await using disk = await open(files);
  expect(await firstBytes(disk)).toEqual([9, 9, 0, 0]);
});

test('a backing file whose format is not said is probed', async () => {
  const base = handMadeQcow2({ clusters: [fill(3)] });
  await using disk = await open({ '/d/top.qcow2': handMadeQcow2({ size: 512, backing: 'base' }), '/d/base': base });
  expect(disk.chain.map(({ format }) => format)).toEqual(['qcow2', 'qcow2']);
  expect(await firstBytes(disk)).toEqual([3]);
});

test('a last cluster that is there in part reads as zeros from the end of the file on', async () => {
  const image = handMadeQcow2({ clusters: [fill(1), fill(2)] });
  await using disk = await open({ '/d/top.qcow2': image.slice(0, image.length - 500) });
  expect(await readBytes(disk, 512 + 10, 4)).toEqual(Uint8Array.of(2, 2, 0, 0));
  expect(await disk.locate(512, 512)).toEqual([
    { kind: 'data', length: 12, file: 0, offset: 2048 },
    { kind: 'zero', length: 500 },
  ]);
});

test('a compressed cluster whose last sector the file does not fill is located up to the end of the file', async () => {
  const image = handMadeQcow2({ clusters: [{ deflate: fill(7) }] });
  await using disk = await open({ '/d/top.qcow2': image.slice(0, 1536 + 40) });
  expect(await disk.locate(0, 512)).toMatchObject([{ kind: 'compressed', offset: 1536, storedLength: 40 }]);
  expect(await firstBytes(disk)).toEqual([7]);
});

test('a compressed cluster read in small pieces is inflated once, tables are read once', async () => {
  const { openFile, count } = memoryFiles(new Map([['/top', handMadeQcow2({ clusters: [{ deflate: fill(7) }] })]]));
  await using disk = await openDiskWith(openFile, '/top', {});
  const before = count.reads;
  await Promise.all([readBytes(disk, 0, 10), readBytes(disk, 100, 10)]);
  for (let at = 0; at < 500; at += 50) await readBytes(disk, at, 50);
  expect(count.reads - before).toBe(2);
});

test('a disk whose size is no multiple of a sector loses the rest, as in QEMU', async () => {
  await using disk = await open({ '/d/top.qcow2': handMadeQcow2({ size: 1300 }) });
  expect(disk.size).toBe(1024);
});

test('every file is closed when the disk is disposed, and when it cannot be opened', async () => {
  const good = new Map([
    ['/top', handMadeQcow2({ size: 512, backing: '/base', backingFormat: 'raw' })],
    ['/base', fill(1)],
  ]);
  const files = memoryFiles(good);
  const disk = await openDiskWith(files.openFile, '/top', {});
  expect(files.count.open).toBe(2);
  await disk[Symbol.asyncDispose]();
  await disk[Symbol.asyncDispose]();
  expect(files.count.open).toBe(0);
  good.set('/base', handMadeQcow2({ features: 2n }));
  good.set('/top', handMadeQcow2({ size: 512, backing: '/base', backingFormat: 'qcow2' }));
  await expect(openDiskWith(files.openFile, '/top', {})).rejects.toMatchObject({ code: 'qcow2.corrupt' });
  expect(files.count.open).toBe(0);
});

test('asking outside the disk is a RangeError', async () => {
  await using disk = await open({ '/d/top.qcow2': handMadeQcow2({ size: 1024 }) });
  await expect(disk.read(1000, new Uint8Array(100))).rejects.toThrow(RangeError);
  expect(() => disk.locate(-1, 1)).toThrow(RangeError);
});

const patch = (options: HandMadeQcow2, at: number, value: number, bytes: 1 | 4 | 8 = 4): Uint8Array => {
  const image = handMadeQcow2(options);
  const view = new DataView(image.buffer);
  if (bytes === 1) view.setUint8(at, value);
  if (bytes === 4) view.setUint32(at, value);
  if (bytes === 8) view.setBigUint64(at, BigInt(value));
  return image;
};
const plain: HandMadeQcow2 = { clusters: [fill(1)] };

const refused: { why: string; image: Uint8Array; code: string; says: string }[] = [
  { why: 'version 1 is another format', image: patch(plain, 4, 1), code: 'qcow2.unsupported', says: 'version 1' },
  { why: 'version 4 does not exist', image: patch(plain, 4, 4), code: 'qcow2.unsupported', says: 'version 4' },
  { why: 'clusters of 256 bytes', image: patch(plain, 20, 8), code: 'qcow2.damaged', says: '2^8' },
  { why: 'clusters of 4 MiB', image: patch(plain, 20, 22), code: 'qcow2.damaged', says: '2^22' },
  { why: 'AES', image: patch(plain, 32, 1), code: 'qcow2.encrypted', says: 'AES' },
  { why: 'LUKS', image: patch(plain, 32, 2), code: 'qcow2.encrypted', says: 'LUKS' },
  { why: 'an unknown cipher', image: patch(plain, 32, 9), code: 'qcow2.encrypted', says: 'method 9' },
  { why: 'L1 of 4 billion entries', image: patch(plain, 36, 0xffffffff), code: 'qcow2.damaged', says: 'L1 table' },
  { why: 'L1 too short for the disk', image: patch(plain, 36, 0), code: 'qcow2.damaged', says: 'needs 1' },
  { why: 'L1 inside a cluster', image: patch(plain, 40, 100, 8), code: 'qcow2.damaged', says: 'byte 100' },
  { why: 'L1 past the end', image: patch(plain, 40, 1 << 20, 8), code: 'qcow2.truncated', says: 'L1 table' },
  { why: 'L1 over the header', image: patch(plain, 40, 0, 8), code: 'qcow2.damaged', says: 'L1 table' },
  { why: 'a disk of 2^60 bytes', image: patch(plain, 24, 2 ** 60, 8), code: 'qcow2.damaged', says: 'impossible' },
  { why: 'L2 past the end', image: patch(plain, 512, 1 << 20, 8), code: 'qcow2.truncated', says: 'L2 table 0' },
  { why: 'refcounts of 2^7 bits', image: patch(plain, 96, 7), code: 'qcow2.damaged', says: '2^7' },
  { why: 'header of 40 bytes', image: patch(plain, 100, 40), code: 'qcow2.damaged', says: '40 bytes' },
  { why: 'header of 105 bytes', image: patch(plain, 100, 105), code: 'qcow2.damaged', says: '105 bytes' },
  { why: 'dirty', image: handMadeQcow2({ features: 1n }), code: 'qcow2.dirty', says: 'not closed cleanly' },
  { why: 'corrupt', image: handMadeQcow2({ features: 2n }), code: 'qcow2.corrupt', says: 'corrupt' },
  { why: 'data file without a name', image: handMadeQcow2({ features: 4n }), code: 'qcow2.damaged', says: 'missing' },
  { why: 'compression bit alone', image: handMadeQcow2({ features: 8n }), code: 'qcow2.damaged', says: 'contradicts' },
  {
    why: 'compression type without its bit',
    image: handMadeQcow2({ compressionType: 1 }),
    code: 'qcow2.damaged',
    says: 'contradicts',
  },
  {
    why: 'unknown compression',
    image: handMadeQcow2({ compressionType: 7, features: 8n }),
    code: 'qcow2.unsupported',
    says: 'type 7',
  },
  { why: 'subclusters of 16 B', image: handMadeQcow2({ features: 16n }), code: 'qcow2.damaged', says: 'subclusters' },
  {
    why: 'unknown features are named from the table of the image',
    image: handMadeQcow2({ features: (1n << 40n) | (1n << 63n), featureNames: [[40, 'time travel']] }),
    code: 'qcow2.unsupported',
    says: 'bit 40 (time travel), bit 63',
  },
  {
    why: 'a known bit beside an unknown one does not hide it',
    image: handMadeQcow2({ features: 1n | 32n }),
    code: 'qcow2.unsupported',
    says: 'bit 5',
  },
  { why: 'backing name outside', image: patch(plain, 8, 4096, 8), code: 'qcow2.damaged', says: 'first cluster' },
  {
    why: 'backing name of 4000 bytes',
    image: patch({ ...plain, backing: 'x', clusterBits: 16 }, 16, 4000),
    code: 'qcow2.damaged',
    says: '4000 bytes',
  },
  {
    why: 'extension longer than the cluster',
    image: patch({ ...plain, backingFormat: 'raw' }, 108, 0x7fff_ffff),
    code: 'qcow2.damaged',
    says: 'leaves the header',
  },
  { why: 'cut in the header', image: handMadeQcow2(plain).slice(0, 60), code: 'qcow2.truncated', says: '60 bytes' },
  { why: 'cut in version 3', image: handMadeQcow2(plain).slice(0, 90), code: 'qcow2.truncated', says: '90 bytes' },
  { why: 'cut before the L1 table', image: handMadeQcow2(plain).slice(0, 512), code: 'qcow2.truncated', says: 'L1' },
  { why: 'cut in the L2 table', image: handMadeQcow2(plain).slice(0, 1500), code: 'qcow2.truncated', says: 'L2' },
  {
    why: 'cut before the data',
    image: handMadeQcow2(plain).slice(0, 1536),
    code: 'qcow2.truncated',
    says: 'data at 0',
  },
  { why: 'data inside a cluster', image: patch(plain, 1024, 2048 + 512, 8), code: 'qcow2.truncated', says: '2560' },
  {
    why: 'unaligned data',
    image: patch({ clusters: [fill(1)], clusterBits: 12 }, 8192, 4096 + 512, 8),
    code: 'qcow2.damaged',
    says: 'byte 4608',
  },
  {
    why: 'zero clusters did not exist in version 2',
    image: handMadeQcow2({ version: 2, clusters: ['zero'] }),
    code: 'qcow2.damaged',
    says: 'version 2',
  },
  {
    why: 'a compressed cluster of noise',
    image: patch({ clusters: [{ deflate: fill(1) }, fill(0)] }, 1536, 0xffffffff),
    code: 'qcow2.damaged',
    says: 'unpacked',
  },
];

test.each(refused)('refuses an image: $why', async ({ image, code, says }) => {
  const reading = (async () => {
    await using disk = await open({ '/d/top.qcow2': image });
    await readBytes(disk, 0, disk.size);
  })();
  await expect(reading).rejects.toMatchObject({
    code,
    message: expect.stringContaining(says),
    hint: expect.any(String),
  });
  await expect(reading).rejects.toThrow('/d/top.qcow2');
});

test('an extension nobody knows is passed over', () => {
  const image = handMadeQcow2({ backingFormat: 'raw', backing: 'b' });
  const view = new DataView(image.buffer);
  view.setUint32(104, 0x1234_5678);
  expect(parseQcow2Header(image.subarray(0, 512)).backing).toEqual({ name: 'b', format: undefined });
});

test('a backing name right behind the header is no extension', () => {
  const image = handMadeQcow2({ clusterBits: 16 });
  const view = new DataView(image.buffer);
  const name = new TextEncoder().encode('a-name-long-enough-to-look-like-an-extension');
  view.setBigUint64(8, 104n);
  view.setUint32(16, name.length);
  image.set(name, 104);
  expect(parseQcow2Header(image).backing?.name).toBe('a-name-long-enough-to-look-like-an-extension');
});

test.each([
  { why: 'a length of 0', length: 0 },
  { why: 'a name of NULs', length: 8 },
])('a backing name of nothing is no backing file: $why', ({ length }) => {
  const image = handMadeQcow2({ clusterBits: 16 });
  const view = new DataView(image.buffer);
  view.setBigUint64(8, 400n);
  view.setUint32(16, length);
  expect(parseQcow2Header(image).backing).toBeUndefined();
});

const chains: { why: string; files: Record<string, Uint8Array>; code: string; says: string }[] = [
  {
    why: 'the backing file is gone',
    files: { '/d/top.qcow2': handMadeQcow2({ backing: 'gone.raw' }) },
    code: 'disk.backing-missing',
    says: '/d/gone.raw',
  },
  {
    why: 'an image backs itself',
    files: { '/d/top.qcow2': handMadeQcow2({ backing: 'top.qcow2' }) },
    code: 'disk.backing-loop',
    says: '/d/top.qcow2',
  },
  {
    why: 'two images back each other',
    files: {
      '/d/top.qcow2': handMadeQcow2({ backing: 'other', backingFormat: 'qcow2' }),
      '/d/other': handMadeQcow2({ backing: '/d/top.qcow2', backingFormat: 'qcow2' }),
    },
    code: 'disk.backing-loop',
    says: 'lead back',
  },
  {
    why: 'the backing file is on the network',
    files: { '/d/top.qcow2': handMadeQcow2({ backing: 'nbd://server/disk' }) },
    code: 'disk.backing-name',
    says: 'nbd',
  },
  {
    why: 'the backing format is not read here',
    files: { '/d/top.qcow2': handMadeQcow2({ backing: 'b.qed', backingFormat: 'qed' }) },
    code: 'disk.backing-name',
    says: 'qed',
  },
  {
    why: 'the data file is gone',
    files: { '/d/top.qcow2': handMadeQcow2({ features: 4n, dataFile: 'data.raw' }) },
    code: 'disk.data-missing',
    says: '/d/data.raw',
  },
  {
    why: 'a chain without end',
    files: Object.fromEntries(
      Array.from({ length: 140 }, (_, index) => [
        index === 0 ? '/d/top.qcow2' : `/d/${index}`,
        handMadeQcow2({ backing: String(index + 1), backingFormat: 'qcow2' }),
      ]),
    ),
    code: 'disk.chain-too-long',
    says: '128',
  },
  { why: 'nothing in it', files: { '/d/top.qcow2': new Uint8Array(0) }, code: 'disk.empty', says: '0 bytes' },
];

test.each(chains)('refuses a chain: $why', async ({ files, code, says }) => {
  await expect(open(files)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(says),
    hint: expect.any(String),
  });
});
