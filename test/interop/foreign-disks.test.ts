import { readdir, readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { expectSameBytes, haveTools, qemuIo, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { openDisk } from '../../src/disk/open.ts';
import { crc32c } from '../../src/formats/crc32c.ts';
import { packageRoot } from '../../src/host/built-module.ts';

const qemu = haveTools('qemu-img', 'qemu-io', 'qemu-nbd');
const needsQemu = qemu ? '' : ' (skipped: qemu-img, qemu-io and qemu-nbd are not installed)';
const nbdkit = haveTools('nbdkit');
const MiB = 1024 * 1024;

interface Variant {
  readonly format: string;
  readonly driver: string;
  readonly options: string;
  readonly why: string;
}

const variants: Variant[] = [
  { format: 'vmdk', driver: 'vmdk', options: 'subformat=monolithicSparse', why: 'what most tools write' },
  { format: 'vmdk', driver: 'vmdk', options: 'subformat=monolithicFlat', why: 'a descriptor beside one raw file' },
  { format: 'vmdk', driver: 'vmdk', options: 'subformat=twoGbMaxExtentSparse', why: 'a descriptor beside extents' },
  { format: 'vmdk', driver: 'vmdk', options: 'subformat=twoGbMaxExtentFlat', why: 'a descriptor beside raw extents' },
  { format: 'vmdk', driver: 'vmdk', options: 'subformat=streamOptimized', why: 'compressed grains, as in an OVA' },
  { format: 'vhdx', driver: 'vhdx', options: 'subformat=dynamic', why: 'Hyper-V, by blocks' },
  { format: 'vhdx', driver: 'vhdx', options: 'subformat=fixed,block_size=1M', why: 'Hyper-V, all allocated' },
  { format: 'vhd', driver: 'vpc', options: 'subformat=dynamic', why: 'size from its geometry' },
  { format: 'vhd', driver: 'vpc', options: 'subformat=dynamic,force_size=on', why: 'size as it is written' },
  { format: 'vhd', driver: 'vpc', options: 'subformat=fixed', why: 'raw bytes and a footer, size from geometry' },
  { format: 'vhd', driver: 'vpc', options: 'subformat=fixed,force_size=on', why: 'what Azure takes' },
  { format: 'vdi', driver: 'vdi', options: 'static=off', why: 'VirtualBox, by blocks' },
  { format: 'vdi', driver: 'vdi', options: 'static=on', why: 'VirtualBox, all allocated' },
];

/** A disk with runs that deflate, runs that do not, and holes. */
function content(size: number): Uint8Array {
  const next = random(3);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 300_000) {
    const kind = next() % 3;
    for (let i = at; i < Math.min(size, at + 300_000) && kind > 0; i++)
      bytes[i] = kind === 1 ? next() : (i >> 9) & 0xff;
  }
  return bytes;
}

describe.skipIf(!qemu)(`disks of other makers read as in QEMU${needsQemu}`, () => {
  let bytes: Uint8Array;
  beforeAll(() => {
    bytes = content(12 * MiB + 512 * 5);
  });

  test.each(variants)('$format, $options: $why', async ({ format, driver, options }) => {
    await using folder = await scratch();
    const raw = folder.file('disk.raw');
    const image = folder.file(`disk.${format}`);
    await writeFile(raw, bytes);
    await tool('qemu-img', 'convert', '-f', 'raw', '-O', driver, '-o', options, raw, image);
    await expectSameBytes(image, 1_000_003, driver);
    await using disk = await openDisk(image);
    expect(disk.format).toBe(format);
    expect(disk.chain).toEqual([{ path: image, format }]);
    expect(disk.files.map(({ path }) => path)).toContain(image);
    // What compose reads itself, its workers read from the file; the rest comes from QEMU.
    const kinds = new Set((await disk.locate(0, disk.size)).map(({ kind }) => kind));
    expect(kinds).toContain(format === 'vmdk' ? 'served' : 'data');
    expect(kinds.has('served')).toBe(format === 'vmdk');
  });

  test.each(variants.filter(({ options }) => !/streamOptimized/.test(options)))(
    '$format, $options, written at random',
    async ({ driver, options }) => {
      await using folder = await scratch();
      const image = folder.file('disk');
      await tool('qemu-img', 'create', '-q', '-f', driver, '-o', options, image, '20M');
      await expectSameBytes(image, 7 * MiB, driver);
      const next = random(9);
      const commands = Array.from({ length: 40 }, () => {
        const length = (1 + (next() % 200)) * 512;
        return `write -P ${1 + (next() % 255)} ${(next() % 39_000) * 512} ${length}`;
      });
      await qemuIo(image, commands, driver);
      await expectSameBytes(image, 1_000_003, driver);
    },
  );

  test.each(variants)('$format, $options: holes are known before they are read', async ({ driver, options }) => {
    if (/fixed|static=on|Flat/.test(options)) return;
    await using folder = await scratch();
    const image = folder.file('disk');
    const raw = folder.file('raw');
    await tool('qemu-img', 'create', '-q', '-f', 'raw', raw, '9G');
    await qemuIo(raw, ['write -P 7 1G 1M', 'write -P 8 8705M 1M'], 'raw');
    await tool('qemu-img', 'convert', '-f', 'raw', '-O', driver, '-o', options, raw, image);
    await using disk = await openDisk(image);
    let stored = 0;
    for (let at = 0; at < disk.size; at += 64 * MiB) {
      const extents = await disk.locate(at, Math.min(64 * MiB, disk.size - at));
      for (const extent of extents) if (extent.kind !== 'zero') stored += extent.length;
    }
    expect(stored).toBeGreaterThanOrEqual(2 * MiB);
    expect(stored).toBeLessThanOrEqual(66 * MiB);
    expect(await readBytes(disk, 1024 * MiB - 1, 2)).toEqual(Uint8Array.of(0, 7));
    expect(await readBytes(disk, 8706 * MiB - 1, 2)).toEqual(Uint8Array.of(8, 0));
  });

  test('a qcow2 overlay lies over an image of another format', async () => {
    await using folder = await scratch();
    for (const driver of ['vmdk', 'vpc', 'vhdx', 'vdi']) {
      const base = folder.file(`base.${driver}`);
      const top = folder.file(`${driver}.qcow2`);
      await tool('qemu-img', 'create', '-q', '-f', driver, base, '8M');
      await qemuIo(base, ['write -P 5 1M 1M'], driver);
      await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', `base.${driver}`, '-F', driver, top, '8M');
      await qemuIo(top, ['write -P 6 1536k 64k', 'write -z 1600k 64k']);
      await expectSameBytes(top);
    }
  });

  test('a VMDK over its parent reads as in QEMU', async () => {
    await using folder = await scratch();
    const [base, top] = [folder.file('base.vmdk'), folder.file('top.vmdk')] as const;
    await tool('qemu-img', 'create', '-q', '-f', 'vmdk', base, '8M');
    await qemuIo(base, ['write -P 5 1M 1M'], 'vmdk');
    await tool('qemu-img', 'create', '-q', '-f', 'vmdk', '-b', base, '-F', 'vmdk', top, '8M');
    await qemuIo(top, ['write -P 6 1536k 64k'], 'vmdk');
    await expectSameBytes(top, MiB, 'vmdk');
  });

  test('what QEMU cannot open is refused in its words, and nothing is left running', async () => {
    await using folder = await scratch();
    const image = folder.file('disk.vmdk');
    await tool('qemu-img', 'create', '-q', '-f', 'vmdk', image, '8M');
    await writeFile(image, (await readFile(image)).subarray(0, 600));
    await expect(openDisk(image)).rejects.toMatchObject({
      code: 'disk.not-served',
      message: expect.stringContaining(image),
      hint: expect.stringContaining('qemu-img info'),
    });
  });

  test('a VHDX that names a log is left to QEMU, which knows whether there is anything in it', async () => {
    await using folder = await scratch();
    const image = folder.file('disk.vhdx');
    await tool('qemu-img', 'create', '-q', '-f', 'vhdx', image, '8M');
    await qemuIo(image, ['write -P 3 1M 1M'], 'vhdx');
    const bytes = await readFile(image);
    for (const at of [64 * 1024, 128 * 1024]) {
      bytes.fill(0x11, at + 48, at + 64);
      bytes.fill(0, at + 4, at + 8);
      bytes.writeUInt32LE(crc32c(bytes.subarray(at, at + 4096)), at + 4);
    }
    await writeFile(image, bytes);
    await expectSameBytes(image, MiB, 'vhdx');
    await using disk = await openDisk(image);
    expect((await disk.locate(0, disk.size)).some(({ kind }) => kind === 'served')).toBe(true);
  });

  const linux = process.platform === 'linux';
  test.skipIf(!linux)(`a server that dies is an error at once${linux ? '' : ' (skipped: needs /proc)'}`, async () => {
    await using folder = await scratch();
    const image = folder.file('disk.vmdk');
    await tool('qemu-img', 'create', '-q', '-f', 'vmdk', image, '64M');
    await using disk = await openDisk(image);
    for (const task of await readdir('/proc/self/task')) {
      const children = (await readFile(`/proc/self/task/${task}/children`, 'latin1')).split(' ').filter(Boolean);
      for (const pid of children) {
        const command = await readFile(`/proc/${pid}/cmdline`, 'latin1');
        if (command.includes('qemu-nbd') && command.includes(image)) process.kill(Number(pid), 'SIGKILL');
      }
    }
    await expect((async () => disk.locate(0, MiB))()).rejects.toMatchObject({ code: 'nbd.closed' });
    await expect(disk.read(0, new Uint8Array(512))).rejects.toMatchObject({
      code: 'nbd.closed',
      evidence: { file: image },
    });
  });

  test.skipIf(!nbdkit)(`another server than QEMU's${nbdkit ? '' : ' (skipped: nbdkit is not installed)'}`, async () => {
    await using folder = await scratch();
    const socket = folder.file('s');
    const script = `import { NbdSession } from '${packageRoot()}/dist/src/disk/nbd.js';
const session = await NbdSession.connect(process.env.unixsocket);
const into = Buffer.alloc(3000000);
await session.read(5000000, into);
for (let at = 0; at < into.length; at += 8) if (Number(into.readBigUInt64BE(at)) !== 5000000 + at) throw new Error(String(at));
const runs = await session.status(0, session.size);
console.log(JSON.stringify([session.size, runs]));
await session[Symbol.asyncDispose]();`;
    await writeFile(folder.file('client.mjs'), script);
    const run = `${process.execPath} ${folder.file('client.mjs')}`;
    const told = await tool('nbdkit', '-U', socket, 'pattern', '10M', '--run', `unixsocket=${socket} ${run}`);
    expect(JSON.parse(told)).toEqual([10 * MiB, [{ length: 10 * MiB, zero: false }]]);
  });

  test('an abort ends the opening and the reading', async () => {
    await using folder = await scratch();
    const image = folder.file('disk.vmdk');
    await tool('qemu-img', 'create', '-q', '-f', 'vmdk', image, '8M');
    const before = new AbortController();
    before.abort(new Error('too late'));
    await expect(openDisk(image, { signal: before.signal })).rejects.toThrow('too late');
    const controller = new AbortController();
    await using disk = await openDisk(image, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect((async () => disk.locate(0, MiB))()).rejects.toThrow('enough');
  });
});
