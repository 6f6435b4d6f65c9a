import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DiskPartition, makeDisk } from '../../fixtures/ext4-disk.ts';
import { e2fsckComplaints, makeImage, materialise, scratch } from '../../fixtures/ext4-image.ts';
import { DATA_START, EXTENT, groupText, linear, makePhysical } from '../../fixtures/lvm-image.ts';
import { openDisk } from '../../src/disk/open.ts';
import { isComposeError } from '../../src/errors.ts';
import { editRoot } from '../../src/filesystem/edit-root.ts';
import { readPath } from '../../src/filesystem/file-tree.ts';
import { findRoot } from '../../src/filesystem/root.ts';

const run = promisify(execFile);
const BOOT_UUID = 'b0070000-1111-2222-3333-444455556666';
const PART_UUID = 'aaaabbbb-cccc-4ddd-8eee-ffff00001111';
let folder: Awaited<ReturnType<typeof scratch>>;
let count = 0;

beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

const scratchPath = (): string => join(folder.path, `f${count++}`);

/** An ext4 image with these files; a name that ends in a slash is an empty directory. */
async function ext4(
  files: Readonly<Record<string, string>>,
  options: { mkfs?: readonly string[]; debugfs?: readonly string[] } = {},
): Promise<string> {
  const tree = scratchPath();
  await mkdir(tree);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(tree, name.endsWith('/') ? name : dirname(name)), { recursive: true });
    if (!name.endsWith('/')) await writeFile(join(tree, name), content);
  }
  const image = await makeImage(scratchPath(), {
    mkfs: ['-t', 'ext4', '-O', '^has_journal', ...(options.mkfs ?? [])],
    size: '2M',
    tree,
    ...(options.debugfs === undefined ? {} : { debugfs: options.debugfs }),
  });
  await rm(tree, { recursive: true });
  return image;
}

const rootFiles = (fstab = '', more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  'etc/os-release': 'ID=debian\n',
  'etc/fstab': fstab,
  'boot/efi/': '',
  'usr/': '',
  'srv/': '',
  ...more,
});

async function made(size: string, command: readonly [string, ...string[]]): Promise<string> {
  const path = scratchPath();
  await run('truncate', ['-s', size, path]);
  await run(command[0], [...command.slice(1), path]);
  return path;
}

const vfat = (): Promise<string> => made('1M', ['mkfs.vfat', '-n', 'EFI']);
const swap = (): Promise<string> => made('1M', ['mkswap', '-L', 'swap']);

async function withDisk<T>(partitions: readonly (DiskPartition | string)[], work: (path: string) => Promise<T>) {
  const list = partitions.map((one) => (typeof one === 'string' ? { content: one } : one));
  const path = await makeDisk(scratchPath(), list);
  try {
    return await work(path);
  } finally {
    await rm(path);
  }
}

const root = (partitions: readonly (DiskPartition | string)[]) =>
  withDisk(partitions, async (path) => {
    await using disk = await openDisk(path, { format: 'raw' });
    const found = await findRoot(disk);
    const paths: string[] = [];
    const inodes = new Set<number>();
    for await (const entry of found.tree.entries()) {
      paths.push(`/${Buffer.from(entry.path)}`);
      inodes.add(entry.inode);
    }
    const kernel = await readPath(found.tree, '/boot/vmlinuz');
    return { ...found, paths, inodes, kernel: kernel && Buffer.from(kernel).toString() };
  });

/** The error of `findRoot`, as code and a message with its hint and evidence. */
async function refusal(partitions: readonly (DiskPartition | string)[]): Promise<{ code: string; text: string }> {
  try {
    await root(partitions);
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return { code: error.code, text: `${error.message} | ${error.hint} | ${JSON.stringify(error.evidence)}` };
  }
  throw new Error('a root was found');
}

