/** What of an EFI system partition gets into a tree: everything, unless curtin fills that of the machine, or the build put something in its place. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { makeFat, mtool } from '../../fixtures/fat-image.ts';
import { quietContext } from '../../src/events.ts';
import { type PackOptions, type PackResult, pack } from '../../src/pack/pack.ts';

const run = promisify(execFile);
const FSTAB = 'LABEL=EFI /boot/efi vfat umask=0077 0 1\n';
const STUB = 'search.fs_uuid 6a5d9b1c-0d6e-4a51-9b7e-0d8f2f1c3a44 root\nconfigfile ($root)/boot/grub/grub.cfg\n';
const LOADERS = [
  './boot/efi/EFI/',
  './boot/efi/EFI/rocky/',
  './boot/efi/EFI/rocky/grub.cfg',
  './boot/efi/EFI/rocky/shimx64.efi',
];
const OWN = { 'EFI/rocky/OWN.EFI': 'for the tree' };
let folder: Awaited<ReturnType<typeof scratch>>;
let count = 0;
const next = (): string => join(folder.path, `f${count++}`);

beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

interface DiskOptions {
  /** Files of the root under the mount point. */
  readonly below?: Readonly<Record<string, string>>;
  readonly fstab?: string;
  /** Directories of the root. */
  readonly folders?: readonly string[];
  /** Name of GRUB's settings on the ESP. */
  readonly settings?: string;
  /** A file of the ESP that is deleted again. */
  readonly deleted?: string;
}

/** A disk with a root of the distribution `id` and an ESP. */
async function diskOf(id: string, options: DiskOptions = {}): Promise<string> {
  const { below = {}, fstab = FSTAB, folders = ['boot/efi'], settings = 'grub.cfg', deleted } = options;
  const tree = next();
  for (const path of ['etc', 'usr', ...folders]) await mkdir(join(tree, path), { recursive: true });
  await writeFile(join(tree, 'etc/os-release'), `ID=${id}\n`);
  await writeFile(join(tree, 'etc/fstab'), fstab);
  for (const [path, content] of Object.entries(below)) {
    await mkdir(dirname(join(tree, 'boot/efi', path)), { recursive: true });
    await writeFile(join(tree, 'boot/efi', path), content);
  }
  const root = await makeImage(next(), { mkfs: ['-t', 'ext4', '-O', '^has_journal'], size: '4M', tree });
  const esp = await makeFat(next(), '4M', ['-n', 'EFI']);
  const [stub, shim] = [next(), next()];
  await writeFile(stub, STUB);
  await writeFile(shim, 'the loader');
  for (const path of ['::EFI', '::EFI/rocky']) await mtool(esp, 'mmd', path);
  await mtool(esp, 'mcopy', stub, `::EFI/rocky/${settings}`);
  await mtool(esp, 'mcopy', shim, '::EFI/rocky/shimx64.efi');
  if (deleted !== undefined) {
    const secret = next();
    await writeFile(secret, deleted);
    await mtool(esp, 'mcopy', secret, '::secret');
    await mtool(esp, 'mdel', '::secret');
  }
  return makeDisk(next(), [{ content: esp }, { content: root }]);
}

async function packed(
  disk: string,
  options: Partial<PackOptions> = {},
): Promise<{ result: PackResult; names: string[] }> {
  const out = next();
  const all = { disk, format: 'raw', out, name: 'x', filetypes: ['tgz'], ...options } as const;
  const result = await pack(all, quietContext());
  const { stdout } = await run('tar', ['-tzf', join(out, 'x.tar.gz')]);
  return { result, names: stdout.split('\n').filter((name) => /boot\/efi\/./.test(name)) };
}

test.each(['rocky', 'rhel', 'fedora'])(
  'of %s the loaders are in the tree, without what leads them to the build',
  async (id) => {
    const { result, names } = await packed(await diskOf(id));
    expect(names.sort()).toEqual(LOADERS.filter((name) => !name.endsWith('grub.cfg')));
    expect(result.notes.filter((note) => note.includes('/boot/efi'))).toEqual([]);
    expect(result.sealed).toContain('drop /boot/efi/EFI/rocky/grub.cfg');
    const archive = join(result.artifacts[0]!.path);
    const listed = await run('tar', ['--numeric-owner', '-tvzf', archive, './boot/efi/EFI/rocky/shimx64.efi']);
    expect(listed.stdout).toMatch(/^-rwx------ 0\/0 +10 /);
  },
);

test('of a distribution that curtin does not know all of it is in the tree', async () => {
  const { result, names } = await packed(await diskOf('arch'));
  expect(names.sort()).toEqual(LOADERS);
  expect(result.sealed.filter((line) => line.includes('/boot/efi'))).toEqual([]);
});

test.each(['debian', 'ubuntu', 'sles', 'opensuse-leap'])(
  'of %s a sealed tree does without, and says so',
  async (id) => {
    const { result, names } = await packed(await diskOf(id), {
      verify: { allow: [{ rule: '*', reason: 'a small tree' }] },
    });
    expect(names).toEqual([]);
    expect(result.sealed).toContain('drop /boot/efi/EFI');
    const { stdout } = await run('tar', ['-tzf', result.artifacts[0]!.path]);
    expect(stdout.split('\n')).toContain('./boot/efi/');
  },
);

