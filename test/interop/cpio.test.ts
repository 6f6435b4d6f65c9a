import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { describeFolder } from '../../fixtures/iso-tree.ts';
import { haveTools, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { quietContext } from '../../src/events.ts';
import { writeCpio } from '../../src/formats/cpio.ts';
import { readCpio } from '../../src/formats/cpio-read.ts';
import { appendToInitrd } from '../../src/seed/initrd.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const FILES = [
  { path: 'preseed.cfg', content: text('d-i\n'), mode: 0o600 },
  { path: 'etc/deep/žluť', content: new Uint8Array(70_001).fill(0x61) },
  { path: 'etc/empty' },
  { path: 'etc/link', symlink: 'deep/žluť' },
];
const NAMES = ['preseed.cfg', 'etc', 'etc/deep', 'etc/deep/žluť', 'etc/empty', 'etc/link'];

const missing = (command: string): string => (haveTools(command) ? '' : ` (${command} is not installed)`);

test.skipIf(!haveTools('cpio'))(`GNU cpio lists and unpacks what was written${missing('cpio')}`, async () => {
  await using folder = await scratch();
  await mkdir(folder.file('out'));
  const archive = writeCpio(FILES);
  const options = { input: archive, cwd: folder.file('out'), encoding: 'utf8' as const, stdio: 'pipe' as const };
  expect(execFileSync('cpio', ['-t', '--quiet'], options).trimEnd().split('\n')).toEqual(NAMES);
  execFileSync('cpio', ['-id', '--quiet', '--no-absolute-filenames'], options);
  const found = await describeFolder(folder.file('out'));
  expect(found.get('preseed.cfg')).toMatchObject({ mode: 0o600 });
  expect(found.get('etc/link')).toEqual({ kind: 'symlink', target: 'deep/žluť' });
  expect(Buffer.from(found.get('etc/deep/žluť')?.content ?? '', 'base64').length).toBe(70_001);
});

test.skipIf(!haveTools('cpio'))(`what GNU cpio writes is read${missing('cpio')}`, async () => {
  await using folder = await scratch();
  await mkdir(folder.file('tree/d'), { recursive: true });
  await writeFile(folder.file('tree/d/file'), 'content');
  const names = 'd\nd/file\n';
  for (const form of ['newc', 'crc']) {
    const archive = execFileSync('cpio', ['-o', '--quiet', '-H', form], { input: names, cwd: folder.file('tree') });
    expect(readCpio(archive).map(({ path, kind, content }) => [path, kind, Buffer.from(content).toString()])).toEqual([
      ['d', 'directory', ''],
      ['d/file', 'file', 'content'],
    ]);
  }
});

test.skipIf(!haveTools('bsdtar'))(`libarchive lists what was written${missing('bsdtar')}`, async () => {
  await using folder = await scratch();
  await writeFile(folder.file('a.cpio'), writeCpio(FILES));
  expect((await tool('bsdtar', '-tf', folder.file('a.cpio'))).trimEnd().split('\n')).toHaveLength(NAMES.length);
});

function haveLsinitramfs(): boolean {
  try {
    return execFileSync('sh', ['-c', 'command -v lsinitramfs'], { encoding: 'utf8' }) !== '';
  } catch {
    return false;
  }
}

const LS = haveLsinitramfs();
test.skipIf(!LS)(`lsinitramfs sees the appended files${LS ? '' : ' (lsinitramfs is not installed)'}`, async () => {
  await using folder = await scratch();
  // Its unmkinitramfs looks for a compressed archive behind plain ones: microcode first, as vendors have it.
  const early = writeCpio([{ path: 'kernel/x86/microcode', content: text('m') }]);
  await writeFile(folder.file('initrd'), early);
  const files = [{ path: 'preseed.cfg', content: text('d-i\n') }];
  await appendToInitrd(folder.file('initrd'), files, folder.file('out'), quietContext());
  const main = gzipSync(writeCpio([{ path: 'init', content: text('#!/bin/sh\n') }]));
  const whole = Buffer.concat([execFileSync('cat', [folder.file('out')]), main]);
  await writeFile(folder.file('whole'), whole);
  const listed = (await tool('lsinitramfs', folder.file('whole'))).trimEnd().split('\n');
  expect(listed).toEqual(expect.arrayContaining(['kernel/x86/microcode', 'preseed.cfg', 'init']));
});
