import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { makeFat, mtool } from '../../fixtures/fat-image.ts';
import { kernelFiles } from '../../fixtures/kernel-files.ts';
import { member } from '../../fixtures/micro-guest.ts';
import { treeDifferences } from '../../fixtures/reference-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openFat } from '../../src/filesystem/fat/open.ts';

/** FAT12, 16 and 32 as the vfat of a Debian kernel shows them: the kernel of the host may have none. */

const run = promisify(execFile);
const MODULES = ['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_blk'];
const FAT_MODULES = ['nls_utf8', 'nls_cp437', 'nls_ascii', 'nls_iso8859_1', 'fat', 'vfat'];
const LAYOUTS = [
  ['FAT12', '8M', ['-F', '12', '-s', '8']],
  ['FAT12 of small clusters', '2040K', ['-F', '12', '-s', '1', '-r', '512']],
  ['FAT16', '24M', ['-F', '16', '-s', '2']],
  ['FAT32', '40M', ['-F', '32', '-s', '1']],
] as const;
let folder = '';
let shown: ReadonlyMap<string, ReadonlyMap<string, string>>;

async function makeTree(tree: string): Promise<void> {
  const names = [
    ...['README.TXT', 'lower.txt', 'MixedCase.Txt', 'no extension', '.hidden', 'two.dots.tar.gz', 'thirteen char'],
    ...['a long name with blanks, commas; semicolons = and + plus [brackets]', 'Grüße aus Köln.txt'],
    ...['日本語のファイル名.テキスト', 'кириллица.txt', `${'n'.repeat(251)}.txt`, 'UPPER long NAME.EXTENSION'],
  ];
  let second = 1_600_000_000;
  for (const path of ['names', 'deep/b/c/d/e', 'many', 'sizes']) await mkdir(join(tree, path), { recursive: true });
  const files = [
    ...names.map((name): [string, string] => [`names/${name}`, name]),
    ...Array.from({ length: 60 }, (_, i): [string, string] => [`many/file number ${i} of many`, `${i}`]),
    ...[0, 511, 512, 513, 4097, 100_001].map((size): [string, string] => [`sizes/${size}.bin`, 's'.repeat(size)]),
    ['deep/b/c/d/e/bottom', 'at the bottom'] as [string, string],
  ];
  for (const [name, content] of files) {
    await writeFile(join(tree, name), content);
    await utimes(join(tree, name), second, second);
    second += 86_402;
  }
}

/** What a guest prints of each of `images`, in the words of `describeOurs`. */
async function bootAndList(images: readonly string[]): Promise<Map<string, string>[]> {
  const kernel = await kernelFiles();
  const modules: [string, Uint8Array][] = [];
  for (const name of [...MODULES, ...FAT_MODULES]) {
    const bytes = await kernel.module(name);
    if (bytes !== undefined) modules.push([`${name}.ko`, bytes]);
  }
  const letters = images.map((_, i) => String.fromCharCode(97 + i));
  const init = `#!/bin/sh
/bin/busybox mount -t proc proc /proc
echo 1 > /proc/sys/kernel/printk
/bin/busybox mount -t devtmpfs dev /dev
export PATH=/bin
busybox stty -F /dev/ttyS0 -opost 2>/dev/null
${modules.map(([name]) => `busybox insmod /${name}`).join('\n')}
for d in ${letters.join(' ')}; do
  busybox mount -t vfat -o ro,utf8=1,umask=022,tz=UTC /dev/vd$d /mnt || echo "cannot mount vd$d"
  cd /mnt
  echo "@disk $d"
  busybox find . -exec busybox stat -c '@stat %F|%a|%u:%g|%Y|%h|%s|%n' {} +
  busybox find . -type f -exec busybox sha256sum {} +
  cd /
  busybox umount /mnt
done
echo @end
busybox poweroff -f
`;
  const archive = gzipSync(
    Buffer.concat([
      ...['bin', 'proc', 'dev', 'mnt'].map((name) => member(name, 0o040755, new Uint8Array(0))),
      member('dev/console', 0o020600, new Uint8Array(0), [5, 1]),
      member('bin/busybox', 0o100755, await readFile('/bin/busybox')),
      member('bin/sh', 0o120777, Buffer.from('busybox')),
      ...modules.map(([name, bytes]) => member(name, 0o100644, bytes)),
      member('init', 0o100755, Buffer.from(init)),
      member('TRAILER!!!', 0, new Uint8Array(0)),
    ]),
    { level: 1 },
  );
  const initrd = join(folder, 'initrd');
  await writeFile(initrd, archive);
  const { stdout } = await run(
    'qemu-system-x86_64',
    [
      ...['-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-m', '256', '-cpu', 'max'],
      ...['-kernel', kernel.image, '-initrd', initrd, '-append', 'console=ttyS0 quiet panic=-1'],
      ...images.flatMap((image) => ['-drive', `file=${image},if=virtio,format=raw,read-only=on`]),
    ],
    { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024, timeout: 110_000 },
  );
  const text = stdout.toString('latin1').replaceAll('\r\n', '\n');
  if (!text.includes('@end')) throw new Error(`the guest did not reach its end: ${text.slice(-2000)}`);
  return text.split('@disk ').slice(1).map(listing);
}

function listing(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, kind, mode, owner, seconds, links, size, name] of text.matchAll(
    /@stat ([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|(.*)/g,
  )) {
    const sizes = kind === 'directory' ? 'links=- size=-' : `links=${links} size=${size}`;
    const letter = kind === 'directory' ? 'd' : 'f';
    found.set(name!.slice(2), `${letter} ${mode} ${owner} ${seconds}.0000000000 ${sizes} ->`);
  }
  for (const [, digest, name] of text.matchAll(/^([0-9a-f]{64}) {2}\.\/(.*)$/gm)) {
    found.set(name!, `${found.get(name!)} sha256=${digest}`);
  }
  return found;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-fat-kernel-'));
  const tree = join(folder, 'tree');
  await makeTree(tree);
  for (const [name, size, mkfs] of LAYOUTS) {
    const image = await makeFat(join(folder, name), size, ['-n', 'A LABEL', ...mkfs]);
    for (const part of ['names', 'deep', 'many', 'sizes'])
      await mtool(image, 'mcopy', '-s', '-m', '-Q', join(tree, part), '::');
  }
  const listings = await bootAndList(LAYOUTS.map(([name]) => join(folder, name)));
  shown = new Map(LAYOUTS.map(([name], i) => [name, listings[i] ?? new Map()]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(LAYOUTS)('a %s is read as a Linux kernel reads it', async (name) => {
  await using disk = await openDisk(join(folder, name), { format: 'raw' });
  const kernels = shown.get(name)!;
  expect(kernels.size).toBeGreaterThan(80);
  expect(treeDifferences(kernels, await describeOurs(await openFat(disk)))).toEqual([]);
});
