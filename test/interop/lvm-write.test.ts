import { execFile } from 'node:child_process';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { random } from '../../fixtures/fuzz.ts';
import { whyNoLvm, withLvm } from '../../fixtures/lvm-disk.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { readLvm } from '../../src/disk/lvm/read.ts';
import { openDisk } from '../../src/disk/open.ts';
import { lvmExtents, writeLvm } from '../../src/formats/lvm-write.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const reason = await whyNoLvm();
const whyNoGrub = await run('grub-fstest', ['--version']).then(
  () => undefined,
  () => 'no grub-fstest here',
);
let folder: Awaited<ReturnType<typeof scratch>>;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

const SIZE = 61 * MIB + 7 * 512;
const EXTENT = MIB;
const uuid = (letter: string): string => letter.repeat(32);
const GROUP = {
  name: 'our-group',
  uuid: uuid('G'),
  physicalUuid: uuid('p'),
  deviceSize: SIZE,
  extentSize: EXTENT,
  created: 1_700_000_000,
};
const VOLUMES = [
  { name: 'root', uuid: uuid('1'), extents: 40 },
  { name: 'var-log', uuid: uuid('2'), extents: 12 },
];

/** A device of `SIZE` bytes with our head, its volumes filled with what differs from place to place. */
async function written(name: string, contents: readonly Uint8Array[]): Promise<string> {
  const path = join(folder.path, name);
  const { head, volumes } = writeLvm({ ...GROUP, volumes: VOLUMES });
  await writeFile(path, '');
  await truncate(path, SIZE);
  const file = await open(path, 'r+');
  await file.write(head, 0, head.length, 0);
  for (const [at, content] of contents.entries()) await file.write(content, 0, content.length, volumes[at]!.position);
  await file.close();
  return path;
}

function noise(length: number, seed: number): Uint8Array {
  const next = random(seed);
  return Uint8Array.from({ length }, () => next());
}

test('our reader finds the volumes where they were written, with their bytes', async () => {
  const contents = [noise(3 * MIB, 1), noise(2 * MIB, 2)];
  const path = await written('read', contents);
  await using disk = await openDisk(path, { format: 'raw' });
  const { groups, failures } = await readLvm([{ source: disk, where: 'disk' }]);
  expect([...failures]).toEqual([]);
  expect(groups).toMatchObject([{ name: 'our-group', seqno: 1, extentSize: EXTENT, notes: [] }]);
  const volumes = groups[0]!.logicalVolumes;
  expect(volumes.map(({ name, source, failure }) => [name, source.size, failure])).toEqual([
    ['root', 40 * MIB, undefined],
    ['var-log', 12 * MIB, undefined],
  ]);
  expect(volumes[1]!.devices.slice(0, 2)).toEqual(['/dev/mapper/our--group-var--log', '/dev/our-group/var-log']);
  for (const [at, content] of contents.entries()) {
    expect(Buffer.compare(await readBytes(volumes[at]!.source, 0, content.length), content)).toBe(0);
  }
});

describe.skipIf(reason !== undefined)(
  `the group we wrote, by LVM's own tools${reason === undefined ? '' : ` (${reason})`}`,
  () => {
    test('pvs, vgs and lvs tell what was asked for, and vgck and pvck find nothing', async () => {
      const path = await written('told', []);
      await withLvm(path, [{ start: 0, size: SIZE }], async ({ lvm, devices }) => {
        const plain = ['--noheadings', '--units', 'b', '--nosuffix', '--separator', ';'];
        const tell = async (...command: string[]): Promise<string[]> =>
          (await lvm(command[0]!, ...plain, ...command.slice(1)))
            .trim()
            .split('\n')
            .map((line) => line.trim());
        const dashed = (letter: string): string => [6, 4, 4, 4, 4, 4, 6].map((count) => letter.repeat(count)).join('-');
        const free = lvmExtents(SIZE, EXTENT) - 52;
        expect(free).toBe(8);
        expect(
          await tell('pvs', '-o', 'vg_name,pv_uuid,pe_start,pv_pe_count,dev_size,pv_mda_count,pv_ext_vsn'),
        ).toEqual([`our-group;${dashed('p')};${MIB};60;${SIZE};1;2`]);
        expect(await tell('vgs', '-o', 'vg_name,vg_uuid,vg_attr,vg_extent_size,vg_free_count,vg_seqno')).toEqual([
          `our-group;${dashed('G')};wz--n-;${EXTENT};${free};1`,
        ]);
        expect(await tell('lvs', '-o', 'lv_name,lv_uuid,lv_size,segtype,seg_start_pe,seg_pe_ranges')).toEqual([
          `root;${dashed('1')};${40 * MIB};linear;0;${devices[0]}:0-39`,
          `var-log;${dashed('2')};${12 * MIB};linear;0;${devices[0]}:40-51`,
        ]);
        expect(await lvm('vgck', 'our-group')).toBe('');
        const headers = await lvm('pvck', '--dump', 'headers', devices[0]!);
        expect(headers).toContain('# vgname our-group seqno 1');
        expect(headers).not.toMatch(/fail|invalid|bad|mismatch|warning/i);
      });
    });

    test('it grows as on a larger disk: the physical volume, the volume behind it, and what was in it stays', async () => {
      const content = noise(2 * MIB, 3);
      const path = await written('grown', [new Uint8Array(0), content]);
      const larger = SIZE + 64 * MIB;
      await truncate(path, larger);
      await withLvm(path, [{ start: 0, size: larger }], async ({ lvm, devices }) => {
        await lvm('pvresize', devices[0]!);
        await lvm('lvextend', '-l', '+100%FREE', 'our-group/var-log');
        expect(await lvm('vgck', 'our-group')).toBe('');
      });
      await using disk = await openDisk(path, { format: 'raw' });
      const { groups } = await readLvm([{ source: disk, where: 'disk' }]);
      const grown = groups[0]!.logicalVolumes[1]!;
      expect([groups[0]!.seqno, grown.name, grown.source.size]).toEqual([3, 'var-log', (124 - 40) * MIB]);
      expect(Buffer.compare(await readBytes(grown.source, 0, content.length), content)).toBe(0);
    });
  },
);

test.skipIf(whyNoGrub !== undefined)(`GRUB reads a file in our volume (${whyNoGrub ?? 'grub-fstest'})`, async () => {
  const tree = join(folder.path, 'tree');
  await run('mkdir', [tree]);
  await writeFile(join(tree, 'vmlinuz'), 'kernel '.repeat(100_000));
  const root = await makeImage(join(folder.path, 'root.ext4'), { mkfs: ['-t', 'ext4'], size: '40M', tree });
  const path = await written('grub', [await readFile(root)]);
  const out = join(folder.path, 'copied');
  await run('grub-fstest', [path, 'cp', '(lvm/our--group-root)/vmlinuz', out]);
  expect(await readFile(out, 'latin1')).toBe('kernel '.repeat(100_000));
});
