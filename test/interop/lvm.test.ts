import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { e2fsckComplaints, makeImage, materialise, scratch } from '../../fixtures/ext4-image.ts';
import { random } from '../../fixtures/fuzz.ts';
import { type LvmTools, whyNoLvm, withLvm } from '../../fixtures/lvm-disk.ts';
import { readBytes, slice } from '../../src/disk/block-source.ts';
import { type Lvm, readLvm } from '../../src/disk/lvm/read.ts';
import { openDisk } from '../../src/disk/open.ts';
import { readPartitions } from '../../src/disk/partitions.ts';
import { quietContext } from '../../src/events.ts';
import { editRoot } from '../../src/filesystem/edit-root.ts';
import { readPath } from '../../src/filesystem/file-tree.ts';
import { findRoot } from '../../src/filesystem/root.ts';
import { parseLvmArea, parseLvmLabel } from '../../src/formats/lvm-label.ts';
import { pack } from '../../src/pack/pack.ts';
import { inspectDisk } from '../../src/verify/inspect.ts';
import { inspectText } from '../../src/verify/inspect-text.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const reason = await whyNoLvm();
const whyNoGrub = await run('grub-fstest', ['--version']).then(
  () => undefined,
  () => 'no grub-fstest here',
);
let folder: Awaited<ReturnType<typeof scratch>>;
let count = 0;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());
const scratchPath = (): string => join(folder.path, `f${count++}`);

/** Two LVM partitions with a small one between them, so that a wrong start shows. */
const FIRST = { start: MIB, size: 40 * MIB };
const SECOND = { start: 45 * MIB, size: 30 * MIB };

async function makeDisk(work: (tools: LvmTools) => Promise<void>): Promise<string> {
  const path = scratchPath();
  await run('truncate', ['-s', '80M', path]);
  const sfdisk = run('sfdisk', ['-q', '--no-reread', '--no-tell-kernel', path]);
  const line = ({ start, size }: typeof FIRST, type: string): string =>
    `start=${start / 512}, size=${size / 512}, type=${type}\n`;
  const between = { start: 41 * MIB, size: 4 * MIB };
  sfdisk.child.stdin?.end(`label: gpt\n${line(FIRST, 'lvm')}${line(between, 'linux')}${line(SECOND, 'lvm')}`);
  await sfdisk;
  await withLvm(path, [FIRST, SECOND], work);
  return path;
}

const create = (tools: LvmTools, ...args: readonly string[]): Promise<string> =>
  tools.lvm('lvcreate', '-an', '-Zn', '-Wn', ...args);

function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const next = random(seed);
  const words = new Uint32Array(bytes.buffer, 0, length >>> 2);
  for (let at = 0; at < words.length; at++) words[at] = next();
  return bytes;
}

async function withVolumes<T>(path: string, work: (lvm: Lvm) => Promise<T>): Promise<T> {
  await using disk = await openDisk(path, { format: 'raw' });
  const inputs = [FIRST, SECOND].map(({ start, size }, at) => ({ source: slice(disk, start, size), where: `p${at}` }));
  return await work(await readLvm(inputs));
}

/** Checks that the generation `vgs` tells is what we read; true when its text goes round the end of the ring buffer. */
async function checkGeneration(tools: LvmTools): Promise<boolean> {
  const said = Number((await tools.lvm('vgs', '--noheadings', '-o', 'vg_seqno', 'ring')).trim());
  await using one = await openDisk(tools.devices[0]!, { format: 'raw' });
  await using two = await openDisk(tools.devices[1]!, { format: 'raw' });
  const { groups } = await readLvm([
    { source: one, where: 'one' },
    { source: two, where: 'two' },
  ]);
  expect(groups[0]!.seqno).toBe(said);
  const label = parseLvmLabel(await readBytes(one, 512, 512), 1)!;
  expect(label.metadataAreas).toHaveLength(2);
  const range = label.metadataAreas[0]!;
  const { text } = parseLvmArea(await readBytes(one, range.position, 512), range);
  return text!.offset + text!.size > range.size;
}

