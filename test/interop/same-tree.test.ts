import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, rmdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kernelManifest, manifestDifferences } from '../../fixtures/everything.ts';
import { makeDisk } from '../../fixtures/ext4-disk.ts';
import { makeImage, scratch, whyNoMount } from '../../fixtures/ext4-image.ts';
import { makeSampleTree } from '../../fixtures/ext4-tree.ts';
import { whyNoLvm, withLvm } from '../../fixtures/lvm-disk.ts';
import { makeXfs, whyNoXfsMount } from '../../fixtures/xfs-image.ts';
import { quietContext } from '../../src/events.ts';
import { pack } from '../../src/pack/pack.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const noMount = await whyNoMount();
const noXfs = await whyNoXfsMount();
const noLvm = await whyNoLvm();
const noFat = await Promise.all([run('mkfs.vfat', ['--help']), run('mcopy', ['--version'])]).then(
  () => undefined,
  (error: { code?: unknown }) => (error.code === 'ENOENT' ? 'no mkfs.vfat or mtools here' : undefined),
);
const because = (why: string | undefined): string => (why === undefined ? '' : ` (skipped: ${why})`);

/** The same in every layout: what a disk does not have is nofail. */
const FSTAB = ['boot', 'var', 'usr'].map((label) => `LABEL=${label} /${label} ext4 nofail 0 2\n`).join('');
const ESP = 'LABEL=ESP /boot/efi vfat nofail,umask=0077 0 1\n';

const LOADER = Buffer.alloc(70_000, 'loader');
const LOADER_SECONDS = 1_600_000_000;

/** By mtools: not every kernel has vfat. */
async function fillEsp(image: string): Promise<void> {
  const env = { ...process.env, TZ: 'UTC', MTOOLS_SKIP_CHECK: '1', SOURCE_DATE_EPOCH: `${LOADER_SECONDS}` };
  await run('mmd', ['-i', image, '::EFI', '::EFI/BOOT'], { env });
  const copy = run('mcopy', ['-i', image, '-', '::EFI/BOOT/BOOTX64.EFI'], { env });
  copy.child.stdin?.end(LOADER);
  await copy;
}

/** What a FAT can hold, as umask=0077 shows it: times of whole even seconds, and none of its first directory. */
async function putLoader(esp: string): Promise<void> {
  const [efi, folder, loader] = [join(esp, 'EFI'), join(esp, 'EFI/BOOT'), join(esp, 'EFI/BOOT/BOOTX64.EFI')];
  await mkdir(folder, { recursive: true });
  await writeFile(loader, LOADER);
  for (const path of [loader, folder, efi]) {
    await chmod(path, 0o700);
    await utimes(path, LOADER_SECONDS, LOADER_SECONDS);
  }
  await chmod(esp, 0o700);
  await utimes(esp, 0, 0);
}