describe('the root file system', () => {
  test('is found by what it holds, among other partitions', async () => {
    const found = await root([await vfat(), await ext4({ data: 'no system' }), await ext4(rootFiles()), await swap()]);
    expect(found.partition?.number).toBe(3);
    expect(found.table.scheme).toBe('gpt');
    expect(found.paths).toContain('/etc/os-release');
  });

  test('may fill a disk without a partition table', async () => {
    await using disk = await openDisk(await ext4(rootFiles()), { format: 'raw' });
    const found = await findRoot(disk);
    expect(found.partition).toBeUndefined();
    expect(found.volume.size).toBe(disk.size);
  });

  test('is told by /sbin/init too, when there is no os-release', async () => {
    const found = await root([await ext4({ 'etc/passwd': '', 'sbin/init': '' })]);
    expect(found.partition?.number).toBe(1);
  });

  test('that is nowhere gives a list of what was found', async () => {
    const { code, text } = await refusal([await vfat(), { content: await ext4({ etc: 'a file' }), name: 'data' }]);
    expect(code).toBe('root.none');
    expect(text).toMatch(/partition 1 .*vfat.*partition 2 \(data, .*ext4/);
  });

  test('that is there twice is refused, naming both', async () => {
    const one = await ext4(rootFiles(), { mkfs: ['-L', 'first'] });
    const { code, text } = await refusal([one, await ext4(rootFiles(), { mkfs: ['-L', 'second'] })]);
    expect(code).toBe('root.ambiguous');
    expect(text).toMatch(/partition 1 .*first.*partition 2 .*second/);
  });

  /** A physical volume whose first logical volume holds `image`. */
  async function physical(image: string, more: Readonly<Record<string, readonly string[]>> = {}): Promise<string> {
    const content = await readFile(image);
    const count = Math.ceil(content.length / EXTENT);
    const uuid = 'x'.repeat(32);
    const logical = { first: [linear(0, count, 'pv0', 2)], ...more };
    const text = groupText({ physical: { pv0: { uuid, extents: count + 4 } }, logical, hidden: ['snapshot0'] });
    const bytes = makePhysical({ uuid, extents: count + 4, text });
    bytes.set(content, DATA_START + 2 * EXTENT);
    const path = scratchPath();
    await writeFile(path, bytes);
    return path;
  }
  const THIN = 'start_extent = 0\nextent_count = 1\ntype = "thin"\nthin_pool = "pool"';

  test('on a logical volume is found, whatever else is in its group', async () => {
    const found = await root([await vfat(), await physical(await ext4(rootFiles()), { other: [THIN] })]);
    expect(found.place.where).toBe('logical volume vg/first');
  });

  test('beside a volume group that cannot be used is found', async () => {
    const damaged = await physical(await ext4({ etc: 'a file' }), { other: [THIN] });
    const bytes = await readFile(damaged);
    bytes[4096 + 600]! ^= 1;
    await writeFile(damaged, bytes);
    const found = await root([await ext4(rootFiles()), damaged]);
    expect(found.place.where).toBe('partition 1');
    const { code } = await refusal([await vfat(), damaged]);
    expect(code).toBe('lvm.checksum');
  });

  test('on a logical volume with a snapshot is read, but not edited', async () => {
    const snapshot = 'start_extent=0\nextent_count=1\ntype="snapshot"\norigin="first"\ncow_store="kept"';
    const more = { kept: [linear(0, 1, 'pv0', 0)], snapshot0: [snapshot] };
    const image = await physical(await ext4(rootFiles('', { 'etc/machine-id': 'secret' })), more);
    await withDisk([image], async (path) => {
      await using disk = await openDisk(path, { format: 'raw' });
      const found = await findRoot(disk);
      const edits = [{ kind: 'empty', path: '/etc/machine-id', reason: 'test' }] as const;
      await expect(editRoot(disk, found, edits)).rejects.toMatchObject({ code: 'lvm.has-snapshot' });
    });
  });

  test.each([['Btrfs', ['128M', ['mkfs.btrfs', '-q']], 'a Btrfs file system']] as const)(
    'on %s is refused by name',
    async (_, [size, command], words) => {
      const { code, text } = await refusal([await vfat(), await made(size, [...command])]);
      expect(code).toBe('root.unsupported');
      expect(text).toContain(`partition 2 is ${words}`);
    },
  );

  test.each([
    ['the state of a mounted file system', 'set_super_value state 0', 'not unmounted'],
    ['errors the kernel found', 'set_super_value state 3', 'found errors'],
    ['a journal to be replayed', 'feature has_journal needs_recovery', 'journal'],
    ['deleted files still open', 'set_super_value last_orphan 12', 'deleted files'],
  ])('with %s is refused', async (_, command, words) => {
    const { code, text } = await refusal([await ext4(rootFiles(), { debugfs: [command] })]);
    expect(code).toBe('ext4.not-clean');
    expect(text).toContain(words);
    expect(text).toContain('e2fsck -f');
  });

  test('that is damaged fails with what is damaged', async () => {
    const image = await ext4(rootFiles());
    await run('sh', ['-c', `printf X | dd of="$1" bs=1 seek=$((1024 + 0x78)) conv=notrunc status=none`, 'sh', image]);
    const { code } = await refusal([image]);
    expect(code).toBe('ext4.checksum');
  });
});

describe('what /etc/fstab mounts', () => {
  const boot = (): Promise<string> =>
    ext4({ vmlinuz: 'linux', 'grub/grub.cfg': 'menu', 'efi/': '' }, { mkfs: ['-U', BOOT_UUID, '-L', 'BOOT'] });

  test.each([
    [`UUID=${BOOT_UUID}`, 'the usual form'],
    [`UUID=${BOOT_UUID.toUpperCase()}`, 'case does not matter'],
    ['UUID="b0070000-1111-2222-3333-444455556666"', 'quoted'],
    ['LABEL=BOOT', 'cloud images'],
    [`PARTUUID=${PART_UUID}`, 'partition table'],
    ['PARTLABEL=boot', 'partition table'],
    ['/dev/vda2', 'first disk'],
    ['/dev/nvme0n1p2', 'first disk'],
    [`/dev/disk/by-uuid/${BOOT_UUID}`, 'udev link'],
    ['/dev/disk/by-label/BOOT', 'udev link'],
  ])('is merged into the tree: %s (%s)', async (spec) => {
    const files = rootFiles(`# root\nLABEL=root / ext4 defaults 0 1\n${spec} /boot ext4 defaults 0 2\n`, {
      'boot/hidden': 'under the mount',
    });
    const found = await root([await ext4(files), { content: await boot(), name: 'boot', uuid: PART_UUID }]);
    expect(found.kernel).toBe('linux');
    expect(found.paths).toContain('/boot/grub/grub.cfg');
    expect(found.paths).not.toContain('/boot/hidden');
    expect(found.paths).toEqual([...new Set(found.paths)]);
    expect(found.inodes.size).toBe(found.paths.length);
    expect(found.mounts.map((mount) => [mount.mountPoint, mount.partition?.number])).toEqual([['/boot', 2]]);
  });

  test('inside another mount is merged there', async () => {
    const fstab = `LABEL=log /var/log ext4\nLABEL=var /var ext4\n`;
    const found = await root([
      await ext4(rootFiles(fstab, { 'var/': '' })),
      await ext4({ 'log/under': '', 'lib/x': '' }, { mkfs: ['-L', 'var'] }),
      await ext4({ syslog: '' }, { mkfs: ['-L', 'log'] }),
    ]);
    expect(found.paths.filter((path) => path.startsWith('/var') && !path.includes('lost+found'))).toEqual([
      '/var',
      '/var/lib',
      '/var/lib/x',
      '/var/log',
      '/var/log/syslog',
    ]);
  });

  test('through a symlink is merged where it leads', async () => {
    const image = await ext4(rootFiles('LABEL=BOOT /kernel ext4'), { debugfs: ['symlink kernel boot'] });
    const found = await root([image, await boot()]);
    expect(found.mounts[0]?.mountPoint).toBe('/boot');
  });

  test('and need not be read is left out, with the reason where it had a place', async () => {
    const fstab = [
      'LABEL=swap none swap sw 0 0',
      '/swapfile swap swap defaults 0 0',
      'tmpfs /tmp tmpfs defaults 0 0',
      'server:/export /home nfs defaults 0 0',
      '//server/share /mnt/share cifs defaults 0 0',
      'LABEL=gone /mnt/gone ext4 nofail 0 2',
      '/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0',
      '/srv/a /srv/b none bind 0 0',
      'LABEL=net /mnt/net ext4 _netdev 0 0',
    ].join('\n');
    const found = await root([await ext4(rootFiles(fstab)), await swap()]);
    expect(found.skipped.map(({ mountPoint }) => mountPoint).sort()).toEqual(['/media/cdrom0', '/mnt/gone', '/srv/b']);
    expect(found.mounts).toEqual([]);
  });

  test.each([
    ['LABEL=data /srv btrfs defaults 0 0', 'btrfs', 'a file system that is not read'],
    ['LABEL=gone /srv ext4 defaults 0 0', 'the disk has no LABEL=gone', 'a device that is not there'],
    ['/dev/mapper/vg-usr /usr ext4 defaults 0 0', '/dev/mapper/vg-usr', 'a logical volume that is not there'],
    ['/dev/sdb1 /srv ext4 defaults 0 0', '/dev/sdb1', 'another disk'],
    ['LABEL=extra /not/there ext4 defaults 0 0', 'no such directory', 'no mount point'],
  ])('and cannot be read is an error: %s', async (line, words) => {
    const btrfs = line.includes('btrfs') ? [await made('128M', ['mkfs.btrfs', '-q', '-L', 'data'])] : [];
    const extra = await ext4({ x: '' }, { mkfs: ['-L', 'extra'] });
    const { code, text } = await refusal([await ext4(rootFiles(line)), await vfat(), extra, ...btrfs]);
    expect(code).toBe('root.mount-unreadable');
    expect(text).toContain(words);
  });

  test('and was not unmounted is refused', async () => {
    const other = await ext4({ vmlinuz: '' }, { mkfs: ['-L', 'BOOT'], debugfs: ['set_super_value state 0'] });
    const { code, text } = await refusal([await ext4(rootFiles('LABEL=BOOT /boot ext4')), other]);
    expect([code, text.includes('partition 2')]).toEqual(['ext4.not-clean', true]);
  });

  test('is edited where it is mounted, on the whole disk', async () => {
    const files = rootFiles('LABEL=BOOT /boot ext4\n', { 'etc/machine-id': 'secret', 'boot/vmlinuz': 'hidden' });
    await withDisk([await ext4(files), await boot()], async (path) => {
      await using disk = await openDisk(path, { format: 'raw' });
      const before = await findRoot(disk);
      const reason = 'test';
      const { source, applied } = await editRoot(disk, before, [
        { kind: 'empty', path: '/etc/machine-id', reason },
        { kind: 'remove', path: '/boot/vmlinuz', reason },
        { kind: 'remove', path: '/*/grub', reason },
      ]);
      expect(applied).toEqual(['empty /etc/machine-id', 'remove /boot/vmlinuz', 'remove /boot/grub']);
      const result = await materialise(source, `${path}.edited`);
      await using edited = await openDisk(result, { format: 'raw' });
      const after = await findRoot(edited);
      expect((await after.tree.list('/boot')).map(({ path: name }) => `${Buffer.from(name)}`)).toEqual([
        'boot/efi',
        'boot/lost+found',
      ]);
      expect(await after.fs.lookup('/boot/vmlinuz')).toBeDefined();
      for (const { partition, volume } of [after, ...after.mounts]) {
        expect(await e2fsckComplaints(await materialise(volume, `${path}.part${partition?.number}`))).toBe('');
      }
    });
  });
});
