import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { haveTools, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { quietContext } from '../../src/events.ts';
import { type IsoFile, writeIso9660 } from '../../src/formats/iso9660/writer.ts';
import { liftFromIso } from '../../src/machine/installer-media.ts';
import { describeIso } from '../../src/machine/iso-describe.ts';
import { inspect } from '../../src/verify/inspect-artifact.ts';
import { inspectText } from '../../src/verify/inspect-text.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const TREEINFO = `[general]
name = Rocky Linux 9.4
family = Rocky Linux
version = 9.4
arch = aarch64

[images-aarch64]
initrd = images/pxeboot/initrd.img
kernel = images/pxeboot/vmlinuz
`;
const DEBIAN = 'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 NETINST with firmware 20240210-11:27';

interface Medium {
  readonly reason: string;
  readonly volumeId: string;
  readonly marks: Readonly<Record<string, string>>;
  readonly kernel: string;
  readonly initrd: string;
  readonly expected: { readonly system: string; readonly arch: string | undefined; readonly from: string };
}

const rhel = { kernel: 'images/pxeboot/vmlinuz', initrd: 'images/pxeboot/initrd.img' };
const suse = { kernel: 'boot/x86_64/loader/linux', initrd: 'boot/x86_64/loader/initrd' };
const casper = { kernel: 'casper/vmlinuz', initrd: 'casper/initrd' };
const MEDIA: readonly Medium[] = [
  {
    reason: 'Debian netinst',
    volumeId: 'Debian 12.5.0 amd64 n',
    marks: { '.disk/info': `${DEBIAN}\n` },
    kernel: 'install.amd/vmlinuz',
    initrd: 'install.amd/initrd.gz',
    expected: { system: 'debian', arch: 'amd64', from: '.disk/info' },
  },
  {
    reason: 'Debian for arm64',
    volumeId: 'Debian 12.5.0 arm64 1',
    marks: { '.disk/info': 'Debian GNU/Linux 12.5.0 "Bookworm" - Official arm64 DVD Binary-1 with firmware' },
    kernel: 'install.a64/vmlinuz',
    initrd: 'install.a64/initrd.gz',
    expected: { system: 'debian', arch: 'arm64', from: '.disk/info' },
  },
  {
    reason: 'Ubuntu live server',
    volumeId: 'Ubuntu-Server 22.04.4 LTS amd64',
    marks: { '.disk/info': 'Ubuntu-Server 22.04.4 LTS "Jammy Jellyfish" - Release amd64 (20240216.1)' },
    ...casper,
    expected: { system: 'ubuntu', arch: 'amd64', from: '.disk/info' },
  },
  {
    reason: 'Rocky by .treeinfo',
    volumeId: 'Rocky-9-4-aarch64-dvd',
    marks: { '.treeinfo': TREEINFO, '.discinfo': '1714\nRocky Linux 9.4\naarch64\nALL\n' },
    ...rhel,
    expected: { system: 'rhel', arch: 'arm64', from: '.treeinfo' },
  },
  {
    reason: '.discinfo alone',
    volumeId: 'CDROM',
    marks: { '.discinfo': '1714497600.0\nAlmaLinux 9.4\nx86_64\nALL\n' },
    ...rhel,
    expected: { system: 'rhel', arch: 'amd64', from: '.discinfo' },
  },
  {
    reason: 'SLES by media.1/media',
    volumeId: 'SLE-15-SP6-Full-x86_64',
    marks: { 'media.1/media': 'SUSE - SLE-15-SP6-Full-x86_64-Build671.1-Media\nSLE-15-SP6-Full-x86_64\n1\n' },
    ...suse,
    expected: { system: 'suse', arch: 'amd64', from: 'media.1/media' },
  },
  {
    reason: 'SUSE for arm64, by the name of the volume',
    volumeId: 'openSUSE-Leap-15.6-DVD-aarch64',
    marks: {},
    kernel: 'boot/aarch64/linux',
    initrd: 'boot/aarch64/initrd',
    expected: { system: 'suse', arch: 'arm64', from: 'volume name' },
  },
  {
    reason: 'Fedora by the name of the volume',
    volumeId: 'Fedora-S-dvd-x86_64-42',
    marks: {},
    ...rhel,
    expected: { system: 'rhel', arch: 'amd64', from: 'volume name' },
  },
];

async function makeIso(
  path: string,
  options: readonly string[],
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const tree = `${path}.tree`;
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(`${tree}/${name}`), { recursive: true });
    await writeFile(`${tree}/${name}`, content);
  }
  await tool('xorriso', '-as', 'mkisofs', '-quiet', ...options, '-o', path, tree);
}

const HAVE = haveTools('xorriso');
const why = HAVE ? '' : ' (xorriso is not installed)';

for (const { reason, volumeId, marks, kernel, initrd, expected } of MEDIA) {
  for (const names of ['-R', '-J']) {
    test.skipIf(!HAVE)(`kernel and initrd are lifted out: ${reason}, ${names}${why}`, async () => {
      await using folder = await scratch();
      const files = { ...marks, [kernel]: `kernel of ${reason}`, [initrd]: `initrd of ${reason}`, 'other/f': 'x' };
      await makeIso(folder.file('x.iso'), [names, '-V', volumeId.slice(0, 32)], files);
      const lifted = await liftFromIso(folder.file('x.iso'), {}, folder.file('out'), quietContext());
      expect(lifted.volumeId).toBe(volumeId);
      expect(lifted.installer).toMatchObject(expected);
      expect(lifted.kernel).toMatchObject({ path: folder.file('out/kernel'), from: `/${kernel}` });
      expect(await readFile(lifted.kernel.path, 'utf8')).toBe(`kernel of ${reason}`);
      expect(await readFile(lifted.initrd.path, 'utf8')).toBe(`initrd of ${reason}`);
      expect((await readdir(folder.file('out'))).sort()).toEqual(['initrd', 'kernel']);
    });
  }
}

async function written(
  folder: { file(name: string): string },
  files: readonly IsoFile[],
  volumeId = 'X',
): Promise<string> {
  await writeFile(folder.file('x.iso'), writeIso9660(files, { volumeId }));
  return folder.file('x.iso');
}

test('names of another case, symlinks, and the paths of a recipe', async () => {
  await using folder = await scratch();
  const iso = await written(folder, [
    { path: 'INSTALL.AMD/VMLINUZ', content: text('upper') },
    { path: 'INSTALL.AMD/initrd.gz', symlink: '../real/initrd' },
    { path: 'real/initrd', content: text('real') },
    { path: 'casper/loop', symlink: 'loop' },
  ]);
  const lifted = await liftFromIso(iso, {}, folder.path, quietContext());
  expect(lifted.kernel.from).toBe('/INSTALL.AMD/VMLINUZ');
  expect(await readFile(lifted.initrd.path, 'utf8')).toBe('real');
  const own = await liftFromIso(
    iso,
    { kernel: 'real/initrd', initrd: '/install.amd/vmlinuz' },
    folder.path,
    quietContext(),
  );
  expect(own.layout).toBeUndefined();
  expect(await readFile(own.kernel.path, 'utf8')).toBe('real');
  const looped = liftFromIso(iso, { kernel: '/casper/loop', initrd: '/real/initrd' }, folder.path, quietContext());
  await expect(looped).rejects.toMatchObject({ code: 'installer.no-file', exitCode: 4 });
  const folders = liftFromIso(iso, { kernel: '/casper', initrd: '/real/initrd' }, folder.path, quietContext());
  await expect(folders).rejects.toMatchObject({ message: expect.stringContaining('it is a directory') });
});

test('a file of many extents is one file', async () => {
  await using folder = await scratch();
  const image = writeIso9660(
    [
      { path: 'boot/kernel', content: new Uint8Array(5000).fill(0x61) },
      { path: 'boot/kernel2', content: text('the rest') },
      { path: 'boot/ramdisk', content: text('initrd') },
    ],
    { volumeId: 'X' },
  );
  const record = Buffer.from(image).indexOf('KERNEL.;1', 19 * 2048, 'latin1') - 33;
  // Its last extent is the record behind it (ECMA-119 9.1.6, bit 7).
  image[record + 25] = 0x80;
  await writeFile(folder.file('x.iso'), image);
  const wanted = { kernel: '/boot/kernel', initrd: '/boot/ramdisk' };
  const { kernel } = await liftFromIso(folder.file('x.iso'), wanted, folder.path, quietContext());
  // An extent ends where it ends: the second begins at byte 5000 of the file.
  expect(await readFile(kernel.path, 'utf8')).toBe(`${'a'.repeat(5000)}the rest`);
  expect(kernel.size).toBe(5008);
});

test('an ISO without an installer says what is on it', async () => {
  await using folder = await scratch();
  const iso = await written(folder, [
    { path: 'odd/vmlinuz-6.1', content: text('k') },
    { path: 'odd/initramfs.img', content: text('i') },
    { path: 'README', content: text('r') },
  ]);
  const error = await liftFromIso(iso, {}, folder.file('out'), quietContext()).catch((cause) => cause);
  expect(error).toMatchObject({ code: 'installer.no-kernel', exitCode: 4 });
  expect(error.evidence).toMatchObject({
    volume: 'X',
    root: ['README', 'odd/'],
    bootFiles: ['/odd/initramfs.img', '/odd/vmlinuz-6.1'],
  });
  expect(await readdir(folder.path)).toEqual(['x.iso']);
});

test('the architecture asked for is the one that is taken', async () => {
  await using folder = await scratch();
  const pair = (at: string): IsoFile[] => [
    { path: `${at}/vmlinuz`, content: text(`kernel ${at}`) },
    { path: `${at}/initrd.gz`, content: text('i') },
  ];
  const iso = await written(folder, [...pair('install.amd'), ...pair('install.a64')], 'Debian multi');
  const lifted = await liftFromIso(iso, { arch: 'arm64' }, folder.path, quietContext());
  expect(lifted.layout).toMatchObject({ system: 'debian', arch: 'arm64' });
  expect(await readFile(lifted.kernel.path, 'utf8')).toBe('kernel install.a64');
});

test('an image that was cut short is refused, and nothing is left', async () => {
  await using folder = await scratch();
  const iso = await written(folder, [
    { path: 'casper/initrd', content: text('i') },
    { path: 'casper/vmlinuz', content: new Uint8Array(300_000) },
  ]);
  await truncate(iso, 200_000);
  const lift = liftFromIso(iso, {}, folder.file('out'), quietContext());
  await expect(lift).rejects.toMatchObject({
    code: 'iso9660.truncated',
    message: expect.stringContaining('/casper/vmlinuz'),
  });
  expect(await readdir(folder.file('out'))).toEqual([]);
});

test('empty files are no kernels, and an abort leaves nothing', async () => {
  await using folder = await scratch();
  const iso = await written(folder, [{ path: 'casper/vmlinuz' }, { path: 'casper/initrd', content: text('i') }]);
  const lift = liftFromIso(iso, {}, folder.file('out'), quietContext());
  await expect(lift).rejects.toMatchObject({ code: 'installer.unreadable', message: expect.stringContaining('empty') });
  const aborted = quietContext(AbortSignal.abort(new Error('stop')));
  await expect(liftFromIso(iso, {}, folder.file('out'), aborted)).rejects.toThrow('stop');
  await expect(liftFromIso(folder.file('none.iso'), {}, folder.path, quietContext())).rejects.toMatchObject({
    code: 'disk.not-found',
  });
  const wanted = { kernel: 'casper/initrd', initrd: 'casper/initrd' };
  const closed = liftFromIso(iso, wanted, folder.file('x.iso'), quietContext());
  await expect(closed).rejects.toMatchObject({ code: 'installer.write', exitCode: 3 });
});

const HAVE_UDF = haveTools('genisoimage');
test.skipIf(!HAVE_UDF)(
  `media of Windows are refused by name${HAVE_UDF ? '' : ' (genisoimage is not installed)'}`,
  async () => {
    await using folder = await scratch();
    await mkdir(folder.file('tree/boot'), { recursive: true });
    await writeFile(folder.file('tree/README.TXT'), 'needs UDF');
    await writeFile(folder.file('tree/boot/etfsboot.com'), 'x');
    await tool(
      'genisoimage',
      '-quiet',
      '-udf',
      '-hide',
      'boot',
      '-V',
      'SSS_X64FRE',
      '-o',
      folder.file('w.iso'),
      folder.file('tree'),
    );
    const bridge = liftFromIso(folder.file('w.iso'), {}, folder.path, quietContext());
    await expect(bridge).rejects.toMatchObject({ code: 'iso9660.udf', message: expect.stringContaining('UDF') });
    expect(await describeIso(folder.file('w.iso'))).toMatchObject({ udf: true, volumeId: 'SSS_X64FRE' });
  },
);

test('an image of UDF alone is refused by name', async () => {
  await using folder = await scratch();
  const image = Buffer.alloc(400 * 2048);
  ['BEA01', 'NSR03', 'TEA01'].forEach((identifier, at) => {
    image.write(identifier, (16 + at) * 2048 + 1, 'latin1');
  });
  await writeFile(folder.file('u.iso'), image);
  for (const refused of [
    liftFromIso(folder.file('u.iso'), {}, folder.path, quietContext()),
    inspect(folder.file('u.iso'), quietContext()),
  ]) {
    await expect(refused).rejects.toMatchObject({ code: 'iso9660.udf', message: expect.stringContaining('UDF') });
  }
});

test.skipIf(!HAVE)(`an inspection shows volume, installer, kernel and boot entries${why}`, async () => {
  await using folder = await scratch();
  const files = { '.disk/info': DEBIAN, 'install.amd/vmlinuz': 'k', 'install.amd/initrd.gz': 'i' };
  const boot = { 'isolinux/isolinux.bin': 'b'.repeat(2048), 'boot/efi.img': 'e'.repeat(4096) };
  const bios = ['-b', 'isolinux/isolinux.bin', '-no-emul-boot', '-boot-load-size', '4'];
  const uefi = ['-eltorito-alt-boot', '-e', 'boot/efi.img', '-no-emul-boot'];
  await makeIso(folder.file('d.iso'), ['-R', '-V', 'Debian 12.5.0 amd64 n', ...bios, ...uefi], { ...files, ...boot });
  const found = await inspect(folder.file('d.iso'), quietContext());
  expect(found).toMatchObject({ kind: 'iso', format: 'iso9660', system: undefined });
  expect(found.iso).toMatchObject({
    volumeId: 'Debian 12.5.0 amd64 n',
    boot: { kernel: '/install.amd/vmlinuz', initrd: '/install.amd/initrd.gz' },
    bootImages: [
      { platform: 'bios', bootable: true, media: 'no-emulation', size: 2048 },
      { platform: 'efi', bootable: true, media: 'no-emulation', size: 4096 },
    ],
  });
  const shown = inspectText('d.iso', found);
  for (const line of ['volume     Debian 12.5.0 amd64 n, names by rock-ridge', `installer  ${DEBIAN} (.disk/info)`]) {
    expect(shown).toContain(line);
  }
  expect(shown).toContain('El Torito  BIOS (2.00 KiB), EFI (4.00 KiB)');
});
