import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, stat, truncate, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { bytesByExtents, haveTools, qemuIo, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { blockDeviceSize } from '../../src/disk/host-file.ts';
import { openDisk } from '../../src/disk/open.ts';

const qemu = haveTools('qemu-img', 'qemu-io');
const needsQemu = qemu ? '' : ' (skipped: qemu-img and qemu-io are not installed)';
const MiB = 1024 * 1024;

test('a raw disk is one extent, whatever its length, and reads as it is', async () => {
  await using folder = await scratch();
  const image = folder.file('disk.raw');
  const bytes = Uint8Array.from({ length: 100_001 }, (_, at) => (at * 7) & 0xff);
  await writeFile(image, bytes);
  await using disk = await openDisk(image);
  expect(disk).toMatchObject({ size: 100_001, format: 'raw', chain: [{ path: image, format: 'raw' }] });
  expect(disk.files.map(({ path }) => path)).toEqual([image]);
  expect(disk.locate(5, 99_996)).toEqual([{ kind: 'data', length: 99_996, file: 0, offset: 5 }]);
  expect(await readBytes(disk, 99_999, 2)).toEqual(bytes.slice(99_999));
});

test('a path from the working folder becomes absolute', async () => {
  await using disk = await openDisk('package.json');
  expect(disk.files.map(({ path }) => path)).toEqual([`${process.cwd()}/package.json`]);
});

test('a raw disk that shrinks while it is read is an error, not zeros', async () => {
  await using folder = await scratch();
  const image = folder.file('disk.raw');
  await writeFile(image, new Uint8Array(10_000));
  await using disk = await openDisk(image);
  await truncate(image, 5000);
  await expect(readBytes(disk, 0, 10_000)).rejects.toMatchObject({ code: 'disk.shrank', evidence: { position: 5000 } });
});

test('what is no disk is refused', async () => {
  await using folder = await scratch();
  await expect(openDisk(folder.file('gone'))).rejects.toMatchObject({ code: 'disk.not-found' });
  await mkdir(folder.file('sub'));
  await expect(openDisk(folder.file('sub'))).rejects.toMatchObject({ code: 'disk.not-a-disk' });
  await tool('mkfifo', folder.file('fifo'));
  await expect(openDisk(folder.file('fifo'))).rejects.toMatchObject({ code: 'disk.not-a-disk' });
  await expect(openDisk('/dev/null')).rejects.toMatchObject({ code: 'disk.not-a-disk' });
  await writeFile(folder.file('empty'), '');
  await expect(openDisk(folder.file('empty'))).rejects.toMatchObject({ code: 'disk.empty' });
});

const root = process.getuid?.() === 0;
test.skipIf(root)(
  `a file without read permission is refused${root ? ' (skipped: root may read it)' : ''}`,
  async () => {
    await using folder = await scratch();
    await writeFile(folder.file('secret'), 'x');
    await chmod(folder.file('secret'), 0);
    await expect(openDisk(folder.file('secret'))).rejects.toMatchObject({ code: 'disk.not-permitted' });
  },
);

test('a compressed disk is refused by the name of its compression', async () => {
  await using folder = await scratch();
  const image = folder.file('disk.img.gz');
  await writeFile(image, gzipSync(new Uint8Array(MiB)));
  await expect(openDisk(image)).rejects.toMatchObject({
    code: 'disk.unsupported-format',
    message: expect.stringContaining('gzip'),
    hint: expect.stringContaining('Unpack'),
  });
  await using disk = await openDisk(image, { format: 'raw' });
  expect(disk.format).toBe('raw');
});

const sectorsOf = (name: string): number => Number(readFileSync(`/sys/class/block/${name}/size`, 'ascii'));
const device = (existsSync('/sys/class/block') ? readdirSync('/sys/class/block') : []).find(
  // Loop and network devices are given and taken while other tests run.
  (name) => !/^(loop|nbd)/.test(name) && existsSync(`/dev/${name}`) && sectorsOf(name) > 0,
);
const noDevice = device === undefined ? ' (skipped: this host shows no block device)' : '';
test.skipIf(noDevice !== '')(`the size of a block device comes from sysfs, by its number${noDevice}`, async () => {
  const { rdev } = await stat(`/dev/${device}`, { bigint: true });
  expect(await blockDeviceSize(`/dev/${device}`, rdev)).toBe(sectorsOf(device!) * 512);
  await expect(blockDeviceSize('/dev/none', (250n << 8n) | 250n)).rejects.toMatchObject({ code: 'disk.size-unknown' });
});

test.skipIf(!qemu)(`the format that was asked for wins over the magic number${needsQemu}`, async () => {
  await using folder = await scratch();
  const base = folder.file('base');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', base, '1M');
  await using raw = await openDisk(base, { format: 'raw' });
  expect(raw.size).toBe((await stat(base)).size);
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', folder.file('top'), '1M');
  await using top = await openDisk(folder.file('top'));
  expect(Buffer.from(await readBytes(top, 0, 4)).toString('latin1')).toBe('QFI\xfb');
  await writeFile(folder.file('text'), 'no qcow2 at all, just a file with enough bytes in it'.repeat(4));
  await expect(openDisk(folder.file('text'), { format: 'qcow2' })).rejects.toMatchObject({ code: 'qcow2.not-qcow2' });
});

test.skipIf(!qemu)(`an image QEMU did not close is refused until it is checked${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on', image, '4M');
  // `abort` ends qemu-io by SIGABRT, after the write.
  await expect(qemuIo(image, ['write -P 5 1M 1M', 'abort'])).rejects.toThrow();
  await expect(openDisk(image)).rejects.toMatchObject({
    code: 'qcow2.dirty',
    hint: expect.stringContaining('qemu-img check -r all'),
  });
  await tool('qemu-img', 'check', '-q', '-r', 'all', image);
  await using disk = await openDisk(image);
  expect(await readBytes(disk, MiB - 1, 2)).toEqual(Uint8Array.of(0, 5));
});

test.skipIf(!qemu)(`a disk of 4 TiB costs no more memory than its tables${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', image, '4T');
  await qemuIo(image, ['write -P 1 0 64k', 'write -P 2 2T 64k', `write -P 3 ${4 * 2 ** 40 - 65536} 64k`]);
  await using disk = await openDisk(image);
  const kinds = (await disk.locate(0, disk.size)).map(({ kind, length }) => [kind, length]);
  expect(kinds).toEqual([
    ['data', 65536],
    ['zero', 2 * 2 ** 40 - 65536],
    ['data', 65536],
    ['zero', 2 * 2 ** 40 - 2 * 65536],
    ['data', 65536],
  ]);
  expect(await readBytes(disk, disk.size - 1, 1)).toEqual(Uint8Array.of(3));
});

test.skipIf(!qemu)(`a chain through a symbolic link looks beside the link, as QEMU does${needsQemu}`, async () => {
  await using folder = await scratch();
  await mkdir(folder.file('real'));
  await tool('qemu-img', 'create', '-q', '-f', 'raw', folder.file('real/base.raw'), '1M');
  await tool('qemu-img', 'create', '-q', '-f', 'raw', folder.file('base.raw'), '1M');
  await qemuIo(folder.file('base.raw'), ['write -P 8 0 1M'], 'raw');
  const overlay = folder.file('real/top.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', overlay, '1M');
  await tool('ln', '-s', 'real/top.qcow2', folder.file('link.qcow2'));
  await qemuIo(folder.file('link.qcow2'), ['read -P 8 0 1M']);
  await using disk = await openDisk(folder.file('link.qcow2'));
  expect(Buffer.compare(await bytesByExtents(disk), Buffer.alloc(MiB, 8))).toBe(0);
});

test.skipIf(!qemu)(`a loop that a symbolic link hides is found at the first file seen again${needsQemu}`, async () => {
  await using folder = await scratch();
  const image = folder.file('top.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-u', '-b', 'other.qcow2', '-F', 'qcow2', image, '1M');
  await tool('ln', '-s', 'top.qcow2', folder.file('other.qcow2'));
  await expect(openDisk(image)).rejects.toMatchObject({ code: 'disk.backing-loop', evidence: { chain: [image] } });
});
