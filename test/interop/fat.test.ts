import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { makeImage, materialise, scratch, whileMounted } from '../../fixtures/ext4-image.ts';
import { fsckComplaints, makeFat, mtool } from '../../fixtures/fat-image.ts';
import { describeTree, treeDifferences } from '../../fixtures/reference-tree.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { openDisk } from '../../src/disk/open.ts';
import { editRoot } from '../../src/filesystem/edit-root.ts';
import { type Fat, openFat } from '../../src/filesystem/fat/open.ts';
import { readPath } from '../../src/filesystem/file-tree.ts';
import { findRoot } from '../../src/filesystem/root.ts';
import { sealEdits } from '../../src/pack/seal.ts';

const run = promisify(execFile);
let folder: Awaited<ReturnType<typeof scratch>>;
let tree: string;
let count = 0;
const scratchPath = (): string => join(folder.path, `f${count++}`);
/** In code page 437, so that mtools writes it as a short name, which 7-Zip takes for something else. */
const CODE_PAGE_NAME = 'ÄÖÜ';
/** mtools cannot write what is beyond 16 bits. */
const NAMES = [
  'README.TXT',
  'lower.txt',
  'MixedCase.Txt',
  'no extension',
  '.hidden',
  'two.dots.tar.gz',
  'a long name with blanks, commas; semicolons = and + plus [brackets]',
  'Grüße aus Köln.txt',
  CODE_PAGE_NAME,
  '日本語のファイル名.テキスト',
  'кириллица.txt',
  'e\u0301 combining',
  `${'n'.repeat(251)}.txt`,
  'thirteen char',
  'UPPER long NAME.EXTENSION',
];

/** Files whose times are whole even seconds, which is what a FAT can hold. */
async function makeTree(path: string): Promise<void> {
  let second = 1_600_000_000;
  const put = async (name: string, content: Uint8Array | string): Promise<void> => {
    await writeFile(join(path, name), content);
    await utimes(join(path, name), second, second);
    second += 86_402;
  };
  for (const name of ['names', 'deep/b/c/d/e/f/g/h/i/j/k/l', 'many', 'sizes']) {
    await mkdir(join(path, name), { recursive: true });
  }
  for (const name of NAMES) await put(join('names', name), name);
  await put('deep/b/c/d/e/f/g/h/i/j/k/l/bottom', 'at the bottom');
  for (let i = 0; i < 400; i++) await put(`many/file number ${i} of many`, `${i}`);
  for (const size of [0, 1, 511, 512, 513, 4095, 4096, 4097, 65_536, 300_001]) {
    await put(`sizes/${size}.bin`, Buffer.alloc(size, `${size} bytes `));
  }
}

beforeAll(async () => {
  folder = await scratch();
  tree = scratchPath();
  await makeTree(tree);
});
afterAll(() => folder[Symbol.asyncDispose]());

async function withFat<T>(path: string, work: (fs: Fat) => Promise<T>): Promise<T> {
  await using disk = await openDisk(path, { format: 'raw' });
  return await work(await openFat(disk));
}

/** Without what only a kernel gives: modes and owners, and the times of directories, which mtools and 7z set anew. */
function bare(described: ReadonlyMap<string, string>): Map<string, string> {
  const lines = [...described].map(([path, text]): [string, string] => {
    const [kind, , , time, ...rest] = text.split(' ');
    return [path, [kind, ...(kind === 'd' ? [] : [time]), ...rest].join(' ')];
  });
  return new Map(lines);
}

