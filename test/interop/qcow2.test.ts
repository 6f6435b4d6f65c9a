import { copyFile, mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { expectSameBytes, haveTools, qemuIo, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { scribble } from '../../fixtures/scribble.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openUnpacker } from '../../src/disk/unpacker.ts';

const qemu = haveTools('qemu-img', 'qemu-io');
const needsQemu = qemu ? '' : ' (skipped: qemu-img and qemu-io are not installed)';
const MiB = 1024 * 1024;
const variants: { name: string; options: string; size: number; version3: boolean; why: string }[] = [
  {
    name: 'version 2',
    options: 'compat=0.10',
    size: 24 * MiB,
    version3: false,
    why: '72-byte header, no zero clusters',
  },
  { name: 'default', options: 'compat=1.1', size: 24 * MiB, version3: true, why: 'what everything writes' },
  {
    name: '512 B clusters',
    options: 'cluster_size=512',
    size: 2 * MiB,
    version3: true,
    why: '64 tables to a 2 MiB disk',
  },
  { name: '4 KiB clusters', options: 'cluster_size=4k', size: 8 * MiB, version3: true, why: 'several L2 tables' },
  { name: '2 MiB clusters', options: 'cluster_size=2M', size: 64 * MiB, version3: true, why: 'the largest cluster' },
  {
    name: 'metadata',
    options: 'preallocation=metadata',
    size: 8 * MiB,
    version3: true,
    why: 'allocated, never written',
  },
  { name: 'falloc', options: 'preallocation=falloc', size: 8 * MiB, version3: true, why: 'allocated zero clusters' },
  { name: 'odd size', options: 'cluster_size=64k', size: 5 * MiB + 512, version3: true, why: 'last cluster in part' },
  { name: 'subclusters', options: 'extended_l2=on', size: 16 * MiB, version3: true, why: '128-bit L2 entries' },
  {
    name: 'zstd',
    options: 'compression_type=zstd',
    size: 16 * MiB,
    version3: true,
    why: 'zstd clusters among plain ones',
  },
  {
    name: 'zstd with subclusters',
    options: 'compression_type=zstd,extended_l2=on,cluster_size=32k',
    size: 8 * MiB,
    version3: true,
    why: 'two incompatible features at once',
  },
  {
    name: 'large subclusters',
    options: 'extended_l2=on,cluster_size=2M',
    size: 64 * MiB,
    version3: true,
    why: 'subclusters of 64 KiB',
  },
  {
    name: 'small subclusters',
    options: 'extended_l2=on,cluster_size=16k',
    size: 8 * MiB,
    version3: true,
    why: 'subclusters of one sector',
  },
];

for (const { name, options, size, version3, why } of variants) {
  test.skipIf(!qemu)(`random writes to a ${name} image read as in QEMU: ${why}${needsQemu}`, async () => {
    await using folder = await scratch();
    const image = folder.file('disk.qcow2');
    await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, image, String(size));
    await expectSameBytes(image);
    const cluster = JSON.parse(await tool('qemu-img', 'info', '--output=json', image))['cluster-size'] as number;
    // A preallocated cluster is not fresh.
    const all = options.startsWith('preallocation') ? Array.from({ length: size / cluster }, (_, index) => index) : [];
    const touched = new Set(all);
    for (const seed of [1, 2]) {
      await qemuIo(image, scribble(seed, size, 60, { cluster, version3, touched }));
      await expectSameBytes(image);
    }
  });
}

test.skipIf(!qemu)(
  `compressed images of every cluster size read as in QEMU${needsQemu}`,
  async () => {
    await using folder = await scratch();
    const raw = folder.file('disk.raw');
    const next = random(7);
    const bytes = new Uint8Array(3 * MiB + 1536);
    // Runs that deflate well, runs that do not at all, and holes.
    for (let at = 0; at < bytes.length; at += 40_000) {
      const kind = next() % 3;
      for (let i = at; i < Math.min(bytes.length, at + 40_000) && kind > 0; i++)
        bytes[i] = kind === 1 ? next() : (i >> 7) & 0xff;
    }
    await writeFile(raw, bytes);
    const sizes = ['512', '1k', '2k', '4k', '8k', '16k', '32k', '64k', '128k', '256k', '512k', '1M', '2M'];
    const zstd =
      (await openUnpacker()).engines.zstd === undefined ? [] : sizes.map((size) => `${size},compression_type=zstd`);
    const all = [...sizes, ...zstd].map((size) => `cluster_size=${size}`);
    for (const options of [...all, 'compat=0.10', 'extended_l2=on', 'extended_l2=on,cluster_size=16k']) {
      const image = folder.file('disk.qcow2');
      await tool('qemu-img', 'convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', options, raw, image);
      await expectSameBytes(image, 333_333);
      await using disk = await openDisk(image);
      const codecs = new Set((await disk.locate(0, disk.size)).map((extent) => 'codec' in extent && extent.codec));
      expect(codecs).toContain(options.includes('zstd') ? 'zstd' : 'deflate');
    }
  },
  60_000,
);

test.skipIf(!qemu)(`chains of three with growing and shrinking sizes read as in QEMU${needsQemu}`, async () => {
  const sizes = [
    [4, 8, 16],
    [16, 8, 4],
    [4, 16, 8],
    [16, 4, 16],
  ];
  for (const [seed, [base, middle, top]] of sizes.entries()) {
    await using folder = await scratch();
    await mkdir(folder.file('below'));
    const names = [folder.file('below/base.raw'), folder.file('below/middle.qcow2'), folder.file('top.qcow2')] as const;
    await tool('qemu-img', 'create', '-q', '-f', 'raw', names[0], `${base}M`);
    await qemuIo(names[0], scribble(seed + 10, base! * MiB, 40, { kinds: 'write' }), 'raw');
    await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', names[1], `${middle}M`);
    await qemuIo(names[1], scribble(seed + 20, middle! * MiB, 30));
    const options = seed % 2 === 0 ? 'cluster_size=4k' : 'extended_l2=on';
    const args = ['-q', '-f', 'qcow2', '-o', options, '-b', 'below/middle.qcow2', '-F', 'qcow2', names[2], `${top}M`];
    await tool('qemu-img', 'create', ...args);
    await qemuIo(names[2], scribble(seed + 30, top! * MiB, 30, { cluster: seed % 2 === 0 ? 4096 : 65536 }));
    await expectSameBytes(names[2]);
    await using disk = await openDisk(names[2]);
    expect(disk.chain).toEqual([
      { path: names[2], format: 'qcow2' },
      { path: names[1], format: 'qcow2' },
      { path: names[0], format: 'raw' },
    ]);
    expect(disk.files.map(({ path }) => path)).toEqual([names[2], names[1], names[0]]);
  }
});

test.skipIf(!qemu)(`an image with snapshots reads as its active state${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', image, '8M');
  await qemuIo(image, ['write -P 1 0 4M']);
  await tool('qemu-img', 'snapshot', '-c', 'before', image);
  await qemuIo(image, ['write -P 2 1M 1M', 'write -z 2M 64k']);
  await expectSameBytes(image);
});

test.skipIf(!qemu)(`bitmaps are passed over, also those QEMU wrote last${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', image, '8M');
  await tool('qemu-img', 'bitmap', '--add', '--enable', image, 'dirty');
  await qemuIo(image, ['write -P 4 1M 2M']);
  await tool('qemu-img', 'bitmap', '--add', '-g', '64k', image, 'second');
  await expectSameBytes(image);
});

test.skipIf(!qemu)(`QEMU's allocation map agrees with the extents${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', image, '1G');
  await qemuIo(image, ['write -P 1 1M 3M', 'write -P 1 700M 64k', 'write -z 800M 64k']);
  await using disk = await openDisk(image);
  const found = (await disk.locate(0, disk.size)).filter((extent) => extent.kind === 'data');
  const map = JSON.parse(await tool('qemu-img', 'map', '--output=json', image)) as {
    data: boolean;
    length: number;
    offset: number;
  }[];
  expect(found).toEqual(
    map.filter((run) => run.data).map(({ length, offset }) => ({ kind: 'data', length, file: 0, offset })),
  );
});

test.skipIf(!qemu)(`look-ups are answered at once when the tables are cached${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', image, '8M');
  await qemuIo(image, ['write -P 1 1M 1M']);
  await using disk = await openDisk(image);
  expect(disk.locate(0, 512)).toBeInstanceOf(Promise);
  await disk.locate(0, 512);
  expect(disk.locate(0, 8 * MiB)).toEqual([
    { kind: 'zero', length: MiB },
    { kind: 'data', length: MiB, file: 0, offset: expect.any(Number) },
    { kind: 'zero', length: 6 * MiB },
  ]);
});

test.skipIf(!qemu)(`overlapping reads at the same time do not disturb one another${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', image, '4M');
  await qemuIo(image, scribble(3, 4 * MiB, 120, { cluster: 512 }));
  await tool('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', image, folder.file('raw'));
  const expected = await readFile(folder.file('raw'));
  await using disk = await openDisk(image);
  const next = random(11);
  await Promise.all(
    Array.from({ length: 200 }, async () => {
      const at = next() % (4 * MiB - 70_000);
      const into = new Uint8Array(1 + (next() % 70_000));
      await disk.read(at, into);
      expect(Buffer.compare(into, expected.subarray(at, at + into.length))).toBe(0);
    }),
  );
});

test.skipIf(!qemu)(`what cannot be read is refused by name${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  const create = (...args: string[]): Promise<string> => tool('qemu-img', 'create', '-q', ...args);

  const secret = ['--object', 'secret,id=s,data=secret'];
  // AES, as LUKS takes QEMU seconds of key derivation; both are told apart in the unit tests.
  await create(...secret, '-f', 'qcow2', '-o', 'encrypt.format=aes,encrypt.key-secret=s', image, '1M');
  await expect(openDisk(image)).rejects.toMatchObject({
    code: 'qcow2.encrypted',
    message: expect.stringContaining('AES'),
  });

  for (const [format, name] of [
    ['qed', 'QED'],
    ['parallels', 'Parallels'],
  ] as const) {
    await create('-f', format, image, '1M');
    await expect(openDisk(image)).rejects.toMatchObject({
      code: 'disk.unsupported-format',
      message: expect.stringContaining(`it is ${name},`),
      hint: expect.stringContaining('qemu-img convert'),
    });
  }
});

test.skipIf(!qemu)(`an image cut anywhere is an error or still has its bytes${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  const cut = folder.file('cut.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', image, '64M');
  await qemuIo(image, ['write -P 5 0 2M', 'write -P 6 40M 1M']);
  const { size } = await stat(image);
  const codes = new Set<string>();
  for (const length of [40, 100, 1000, 65536, 3 * 65536, 4 * 65536 + 100, 10 * 65536, size - 200_000, size - 65536]) {
    await copyFile(image, cut);
    await truncate(cut, length);
    const failure = await readAll(cut).then(
      () => expect.fail(`cut at ${length} of ${size}, nothing was noticed`),
      (error: unknown) => error as { code: string; message: string },
    );
    expect(failure.message).toContain(cut);
    codes.add(failure.code);
  }
  expect([...codes]).toEqual(['qcow2.truncated']);
});

async function readAll(image: string): Promise<void> {
  await using disk = await openDisk(image);
  const into = new Uint8Array(disk.size);
  await disk.read(0, into);
}
