import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scratch } from '../../fixtures/ext4-image.ts';
import { openDisk } from '../../src/disk/open.ts';
import { probeFileSystem } from '../../src/filesystem/probe.ts';

const run = promisify(execFile);
let folder: Awaited<ReturnType<typeof scratch>>;

beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function has(command: string): Promise<boolean> {
  return run('sh', ['-c', 'command -v "$1"', 'sh', command]).then(
    () => true,
    () => false,
  );
}

/** `blkid -p`, bypassing its cache; ambivalent images answer nothing. */
async function blkid(path: string): Promise<Record<string, string>> {
  const { stdout } = await run('blkid', ['-p', '-o', 'export', path]).catch(() => ({ stdout: '' }));
  const unescaped = stdout.replace(/\\(.)/g, '$1');
  return Object.fromEntries(unescaped.split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
}

/** Each is made by its own tool in the file `$1`; the tool comes first. */
const MAKERS: readonly [name: string, tool: string, size: string, script: string][] = [
  ['ext4', 'mke2fs', '8M', 'mke2fs -q -F -t ext4 -L root $1'],
  ['ext4 without a label', 'mke2fs', '8M', 'mke2fs -q -F -t ext4 $1'],
  ['ext3', 'mke2fs', '8M', 'mke2fs -q -F -t ext3 -L "a b" $1'],
  ['ext2', 'mke2fs', '8M', 'mke2fs -q -F -t ext2 $1'],
  ['ext2 with extents', 'mke2fs', '8M', 'mke2fs -q -F -t ext2 -O extent $1'],
  ['a journal device', 'mke2fs', '8M', 'mke2fs -q -F -O journal_dev $1'],
  ['xfs', 'mkfs.xfs', '320M', 'mkfs.xfs -q -L data $1'],
  ['btrfs', 'mkfs.btrfs', '128M', 'mkfs.btrfs -q -L pool $1'],
  ['vfat of 12 bits', 'mkfs.vfat', '2M', 'mkfs.vfat -F 12 -n TWELVE $1'],
  ['vfat of 16 bits', 'mkfs.vfat', '20M', 'mkfs.vfat -F 16 $1'],
  ['vfat of 32 bits', 'mkfs.vfat', '64M', 'mkfs.vfat -F 32 -n "EFI SYS" $1'],
  ['swap', 'mkswap', '1M', 'mkswap -L swap $1'],
  [
    'LUKS 1',
    'cryptsetup',
    '4M',
    'echo pass | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 $1 -',
  ],
  [
    'LUKS 2',
    'cryptsetup',
    '20M',
    'echo pass | cryptsetup luksFormat -q --type luks2 --label vault --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $1 -',
  ],
  ['ntfs', 'mkntfs', '4M', 'mkntfs -q -F -f -L Windows $1'],
  ['exfat', 'mkfs.exfat', '4M', 'mkfs.exfat $1'],
  ['squashfs', 'mksquashfs', '0', 'mkdir -p $1.d && mksquashfs $1.d $1 -noappend -quiet'],
  ['iso9660', 'xorriso', '0', 'mkdir -p $1.d && xorriso -as mkisofs -quiet -V CIDATA -o $1 $1.d'],
  [
    'an LVM physical volume',
    'python3',
    '4M',
    // pvcreate takes block devices only. Label: sector 1, CRC over the rest of the sector, then the header with the UUID.
    `python3 - $1 <<'END'
import struct, sys
rest = struct.pack('<L8s', 32, b'LVM2 001') + b'AbCdEfGhIjKlMnOpQrStUvWxYz012345' + struct.pack('<Q', 4 << 20)
rest = rest.ljust(512 - 20, b'\\0')
crc = 0xf597a6cf
for byte in rest:
    crc ^= byte
    for _ in range(8): crc = (crc >> 1) ^ 0xedb88320 if crc & 1 else crc >> 1
with open(sys.argv[1], 'r+b') as f:
    f.seek(512)
    f.write(struct.pack('<8sQL', b'LABELONE', 1, crc) + rest)
END`,
  ],
  ['nothing', 'true', '1M', 'true'],
];

const tools = new Map<string, boolean>();
for (const [, tool] of MAKERS) tools.set(tool, await has(tool));

for (const [name, tool, size, script] of MAKERS) {
  const missing = tools.get(tool) === true ? '' : ` (no ${tool})`;
  test.skipIf(missing !== '')(`says of ${name} what blkid says${missing}`, async () => {
    const path = join(folder.path, name.replaceAll(' ', '-'));
    if (size !== '0') await run('truncate', ['-s', size, path]);
    await run('sh', ['-c', `set -e; ${script}`, 'sh', path]);
    const expected = await blkid(path);
    await using disk = await openDisk(path, { format: 'raw' });
    const found = await probeFileSystem(disk);
    await rm(path);
    const { TYPE: kind, UUID: uuid, LABEL: label } = expected;
    expect(found ?? {}).toEqual(kind === undefined ? {} : definedOnly({ kind, uuid, label }));
  });
}

function definedOnly(fields: Record<string, string | undefined>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