/** What 7-Zip takes out of an image; it reads FAT with code of its own. */
async function sevenZip(image: string): Promise<Map<string, string>> {
  const out = await mkdtemp(join(tmpdir(), 'compose-7z-'));
  try {
    await run('7z', ['x', '-bd', `-o${out}`, image], {
      env: { ...process.env, TZ: 'UTC', LC_ALL: 'C.UTF-8' },
      maxBuffer: 64 * 1024 * 1024,
    });
    return bare(await describeTree(out));
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

const whyNo7z = await run('7z', ['i']).then(
  () => undefined,
  () => 'no 7z here',
);
const whyNoKernel = await (async (): Promise<string | undefined> => {
  if (process.getuid?.() !== 0) return 'not root';
  await run('modprobe', ['vfat']).catch(() => undefined);
  const known = await readFile('/proc/filesystems', 'utf8').catch(() => '');
  return /\bvfat$/m.test(known) ? undefined : 'no vfat in this kernel';
})();

const LAYOUTS: readonly (readonly [name: string, size: string, mkfs: readonly string[], bits: number])[] = [
  ['FAT12', '8M', ['-F', '12', '-s', '8'], 12],
  ['FAT12 with one sector a cluster', '2040K', ['-F', '12', '-s', '1', '-r', '512'], 12],
  ['FAT16', '24M', ['-F', '16', '-s', '2'], 16],
  ['FAT16 with sectors of 1024 bytes and reserved ones', '64M', ['-F', '16', '-S', '1024', '-s', '1', '-R', '9'], 16],
  ['FAT16 with large clusters', '300M', ['-F', '16', '-s', '64'], 16],
  ['FAT32', '64M', ['-F', '32', '-s', '1'], 32],
  ['FAT32 with sectors of 4096 bytes', '300M', ['-F', '32', '-S', '4096', '-s', '1', '-R', '32', '-f', '1'], 32],
  ['FAT32 with sectors of 2048 bytes', '200M', ['-F', '32', '-S', '2048', '-s', '1'], 32],
];

describe.each(LAYOUTS)('%s', (_, size, mkfs, bits) => {
  let image: string;
  beforeAll(async () => {
    image = await makeFat(scratchPath(), size, ['-n', 'A LABEL', '-i', '1a2b3c4d', ...mkfs]);
    // The smallest has no room for the many.
    const wanted = size === '2040K' ? ['names', 'deep', 'sizes'] : ['names', 'deep', 'many', 'sizes'];
    for (const name of wanted) await mtool(image, 'mcopy', '-s', '-m', '-Q', join(tree, name), '::');
  });
  afterAll(() => rm(image, { force: true }));

  test('what mtools wrote is read', async () => {
    await withFat(image, async (fs) => {
      expect(fs).toMatchObject({ bits, uuid: '1A2B-3C4D', label: 'A LABEL', clean: true });
      const ours = bare(await describeOurs(fs));
      const expected = bare(await describeTree(tree));
      if (size === '2040K') for (const path of expected.keys()) if (path.startsWith('many')) expected.delete(path);
      expect(treeDifferences(expected, ours)).toEqual([]);
    });
    expect(await fsckComplaints(image)).toBe('');
  });

  test.skipIf(whyNo7z !== undefined)('7-Zip sees the same tree', async () => {
    await withFat(image, async (fs) => {
      const [theirs, ours] = [await sevenZip(image), bare(await describeOurs(fs))];
      for (const described of [theirs, ours]) {
        for (const path of described.keys()) if (/^names\/[^ -~]+$/.test(path)) described.delete(path);
      }
      expect(ours.size).toBeGreaterThan(NAMES.length);
      expect(treeDifferences(theirs, ours)).toEqual([]);
    });
  });

  test.skipIf(whyNoKernel !== undefined)(`the kernel sees the same tree (${whyNoKernel ?? 'vfat'})`, async () => {
    const options = 'ro,utf8=1,umask=022,tz=UTC';
    const kernel = await whileMounted(image, options, (path) => describeTree(path));
    await withFat(image, async (fs) => {
      expect(treeDifferences(kernel, await describeOurs(fs))).toEqual([]);
    });
  });
});

test('a FAT32 with as few clusters as a FAT12 is one all the same, as for the kernel', async () => {
  const image = await makeFat(scratchPath(), '16M', ['-F', '32', '-s', '8', '-n', 'FEW']);
  await withFat(image, async (fs) => {
    expect(fs).toMatchObject({ bits: 32, label: 'FEW', clean: true });
    expect([...(await describeOurs(fs)).keys()]).toEqual(['']);
  });
});

test('fragmented files, deleted names and free space', async () => {
  const image = await makeFat(scratchPath(), '16M', ['-F', '16', '-s', '4', '-r', '2048']);
  const [small, large] = [scratchPath(), scratchPath()];
  await writeFile(small, Buffer.alloc(5000, 'deleted secret '));
  await writeFile(large, Buffer.alloc(900_000, 'kept content '));
  await utimes(large, 1_600_000_000, 1_600_000_000);
  const names = Array.from({ length: 400 }, (_, i) => `a deleted name ${i}`);
  const source = scratchPath();
  await mkdir(source);
  for (const name of names) await copyFile(small, join(source, name));
  await mtool(image, 'mcopy', '-Q', ...names.map((name) => join(source, name)), '::');
  // Nothing is free but every other one of these.
  const filler = scratchPath();
  await run('truncate', ['-s', '12000000', filler]);
  await mtool(image, 'mcopy', filler, '::filler');
  await mtool(image, 'mdel', ...names.filter((_, i) => i % 2 === 0).map((name) => `::${name}`));
  await mtool(image, 'mcopy', '-m', large, '::fragmented');
  await withFat(image, async (fs) => {
    const entries = [...(await describeOurs(fs)).keys()];
    expect(entries.length).toBe(1 + 200 + 2);
    const found = await fs.lookup('/fragmented');
    expect(found!.data!.extents.length).toBeGreaterThan(50);
    expect(Buffer.from((await readPath(fs, '/fragmented'))!)).toEqual(await readFile(large));
    let free = 0;
    for await (const { position, length } of fs.freeRanges()) {
      free += length;
      expect((position - fs.geometry.dataAt) % 2048).toBe(0);
    }
    const said = / ([\d ]+) bytes free/.exec(await mtool(image, 'mdir', '::'))![1]!.replaceAll(' ', '');
    expect(free).toBe(Number(said));
  });
  expect(await fsckComplaints(image)).toBe('');
  for (const path of [image, small, large, filler]) await rm(path);
});

test.skipIf(whyNoKernel !== undefined)(
  `files the kernel wrote, moved and deleted (${whyNoKernel ?? 'vfat'})`,
  async () => {
    const image = await makeFat(scratchPath(), '64M', ['-F', '32', '-s', '1']);
    const kernel = await whileMounted(image, 'utf8=1,umask=022,tz=UTC', async (path) => {
      await run('cp', ['-r', '--preserve=timestamps', `${tree}/.`, path]);
      await run('sh', ['-c', 'cd "$1" && rm many/*1* && mv many/*2 deep/b && chmod a-w names/lower.txt', 'sh', path]);
      return describeTree(path);
    });
    await withFat(image, async (fs) => {
      expect(treeDifferences(kernel, await describeOurs(fs))).toEqual([]);
    });
  },
);

describe('a disk whose /boot is a FAT', () => {
  const partition = async (fstab: string): Promise<string> => {
    const root = scratchPath();
    for (const name of ['etc', 'boot/efi', 'srv']) await mkdir(join(root, name), { recursive: true });
    await writeFile(join(root, 'etc/os-release'), 'ID=debian\n');
    await writeFile(join(root, 'etc/fstab'), fstab);
    await writeFile(join(root, 'etc/machine-id'), 'secret');
    const mkfs = ['-t', 'ext4', '-O', '^has_journal'];
    const image = await makeImage(scratchPath(), { mkfs, size: '4M', tree: root });
    const boot = await makeFat(scratchPath(), '4M', ['-n', 'BOOT']);
    const [kernel, deleted] = [scratchPath(), scratchPath()];
    await writeFile(kernel, 'the kernel');
    await writeFile(deleted, Buffer.alloc(40_000, 'deleted'));
    await mtool(boot, 'mcopy', deleted, '::deleted');
    await mtool(boot, 'mcopy', kernel, '::vmlinuz');
    await mtool(boot, 'mdel', '::deleted');
    await mtool(boot, 'mmd', '::efi');
    const efi = await makeFat(scratchPath(), '2M', ['-n', 'EFI']);
    return makeDisk(scratchPath(), [{ content: image }, { content: boot }, { content: efi }]);
  };
  const FSTAB = 'LABEL=BOOT /boot vfat umask=0077,uid=3 0 2\nLABEL=EFI /boot/efi vfat umask=0077 0 1\n';

  test('is one tree with the ESP', async () => {
    await using disk = await openDisk(await partition(FSTAB), { format: 'raw' });
    const root = await findRoot(disk);
    expect(root.mounts.map((one) => [one.mountPoint, one.place.where, one.fs.clean])).toEqual([
      ['/boot', 'partition 2', true],
      ['/boot/efi', 'partition 3', true],
    ]);
    expect(root.mounts.map(({ esp }) => esp)).toEqual([false, true]);
    expect(root.skipped).toEqual([]);
    expect(Buffer.from((await readPath(root.tree, '/boot/vmlinuz'))!).toString()).toBe('the kernel');
    expect(await root.tree.lookup('/boot/vmlinuz')).toMatchObject({ mode: 0o700, uid: 3 });
    expect(await root.tree.lookup('/boot')).toMatchObject({ mode: 0o700, kind: 'directory' });
  });

  test('is sealed: the ext4 is edited, the free clusters of the FAT are cleared', async () => {
    const path = await partition(FSTAB);
    const out = scratchPath();
    {
      await using disk = await openDisk(path, { format: 'raw' });
      expect(Buffer.from(await readBytes(disk, 0, disk.size)).includes('deleteddeleted')).toBe(true);
      const edited = await editRoot(disk, await findRoot(disk), sealEdits());
      await materialise(edited.source, out);
    }
    await using disk = await openDisk(out, { format: 'raw' });
    const bytes = Buffer.from(await readBytes(disk, 0, disk.size));
    expect([bytes.includes('deleteddeleted'), bytes.includes('secret')]).toEqual([false, false]);
    const root = await findRoot(disk);
    expect(Buffer.from((await readPath(root.tree, '/boot/vmlinuz'))!).toString()).toBe('the kernel');
  });

  test('with a damaged FAT fails where the fstab mounts it, and only there', async () => {
    const damage = async (fstab: string): Promise<string> => {
      const path = await partition(fstab);
      await using disk = await openDisk(path, { format: 'raw' });
      const volume = (await findRoot(disk)).table.partitions[1]!;
      await run('dd', ['if=/dev/zero', `of=${path}`, 'bs=1', `seek=${volume.start + 22}`, 'count=2', 'conv=notrunc']);
      return path;
    };
    await using mounted = await openDisk(await damage('LABEL=BOOT /boot vfat defaults 0 2\n'), { format: 'raw' });
    await expect(findRoot(mounted)).rejects.toMatchObject({ code: expect.stringMatching(/^(fat|root)\./) });
    await using alone = await openDisk(await damage(''), { format: 'raw' });
    expect((await findRoot(alone)).mounts).toEqual([]);
  });
});