describe.skipIf(reason !== undefined)(
  `LVM written by its own tools${reason === undefined ? '' : ` (${reason})`}`,
  () => {
    test('linear, extended, striped and reduced volumes read as the tools laid them out', async () => {
      const contents = new Map<string, Uint8Array>();
      const path = await makeDisk(async (tools) => {
        const [a, b] = tools.devices as [string, string];
        await tools.lvm('pvcreate', '-ff', '-y', a, b);
        await tools.lvm('vgcreate', '-s', '1M', 'vg-a.b_c', a, b);
        await create(tools, '-n', 'one', '-l', '5', 'vg-a.b_c');
        await create(tools, '-n', 'two-striped', '--type', 'striped', '-i', '2', '-I', '16k', '-l', '8', 'vg-a.b_c');
        await tools.lvm('lvextend', '-l', '+7', 'vg-a.b_c/one');
        await create(tools, '-n', 'hole', '-l', '3', 'vg-a.b_c', a);
        await create(tools, '-n', 'back', '-l', '4', 'vg-a.b_c', `${b}:20-25`);
        await tools.lvm('lvextend', '-l', '+3', 'vg-a.b_c/back', `${a}:24-30`);
        await tools.lvm('lvextend', '-i', '2', '-I', '64k', '-l', '+4', 'vg-a.b_c/two-striped');
        await tools.lvm('lvremove', '-y', 'vg-a.b_c/hole');
        await tools.lvm('lvextend', '-l', '+6', 'vg-a.b_c/one');
        await tools.lvm('lvreduce', '-y', '-l', '-1', 'vg-a.b_c/back');
        await tools.lvm('lvrename', 'vg-a.b_c', 'back', 'turned');
        for (const [name, extents] of [
          ['one', 18],
          ['two-striped', 12],
          ['turned', 6],
        ] as const) {
          const content = noise(extents * MIB, extents);
          contents.set(name, content);
          await tools.fill('vg-a.b_c', name, content);
        }
      });
      await withVolumes(path, async ({ groups, failures }) => {
        expect([...failures]).toEqual([]);
        expect(groups).toHaveLength(1);
        const [group] = groups;
        expect(group).toMatchObject({ name: 'vg-a.b_c', extentSize: MIB, notes: [] });
        expect(group!.logicalVolumes.map((one) => one.name).sort()).toEqual([...contents.keys()].sort());
        for (const { name, source, devices, segments } of group!.logicalVolumes) {
          expect(source.size).toBe(contents.get(name)!.length);
          expect(Buffer.compare(await readBytes(source, 0, source.size), contents.get(name)!)).toBe(0);
          expect(segments.length).toBeGreaterThan(1);
          const mapped = `vg--a.b_c-${name.replace('-', '--')}`;
          expect(devices.slice(0, 2)).toEqual([`/dev/mapper/${mapped}`, `/dev/vg-a.b_c/${name}`]);
          const part = await readBytes(source, 12345, 3 * MIB);
          expect(Buffer.compare(part, contents.get(name)!.subarray(12345, 12345 + 3 * MIB))).toBe(0);
        }
      });
      await rm(path);
    });

    test('the newest metadata are read after the ring buffer went round', async () => {
      let wrapped = 0;
      const path = await makeDisk(async (tools) => {
        const [a, b] = tools.devices as [string, string];
        await tools.lvm(
          'pvcreate',
          '-ff',
          '-y',
          '--metadatasize',
          '36k',
          '--dataalignment',
          '8k',
          '--metadatacopies',
          '2',
          a,
        );
        await tools.lvm('pvcreate', '-ff', '-y', '--metadatasize', '36k', '--dataalignment', '8k', b);
        await tools.lvm('vgcreate', '-s', '512k', 'ring', a, b);
        await create(tools, '-n', 'stays', '-l', '2', 'ring');
        for (let i = 0; i < 24; i++) {
          await tools.lvm('lvrename', 'ring', i === 0 ? 'stays' : `name${i - 1}`, `name${i}`);
          if (i % 4 === 0) await create(tools, '-n', `more${i}`, '-l', '1', 'ring');
          if (i % 12 === 8) await tools.lvm('lvremove', '-y', 'ring/more4');
          if (i % 12 === 8) await create(tools, '-n', 'more4', '-l', '1', 'ring');
          if (await checkGeneration(tools)) wrapped++;
        }
      });
      expect(wrapped).toBeGreaterThan(0);
      await withVolumes(path, async ({ groups }) => {
        const names = groups[0]!.logicalVolumes.map((one) => one.name).sort();
        expect(names).toEqual(['more0', 'more12', 'more16', 'more20', 'more4', 'more8', 'name23']);
        expect(groups[0]!.notes).toEqual([]);
      });
      await rm(path);
    });

    test('what the tools make and compose does not read is refused by name', async () => {
      const path = await makeDisk(async (tools) => {
        const [a, b] = tools.devices as [string, string];
        await tools.lvm('pvcreate', '-ff', '-y', a, b);
        await tools.lvm('vgcreate', '-s', '1M', 'first', a);
        await tools.lvm('vgcreate', '-s', '1M', 'second', b);
        await create(tools, '-n', 'plain', '-l', '2', 'first');
        await tools.lvm('lvcreate', '-an', '-n', 'nothing', '--type', 'zero', '-l', '2', 'first');
        await create(tools, '-n', 'gone', '-l', '2', 'second');
        await tools.lvm('vgexport', 'second');
      });
      await withVolumes(path, async ({ groups }) => {
        const all = groups.flatMap((group) => group.logicalVolumes);
        const failures = Object.fromEntries(all.map((one) => [one.name, (one.failure as { code?: string })?.code]));
        expect(failures).toEqual({ plain: undefined, nothing: 'lvm.unsupported', gone: 'lvm.exported' });
      });
      await rm(path);
    });
  },
);