describe.skipIf(noMount !== undefined)(`one tree in several layouts${because(noMount)}`, () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let count = 0;
  /** The tree as an archive, and as the kernel tells it. */
  let archive = '';
  let expected = '';
  const next = (): string => join(place.path, `f${count++}`);

  beforeAll(async () => {
    place = await scratch();
    const tree = next();
    await mkdir(tree);
    await makeSampleTree(tree);
    for (const path of ['boot/efi', 'boot/grub', 'var/log/journal', 'usr/bin', 'usr/lib']) {
      await mkdir(join(tree, path), { recursive: true });
    }
    await writeFile(join(tree, 'etc/os-release'), 'ID=sample\n');
    await writeFile(join(tree, 'etc/fstab'), FSTAB + ESP);
    await writeFile(join(tree, 'boot/vmlinuz'), Buffer.alloc(300_000, 'linux'));
    await writeFile(join(tree, 'usr/bin/tool'), 'tool', { mode: 0o4755 });
    await run('ln', [join(tree, 'usr/bin/tool'), join(tree, 'usr/lib/same-tool')]);
    await run('setfattr', ['-n', 'trusted.here', '-v', 'yes', join(tree, 'var')]);
    await run('chmod', ['2770', join(tree, 'var/log')]);
    await putLoader(join(tree, 'boot/efi'));
    archive = next();
    await run('tar', ['-C', tree, '--xattrs', '--xattrs-include=*', '--sort=name', '-Scf', archive, '.']);
    expected = await kernelManifest(tree);
  }, 300_000);
  afterAll(() => place[Symbol.asyncDispose]());

  const ext4 = (label: string, size = '64M'): Promise<string> =>
    makeImage(next(), { mkfs: ['-t', 'ext4', '-I', '256', '-L', label], size });

  /** Puts the tree on file systems mounted as a running system has them, parents first. */
  async function install(mounts: readonly (readonly [mountPoint: string, image: string])[]): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'compose-install-'));
    const mounted: string[] = [];
    try {
      for (const [mountPoint, image] of mounts) {
        const path = join(folder, mountPoint);
        await mkdir(path, { recursive: true });
        await run('mount', ['-o', 'loop', image, path]);
        mounted.push(path);
        // Every ext file system has its own; what is left of them is part of the tree like any directory.
        await rmdir(join(path, 'lost+found')).catch(() => {});
      }
      await run('tar', ['-C', folder, '--xattrs', '--xattrs-include=*', '--numeric-owner', '-Sxpf', archive]);
    } finally {
      for (const path of mounted.reverse()) await run('umount', [path]);
      await rm(folder, { recursive: true, force: true });
    }
  }

  async function digestOf(disk: string): Promise<string> {
    const out = next();
    const { artifacts, treeManifest } = await pack(
      { disk, format: 'raw', out, name: 'x', filetypes: ['tgz'], seal: false, manifest: true },
      quietContext(),
    );
    expect(manifestDifferences(expected, await readFile(treeManifest!.path, 'utf8'))).toEqual([]);
    const record: unknown = JSON.parse(await readFile(join(out, 'x.tar.gz.maas.json'), 'utf8'));
    expect(record).toMatchObject({ treeDigest: treeManifest!.treeDigest });
    return artifacts[0]!.treeDigest!;
  }

  const digest = (): string => createHash('sha256').update(expected).digest('hex');

  test('ext4 alone', async () => {
    const image = await ext4('root');
    await install([['/', image]]);
    expect(await digestOf(await makeDisk(next(), [{ content: image }]))).toBe(digest());
  });

  test.skipIf(noFat !== undefined)(`ext4, /boot on ext4 and an EFI system partition${because(noFat)}`, async () => {
    const [image, boot, esp] = [await ext4('root'), await ext4('boot', '16M'), next()];
    await run('mkfs.vfat', ['-n', 'ESP', '-C', esp, '34000']);
    await install([
      ['/', image],
      ['/boot', boot],
    ]);
    await fillEsp(esp);
    const disk = await makeDisk(next(), [{ content: esp }, { content: boot }, { content: image }]);
    expect(await digestOf(disk)).toBe(digest());
  });

  test.skipIf(noLvm !== undefined)(`LVM2 with /, /var and /usr${because(noLvm)}`, async () => {
    const images = { root: await ext4('root'), var: await ext4('var', '16M'), usr: await ext4('usr', '16M') };
    await install([
      ['/', images.root],
      ['/var', images.var],
      ['/usr', images.usr],
    ]);
    const disk = next();
    const range = { start: MIB, size: 120 * MIB };
    await run('truncate', ['-s', '122M', disk]);
    const sfdisk = run('sfdisk', ['-q', '--no-reread', '--no-tell-kernel', disk]);
    sfdisk.child.stdin?.end(`label: gpt\nstart=2048, size=${range.size / 512}, type=lvm\n`);
    await sfdisk;
    await withLvm(disk, [range], async ({ devices, lvm, fill }) => {
      await lvm('pvcreate', '-ff', '-y', devices[0]!);
      await lvm('vgcreate', '-s', '1M', 'system', devices[0]!);
      for (const [name, image] of Object.entries(images)) {
        const content = await readFile(image);
        await lvm('lvcreate', '-an', '-Zn', '-Wn', '-n', name, '-l', String(content.length / MIB), 'system');
        await fill('system', name, content);
      }
    });
    expect(await digestOf(disk)).toBe(digest());
  });

  test.skipIf(noXfs !== undefined)(`XFS${because(noXfs)}`, async () => {
    const image = await makeXfs(next(), '96M', ['-m', `uuid=${randomUUID()}`]);
    await install([['/', image]]);
    expect(await digestOf(await makeDisk(next(), [{ content: image }]))).toBe(digest());
  });

  test('a lost+found is part of the tree, like any directory', async () => {
    const image = await ext4('root');
    const disk = await makeDisk(next(), [{ content: image }]);
    const out = next();
    const edits = [{ kind: 'remove' as const, path: '/nothing', reason: 'none' }];
    const attempt = pack({ disk, out, name: 'x', filetypes: ['tgz'], seal: false, edits }, quietContext());
    await expect(attempt).rejects.toMatchObject({ code: 'root.none' });
    await install([['/', image]]);
    await using mounted = await scratch();
    await run('mount', ['-o', 'loop', image, mounted.path]);
    await run('mklost+found', [], { cwd: mounted.path }).finally(() => run('umount', [mounted.path]));
    const { treeManifest } = await pack(
      { disk: image, format: 'raw', out, name: 'x', filetypes: ['ddraw'], seal: false, manifest: true },
      quietContext(),
    );
    expect(await readFile(treeManifest!.path, 'utf8')).toContain('"path":"/lost+found"');
    expect(treeManifest!.treeDigest).not.toBe(digest());
  });
});
