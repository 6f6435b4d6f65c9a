import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOurs } from '../../fixtures/ext4-describe.ts';
import { guestListings } from '../../fixtures/guest-listing.ts';
import { treeDifferences } from '../../fixtures/reference-tree.ts';
import { makeXfs, whyNoMkfs, writeProto, xfsDb } from '../../fixtures/xfs-image.ts';
import { protoTree } from '../../fixtures/xfs-proto.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openXfs } from '../../src/filesystem/xfs/open.ts';

/** XFS version 4 as a Debian kernel writes and shows it: newer kernels no longer mount it. */

const noMkfs = await whyNoMkfs();
const XFS = {
  modules: ['crc32c_generic', 'libcrc32c', 'xfs'],
  options: '-t xfs -o rw,noatime',
  // Names beside those of the prototype, and two files in turns, so that their extents make a tree.
  work: `busybox mkdir new many
  for i in $(busybox seq 400); do echo $i > many/written-by-the-kernel-$i; done
  busybox rm many/*7*
  for i in $(busybox seq 120); do
    busybox dd if=/bin/busybox of=new/one bs=1024 count=1 seek=$i conv=notrunc,fsync 2>/dev/null
    busybox dd if=/bin/busybox of=new/two bs=1024 count=1 seek=$((i * 8)) conv=notrunc,fsync 2>/dev/null
  done
  busybox ln new/one new/link
  busybox touch -d '1969-12-31 23:59:59' new/early`,
};
const LAYOUTS = [
  ['512-byte blocks without file types', ['-b', 'size=512', '-n', 'size=4096,ftype=0', '-i', 'size=256']],
  ['file types', ['-b', 'size=1024', '-n', 'ftype=1']],
  ['4 KiB blocks without file types', ['-b', 'size=4096', '-n', 'ftype=0']],
  ['projects of 16 bits', ['-b', 'size=2048', '-n', 'size=8192', '-i', 'size=512,projid32bit=0']],
] as const;
let folder = '';
let shown: ReadonlyMap<string, ReadonlyMap<string, string>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-xfs4-'));
  if (noMkfs !== undefined) return;
  const proto = await writeProto(join(folder, 'proto'), protoTree({ long: { to: `/${'l'.repeat(900)}` } }, 0.2));
  for (const [name, args] of LAYOUTS) {
    await makeXfs(join(folder, name), '48M', ['-m', 'crc=0', ...args, '-p', proto]);
  }
  const images = LAYOUTS.map(([name]) => join(folder, name));
  const listings = await guestListings(folder, images, XFS);
  shown = new Map(LAYOUTS.map(([name], i) => [name, listings[i] ?? new Map()]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As the guest lists: files and directories, whole seconds, no attributes. */
function bare(described: ReadonlyMap<string, string>): Map<string, string> {
  const lines = [...described].filter(([, text]) => /^[fd] /.test(text));
  return new Map(
    lines.map(([path, text]) => [path, text.replace(/\.\d{10}/, '.0000000000').replace(/->.*?(?= sha256=|$)/, '->')]),
  );
}

test.skipIf(noMkfs !== undefined).each(LAYOUTS)(
  `version 4 with %s is read as a Linux kernel reads it${noMkfs ? ` (${noMkfs})` : ''}`,
  async (name) => {
    const image = join(folder, name);
    await using disk = await openDisk(image, { format: 'raw' });
    const fs = await openXfs(disk);
    expect(fs).toMatchObject({ clean: true, volume: { superblock: { checked: false } } });
    expect(fs.volume.superblock.ftype).toBe(name === 'file types' || name.startsWith('projects'));
    const kernels = new Map([...shown.get(name)!].filter(([, text]) => /^[fd] /.test(text)));
    expect(kernels.size).toBeGreaterThan(700);
    expect(treeDifferences(kernels, bare(await describeOurs(fs)))).toEqual([]);
    const { inode } = (await fs.lookup('/new/two'))!;
    expect(await xfsDb(image, [`inode ${inode}`, 'p core.format'])).toContain('btree');
  },
);