test('it is kept with --no-seal, and where its row is off; verify tells of the second', async () => {
  const disk = await diskOf('debian');
  expect((await packed(disk, { seal: false })).names.sort()).toEqual(LOADERS);
  const allow = [{ rule: '*', reason: 'a small tree' }];
  const { names } = await packed(disk, { keep: ['esp.build-disk'] });
  expect(names.sort()).toEqual(LOADERS);
  const { result } = await packed(disk, { seal: false, verify: { allow } });
  expect(result.verified?.[0]?.findings).toContainEqual(
    expect.objectContaining({ rule: 'esp.build-disk', path: '/boot/efi/EFI/rocky/grub.cfg' }),
  );
});

test('what the root has below its mount point is packed in its place', async () => {
  const { result, names } = await packed(await diskOf('debian', { below: OWN }));
  expect(names.filter((name) => !name.endsWith('/'))).toEqual(['./boot/efi/EFI/rocky/OWN.EFI']);
  expect(
    result.notes.filter((note) => note.startsWith('/boot/efi is left out: the root has loaders of its own')),
  ).toHaveLength(1);
  const { stdout } = await run('tar', ['-xzOf', result.artifacts[0]!.path, './boot/efi/EFI/rocky/OWN.EFI']);
  expect(stdout).toBe('for the tree');
});

test('directories and what a boot left below its mount point hide nothing', async () => {
  const disk = await diskOf('rocky', { below: { 'EFI/rocky/grubenv': 'x' }, folders: ['boot/efi/EFI/BOOT'] });
  expect((await packed(disk)).names).toContain('./boot/efi/EFI/rocky/shimx64.efi');
});

test('what a FAT spells otherwise is taken out too', async () => {
  const { result, names } = await packed(await diskOf('rocky', { settings: 'GRUB.CFG' }));
  expect(names.filter((name) => /grub/i.test(name))).toEqual([]);
  expect(result.sealed.some((line) => /^drop \/boot\/efi\/EFI\/rocky\/grub\.cfg$/i.test(line))).toBe(true);
});

test('its members are of root, whoever fstab says they are of', async () => {
  const { result } = await packed(await diskOf('rocky', { fstab: 'LABEL=EFI /boot/efi vfat uid=1000,gid=1000 0 1\n' }));
  const { stdout } = await run('tar', ['--numeric-owner', '-tvzf', result.artifacts[0]!.path]);
  const own = stdout.split('\n').filter((line) => line.includes('boot/efi/'));
  expect(own.length).toBeGreaterThan(3);
  for (const line of own) expect(line).toContain(' 0/0 ');
});

test('a second line for it, and a directory that is not there, are no errors', async () => {
  const twice = await packed(await diskOf('rocky', { fstab: FSTAB + FSTAB }));
  expect(twice.names).toContain('./boot/efi/EFI/rocky/shimx64.efi');
  expect(twice.result.notes.filter((note) => note.includes('/boot/efi'))).toEqual([]);
  const without = await packed(await diskOf('rocky', { folders: [] }));
  expect(without.names).toEqual([]);
  expect(without.result.notes).toContainEqual(expect.stringMatching(/^\/boot\/efi is left out: the tree has no such/));
});

test.each([{}, OWN])(
  'free clusters of it are zeros in a sealed disk, whatever the tree has in its place: %j',
  async (below) => {
    const disk = await diskOf('rocky', { below, deleted: 'a secret of the build '.repeat(1000) });
    const held = async (path: string) => (await readFile(path)).includes('a secret of the build');
    expect(await held(disk)).toBe(true);
    const out = next();
    const options = { disk, format: 'raw', out, name: 'x', filetypes: ['ddraw'] } as const;
    const { artifacts } = await pack(options, quietContext());
    expect(await held(artifacts[0]!.path)).toBe(false);
  },
);

test('an edit of what lies on it is refused for a disk before anything is packed, with its path in the tree', async () => {
  const edits = [{ kind: 'remove' as const, path: '/boot/efi/EFI/rocky/grub.cfg', reason: 'test' }];
  const disk = await diskOf('arch');
  await expect(
    pack({ disk, format: 'raw', out: next(), name: 'x', filetypes: ['tgz', 'ddgz'], edits }, quietContext()),
  ).rejects.toMatchObject({ code: 'fat.no-edit', message: expect.stringContaining('/boot/efi/EFI/rocky/grub.cfg') });
  expect((await packed(disk, { edits })).names).not.toContain('./boot/efi/EFI/rocky/grub.cfg');
});

test('one that is damaged is an error, and nothing is packed without it', async () => {
  const disk = await diskOf('rocky');
  const { stdout } = await run('sfdisk', ['--json', disk]);
  const [esp] = (JSON.parse(stdout) as { partitiontable: { partitions: { start: number }[] } }).partitiontable
    .partitions;
  const seek = `seek=${esp!.start * 512 + 22}`;
  await run('dd', ['if=/dev/zero', `of=${disk}`, 'bs=1', seek, 'count=2', 'conv=notrunc']);
  await expect(packed(disk)).rejects.toMatchObject({ code: expect.stringMatching(/^(fat|root)\./) });
});

test('the list of files and the digest say what is in the archive', async () => {
  for (const id of ['rocky', 'debian']) {
    const { result, names } = await packed(await diskOf(id), { manifest: true, check: true });
    expect(names.length > 0).toBe(id === 'rocky');
    const listed = (await readFile(result.treeManifest!.path, 'utf8'))
      .split('\n')
      .filter((line) => line.includes('"/boot/efi/'));
    expect(listed).toHaveLength(names.length);
  }
});