describe.skipIf(reason !== undefined)(`a system on LVM${reason === undefined ? '' : ` (${reason})`}`, () => {
  let path: string;
  const UUID = 'aaaa1111-2222-4333-8444-555566667777';

  beforeAll(async () => {
    if (reason !== undefined) return;
    const fstab = `/dev/mapper/sys--vg-root / ext4\n/dev/sys-vg/home /home ext4\nUUID=${UUID} /srv ext4\n`;
    const root = await ext4(
      '14M',
      { 'etc/os-release': 'ID=debian\n', 'etc/fstab': fstab, 'home/': '', 'srv/': '' },
      {
        'var/log/big.log': 'secret '.repeat(100_000),
        'root/.ssh/key': 'secret',
      },
    );
    const home = await ext4('6M', { 'u/.bash_history': 'secret '.repeat(50_000), 'u/kept': 'kept' });
    const srv = await ext4('4M', { 'x/data': 'data' }, {}, ['-U', UUID]);
    path = await makeDisk(async (tools) => {
      const [a, b] = tools.devices as [string, string];
      await tools.lvm('pvcreate', '-ff', '-y', a, b);
      await tools.lvm('vgcreate', '-s', '1M', 'sys-vg', a, b);
      await create(tools, '-n', 'root', '-l', '5', 'sys-vg', a);
      await create(tools, '-n', 'home', '--type', 'striped', '-i', '2', '-I', '4k', '-l', '6', 'sys-vg');
      await create(tools, '-n', 'srv', '-l', '4', 'sys-vg', b);
      await tools.lvm('lvextend', '-l', '+3', 'sys-vg/root', b);
      await tools.lvm('lvextend', '-l', '+6', 'sys-vg/root', a);
      await tools.fill('sys-vg', 'root', await readFile(root));
      await tools.fill('sys-vg', 'home', await readFile(home));
      await tools.fill('sys-vg', 'srv', await readFile(srv));
    });
  });

  async function ext4(
    size: string,
    ...rest: [files: Record<string, string>, more?: Record<string, string>, mkfs?: readonly string[]]
  ): Promise<string> {
    const [files, more = {}, mkfs = []] = rest;
    const tree = scratchPath();
    for (const [name, content] of Object.entries({ ...files, ...more })) {
      await mkdir(join(tree, name, name.endsWith('/') ? '.' : '..'), { recursive: true });
      if (!name.endsWith('/')) await writeFile(join(tree, name), content);
    }
    return makeImage(scratchPath(), { mkfs: ['-t', 'ext4', '-b', '1024', ...mkfs], size, tree });
  }

  test('the root is found, and its fstab mounts the others by every kind of name', async () => {
    await using disk = await openDisk(path, { format: 'raw' });
    const root = await findRoot(disk);
    expect(root.place.where).toBe('logical volume sys-vg/root');
    expect(root.mounts.map((mount) => [mount.mountPoint, mount.place.where])).toEqual([
      ['/home', 'logical volume sys-vg/home'],
      ['/srv', 'logical volume sys-vg/srv'],
    ]);
    expect(Buffer.from((await readPath(root.tree, '/home/u/kept'))!).toString()).toBe('kept');
    expect(Buffer.from((await readPath(root.tree, '/srv/x/data'))!).toString()).toBe('data');
    const log = await readPath(root.tree, '/var/log/big.log');
    expect(Buffer.from(log!).toString()).toBe('secret '.repeat(100_000));
    const inspection = await inspectDisk(path);
    expect(inspection.logicalVolumes.map(({ name, size, fileSystem }) => [name, size, fileSystem?.kind])).toEqual([
      ['sys-vg/root', 14 * MIB, 'ext4'],
      ['sys-vg/home', 6 * MIB, 'ext4'],
      ['sys-vg/srv', 4 * MIB, 'ext4'],
    ]);
    expect(inspectText('disk', inspection)).toMatch(/logical volumes\n.*NAME.*\n +sys-vg\/root +14\.0 MiB +ext4/);
  });

  test.skipIf(whyNoGrub !== undefined)(`GRUB reads the same (${whyNoGrub ?? 'grub-fstest'})`, async () => {
    const out = scratchPath();
    await run('grub-fstest', [path, 'cp', '(lvm/sys--vg-root)/var/log/big.log', out]);
    expect(await readFile(out, 'latin1')).toBe('secret '.repeat(100_000));
    await run('grub-fstest', [path, 'cp', '(lvm/sys--vg-home)/u/.bash_history', out]);
    expect(await readFile(out, 'latin1')).toBe('secret '.repeat(50_000));
  });

  test('a tree and a disk are packed from it', async () => {
    const out = scratchPath();
    await pack({ disk: path, format: 'raw', out, name: 'x', filetypes: ['tgz', 'ddraw'] }, quietContext());
    const members = gunzipSync(await readFile(join(out, 'x.tar.gz')));
    expect([members.includes('./srv/x/data'), members.includes('secret')]).toEqual([true, false]);
    const listed = await run('tar', ['-xOzf', join(out, 'x.tar.gz'), './home/u/kept', './etc/os-release']);
    expect(listed.stdout.split('\n').sort().join('')).toBe('ID=debiankept');
    const image = await readFile(join(out, 'x.dd'));
    expect([image.length, image.includes('secret')]).toEqual([80 * MIB, false]);
    await withVolumes(join(out, 'x.dd'), async ({ groups }) => {
      for (const { name, source } of groups[0]!.logicalVolumes) {
        expect([name, await e2fsckComplaints(await materialise(source, scratchPath()))]).toEqual([name, '']);
      }
    });
  });

  test('edits reach the disk through the segments, and nothing else of the disk changes', async () => {
    const out = scratchPath();
    {
      await using disk = await openDisk(path, { format: 'raw' });
      const root = await findRoot(disk);
      const edited = await editRoot(disk, root, [
        { kind: 'remove', path: '/root/.ssh', reason: 'test' },
        { kind: 'empty', path: '/var/log/*.log', reason: 'test' },
        { kind: 'remove', path: '/home/*/.bash_history', reason: 'test' },
      ]);
      expect(edited.applied.length).toBe(3);
      await materialise(edited.source, out);
      // The two ways to read agree.
      const read = await readBytes(edited.source, 0, edited.source.size);
      expect(Buffer.compare(read, await readFile(out))).toBe(0);
    }
    const [before, after] = [await readFile(path), await readFile(out)];
    expect(after.length).toBe(before.length);
    // Outside the extents of the group every byte stays: labels, metadata, tables.
    expect(Buffer.compare(after.subarray(0, 2 * MIB), before.subarray(0, 2 * MIB))).toBe(0);
    expect(Buffer.compare(after.subarray(75 * MIB), before.subarray(75 * MIB))).toBe(0);
    expect(before.includes('secret secret')).toBe(true);
    expect(after.includes('secret')).toBe(false);
    await withVolumes(out, async ({ groups }) => {
      for (const { name, source } of groups[0]!.logicalVolumes) {
        expect([name, await e2fsckComplaints(await materialise(source, scratchPath()))]).toEqual([name, '']);
      }
    });
    await using disk = await openDisk(out, { format: 'raw' });
    const root = await findRoot(disk);
    expect(await root.tree.lookup('/root/.ssh')).toBeUndefined();
    expect((await root.tree.lookup('/var/log/big.log'))?.data?.size).toBe(0);
    expect(await root.tree.lookup('/home/u/.bash_history')).toBeUndefined();
    expect(Buffer.from((await readPath(root.tree, '/home/u/kept'))!).toString()).toBe('kept');
    await withLvm(out, [FIRST, SECOND], async (tools) => {
      expect(await tools.lvm('vgck', 'sys-vg')).toBe('');
    });
    await rm(out);
  });

  test('a group that is not whole fails where the missing part is used, and only there', async () => {
    await using disk = await openDisk(path, { format: 'raw' });
    const { groups } = await readLvm([{ source: slice(disk, SECOND.start, SECOND.size), where: 'partition 3' }]);
    const codes = groups[0]!.logicalVolumes.map(({ name, failure }) => [name, (failure as { code?: string })?.code]);
    expect(codes).toEqual([
      ['root', 'lvm.missing'],
      ['home', 'lvm.missing'],
      ['srv', undefined],
    ]);
    expect((await readPartitions(disk)).partitions).toHaveLength(3);
  });
});
