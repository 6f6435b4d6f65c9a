import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { describeFolder, describeImage, isoContent, makeFolder, sampleFiles } from '../../fixtures/iso-tree.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { haveTools, scratch } from '../../fixtures/qemu-disk.ts';
import { openDisk } from '../../src/disk/open.ts';
import { readPath } from '../../src/filesystem/file-tree.ts';
import type { IsoFile } from '../../src/formats/iso9660/writer.ts';
import { openIso9660 } from '../../src/formats/iso9660-reader.ts';

const run = promisify(execFile);
const SECONDS = 1_700_000_000;

const WRITERS: readonly (readonly [tool: string, options: readonly string[], reason: string])[] = [
  ['xorriso', ['-as', 'mkisofs', '-R', '-J', '-joliet-long'], 'RRIP 1.10, both trees'],
  ['xorriso', ['-as', 'mkisofs', '-R', '--old-empty'], 'only Rock Ridge, empty files with a sector'],
  ['xorriso', ['-compliance', 'new_rr:deep_paths_off', '-as', 'mkisofs', '-R', '-J'], 'RRIP 1.12, directories moved'],
  ['genisoimage', ['-R', '-J', '-joliet-long', '-allow-limited-size'], 'deep directories moved to rr_moved'],
  ['genisoimage', ['-R', '-D', '-iso-level', '4'], 'deep directories where they are, a version 2 descriptor'],
];

/** genisoimage writes SL entries with a wrong length when a target does not fit one; its own isoinfo cannot read them. */
const kept = (tool: string) => (file: IsoFile) => tool !== 'genisoimage' || (file.symlink ?? '').length < 100;

for (const [tool, options, reason] of WRITERS) {
  const have = haveTools(tool);
  test.skipIf(!have)(`${tool} ${options.join(' ')}: ${have ? reason : 'not installed'}`, async () => {
    await using folder = await scratch();
    await mkdir(folder.file('tree'));
    await makeFolder(folder.file('tree'), sampleFiles().filter(kept(tool)), SECONDS);
    await run(tool, [...options, '-quiet', '-V', 'SAMPLE', '-o', folder.file('x.iso'), folder.file('tree')]);
    await using disk = await openDisk(folder.file('x.iso'), { format: 'raw' });
    const iso = await openIso9660(disk);
    expect(iso.names).toBe('rock-ridge');
    expect(iso.volumeId).toBe('SAMPLE');
    expect(iso.volumeSize).toBeLessThanOrEqual(disk.size);
    const found = await describeImage(disk, iso.entries());
    found.delete('rr_moved');
    expect(found).toEqual(await describeFolder(folder.file('tree')));
    const deep = `${Array.from({ length: 12 }, (_, level) => `level-${level}`).join('/')}/bottom`;
    expect(new TextDecoder().decode(await readPath(iso, deep))).toBe('deep\n');
    expect(new TextDecoder().decode(await readPath(iso, '/links/relative'))).toBe('#cloud-config\n');
    expect((await iso.list('/crowd')).length).toBe(300);
  });
}

const haveGenisoimage = haveTools('genisoimage');

test.skipIf(!haveGenisoimage)(`Joliet names of genisoimage${haveGenisoimage ? '' : ': not installed'}`, async () => {
  await using folder = await scratch();
  const files = sampleFiles().filter((file) => file.symlink === undefined && !file.path.startsWith('level-'));
  await mkdir(folder.file('tree'));
  await makeFolder(folder.file('tree'), files, SECONDS);
  await run('genisoimage', ['-quiet', '-J', '-V', 'SAMPLE', '-o', folder.file('x.iso'), folder.file('tree')]);
  const image = memorySource(await readFile(folder.file('x.iso')));
  const iso = await openIso9660(image);
  expect(iso.names).toBe('joliet');
  const found = await describeImage(image, iso.entries());
  const expected = await describeFolder(folder.file('tree'));
  expect([...found.keys()]).toEqual([...expected.keys()]);
  for (const [name, { content }] of expected) expect(found.get(name)?.content).toBe(content);
  expect((await iso.lookup('/UPPER AND LOWER.txt'))?.data?.size).toBe(5);
});

test.skipIf(!haveGenisoimage)(`plain names of genisoimage${haveGenisoimage ? '' : ': not installed'}`, async () => {
  await using folder = await scratch();
  await mkdir(folder.file('tree/EFI'), { recursive: true });
  await writeFile(folder.file('tree/EFI/boot.cfg'), 'boot');
  await writeFile(folder.file('tree/noext'), 'none');
  await run('genisoimage', ['-quiet', '-V', 'PLAIN', '-o', folder.file('x.iso'), folder.file('tree')]);
  const image = memorySource(await readFile(folder.file('x.iso')));
  const iso = await openIso9660(image);
  expect(iso.names).toBe('plain');
  expect((await iso.list('/')).map((entry) => new TextDecoder().decode(entry.path))).toEqual(['EFI', 'NOEXT']);
  const boot = await iso.lookup('/efi/BOOT.cfg');
  expect(new TextDecoder().decode(await isoContent(image, boot!))).toBe('boot');
  await expect(openIso9660(image, { prefer: 'joliet' })).rejects.toMatchObject({ code: 'iso9660.names' });
});

test.skipIf(!haveTools('xorriso'))('El Torito: a BIOS and a UEFI image (xorriso)', async () => {
  await using folder = await scratch();
  await mkdir(folder.file('tree'));
  await writeFile(folder.file('tree/bios.img'), new Uint8Array(4096).fill(0x42));
  await writeFile(folder.file('tree/efi.img'), new Uint8Array(65536).fill(0x45));
  await run('xorriso', [
    '-as', 'mkisofs', '-quiet', '-R', '-c', 'boot.cat', '-b', 'bios.img', '-no-emul-boot', '-boot-load-size', '4',
    '-eltorito-alt-boot', '-e', 'efi.img', '-no-emul-boot', '-o', folder.file('x.iso'), folder.file('tree'),
  ]); // biome-ignore format: an argv reads better in lines
  const image = memorySource(await readFile(folder.file('x.iso')));
  const iso = await openIso9660(image);
  const boot = await iso.bootImages();
  expect(boot).toMatchObject([
    { platform: 'bios', bootable: true, media: 'no-emulation', size: 2048 },
    { platform: 'efi', bootable: true, media: 'no-emulation', size: 65536 },
  ]);
  const efi = await iso.lookup('/efi.img');
  expect(boot[1]?.position).toBe(efi?.data?.extents[0]?.position);
});
