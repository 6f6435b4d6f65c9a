import { execFile } from 'node:child_process';
import { open, truncate, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { haveTools, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { openDisk } from '../../src/disk/open.ts';
import { type PartitionTable, readPartitions } from '../../src/disk/partitions.ts';
import { GPT_ATTRIBUTE, GPT_TYPE } from '../../src/formats/gpt.ts';
import { type GptLayout, type GptPartition, gptUsable, writeGpt } from '../../src/formats/gpt-write.ts';

const sfdisk = haveTools('sfdisk');
const sgdisk = haveTools('sgdisk');
const without = (name: string, present: boolean): string => (present ? '' : ` (skipped: ${name} is not installed)`);
const MiB = 1024 * 1024;

/** Gives `script` to a tool on its standard input. */
function toolReading(script: string, command: string, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, (error, _, stderr) => (error ? reject(new Error(stderr)) : resolve()));
    child.stdin?.end(script);
  });
}

interface SfdiskTable {
  readonly label: 'gpt' | 'dos';
  readonly id: string;
  readonly partitions: readonly {
    node: string;
    start: number;
    size: number;
    type: string;
    uuid?: string;
    name?: string;
    attrs?: string;
    bootable?: boolean;
  }[];
}

const EXTENDED = ['5', 'f', '85'];

/** What sfdisk reads from `image`, in the words of compose. */
async function asSfdisk(image: string, sectorSize = 512): Promise<PartitionTable> {
  const { partitiontable } = JSON.parse(await tool('sfdisk', '--json', image)) as { partitiontable: SfdiskTable };
  const gpt = partitiontable.label === 'gpt';
  const uuid = gpt ? partitiontable.id.toLowerCase() : partitiontable.id.replace('0x', '');
  return {
    scheme: gpt ? 'gpt' : 'mbr',
    uuid,
    sectorSize,
    partitions: partitiontable.partitions
      .filter(({ type }) => !EXTENDED.includes(type))
      .map((row) => {
        const number = Number(row.node.slice(image.length));
        return {
          number,
          start: row.start * sectorSize,
          size: row.size * sectorSize,
          type: gpt ? row.type.toLowerCase() : row.type.padStart(2, '0'),
          uuid: gpt ? row.uuid!.toLowerCase() : `${uuid}-${number.toString(16).padStart(2, '0')}`,
          ...(row.name === undefined ? {} : { name: row.name }),
          ...(row.bootable || row.attrs?.includes('LegacyBIOSBootable') ? { bootable: true } : {}),
        };
      })
      .sort((a, b) => a.number - b.number),
  };
}

async function ours(image: string): Promise<PartitionTable> {
  await using disk = await openDisk(image, { format: 'raw' });
  return await readPartitions(disk);
}

/** A table of up to 30 partitions, which depends on `seed` alone. */
function randomLayout(seed: number): GptLayout {
  const next = random(seed);
  const diskSize = (8 + (next() % 120)) * MiB + (next() % 64) * 512;
  const entryCount = [128, 128, 16, 256][next() % 4]!;
  const usable = gptUsable({ diskSize, entryCount });
  const types = Object.values(GPT_TYPE);
  const hex = (digits: number): string => Array.from({ length: digits }, () => (next() % 16).toString(16)).join('');
  const guid = (): string => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
  const partitions: GptPartition[] = [];
  for (let at = usable.start; partitions.length < Math.min(entryCount, 30); ) {
    const start = at + (next() % 4096) * 512;
    const size = (1 + (next() % 20_000)) * 512;
    if (start + size > usable.end) break;
    partitions.push({
      start,
      size,
      type: types[next() % types.length]!,
      guid: guid(),
      name: ['', 'EFI System', 'root', 'x'.repeat(36), 'Größe 漢字 🌳'][next() % 5]!,
      ...(next() % 3 === 0 ? { attributes: GPT_ATTRIBUTE.legacyBoot } : {}),
    });
    at = start + size;
  }
  return { diskSize, entryCount, diskGuid: guid(), partitions };
}

/** Writes the table of `layout` to a new sparse file. */
async function writeDisk(image: string, layout: GptLayout): Promise<void> {
  const { primary, backup } = writeGpt(layout);
  await writeFile(image, primary);
  await truncate(image, layout.diskSize);
  const handle = await open(image, 'r+');
  await handle.write(backup.bytes, 0, backup.bytes.length, backup.position);
  await handle.close();
}

test.skipIf(!sgdisk || !sfdisk)(
  `sgdisk finds no fault with our GPTs, and sfdisk reads what was written${without('sgdisk or sfdisk', sgdisk && sfdisk)}`,
  async () => {
    await using folder = await scratch();
    for (let seed = 1; seed <= 12; seed++) {
      const image = folder.file(`${seed}.raw`);
      const layout = randomLayout(seed);
      await writeDisk(image, layout);
      expect(await tool('sgdisk', '-v', image), `seed ${seed}`).toContain('No problems found');
      const table = await asSfdisk(image);
      expect(table.uuid).toBe(layout.diskGuid);
      expect(table.partitions).toEqual(
        layout.partitions.map(({ start, size, type, guid, name, attributes }, index) => ({
          number: index + 1,
          start,
          size,
          type,
          uuid: guid,
          ...(name === '' ? {} : { name }),
          ...(attributes === undefined ? {} : { bootable: true }),
        })),
      );
      expect(await ours(image)).toEqual(table);
    }
  },
);

test.skipIf(!sfdisk)(`a GPT by sfdisk reads as in sfdisk${without('sfdisk', sfdisk)}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.raw');
  await writeFile(image, '');
  await truncate(image, 256 * MiB);
  const script = [
    'label: gpt',
    'label-id: 5D1A7A52-9F6B-4C7C-9B8E-0123456789AB',
    `14: start=2048, size=8192, type=${GPT_TYPE.biosBoot}`,
    `15: size=32768, type=${GPT_TYPE.efiSystem}, name="EFI"`,
    `1: size=65536, type=${GPT_TYPE.linux}, name="cloudimg rootfs", attrs="LegacyBIOSBootable"`,
    `16: size=2048, type=${GPT_TYPE.extendedBoot}`,
  ];
  await toolReading(script.join('\n'), 'sfdisk', '-q', image);
  const table = await ours(image);
  expect(table.partitions).toHaveLength(4);
  expect(table).toEqual(await asSfdisk(image));
});

test.skipIf(!sfdisk)(
  `an MBR with logical partitions by sfdisk reads as in sfdisk${without('sfdisk', sfdisk)}`,
  async () => {
    await using folder = await scratch();
    const image = folder.file('disk.raw');
    for (const extended of ['5', 'f', '85']) {
      await writeFile(image, '');
      await truncate(image, 256 * MiB);
      const script = [
        'label: dos',
        'label-id: 0x0badcafe',
        'start=2048, size=65536, type=83, bootable',
        'size=4096, type=82',
        `type=${extended}`,
        ...Array.from({ length: 12 }, (_, at) => `size=${2048 * (at + 1)}, type=${at % 2 === 0 ? '83' : '8e'}`),
      ];
      await toolReading(script.join('\n'), 'sfdisk', '-q', image);
      const table = await ours(image);
      expect(table.partitions).toHaveLength(14);
      expect(table).toEqual(await asSfdisk(image));
    }
  },
);

test.skipIf(!sgdisk)(
  `a GPT by sgdisk with a damaged half is repaired as sgdisk does${without('sgdisk', sgdisk)}`,
  async () => {
    await using folder = await scratch();
    const image = folder.file('disk.raw');
    await writeFile(image, '');
    await truncate(image, 64 * MiB);
    await tool('sgdisk', '-n', '1:0:+16M', '-c', '1:boot', '-n', '2:0:0', '-c', '2:root', image);
    const whole = await ours(image);
    expect(whole.notes).toBeUndefined();
    const handle = await open(image, 'r+');
    await handle.write(new Uint8Array(512), 0, 512, 512);
    await handle.close();
    const half = await ours(image);
    expect(half).toEqual({ ...whole, notes: [expect.stringContaining('backup was used')] });
    // sgdisk writes both halves anew from the one that is left.
    await tool('sgdisk', '-e', image);
    expect(await ours(image)).toEqual(whole);
  },
);

const fdisk = haveTools('fdisk');
test.skipIf(!fdisk)(`fdisk reads our GPT of 4096-byte sectors${without('fdisk', fdisk)}`, async () => {
  await using folder = await scratch();
  const image = folder.file('disk.raw');
  const layout: GptLayout = {
    diskSize: 64 * MiB,
    sectorSize: 4096,
    diskGuid: '11112222-3333-4444-8555-666677778888',
    partitions: [
      {
        start: MiB,
        size: 8 * MiB,
        type: GPT_TYPE.efiSystem,
        guid: 'aaaaaaaa-0000-4000-8000-000000000001',
        name: 'esp',
      },
      {
        start: 9 * MiB,
        size: 50 * MiB,
        type: GPT_TYPE.linux,
        guid: 'aaaaaaaa-0000-4000-8000-000000000002',
        name: 'root',
      },
    ],
  };
  await writeDisk(image, layout);
  const columns = ['-o', 'Start,Sectors,Type-UUID,UUID,Name'];
  const listing = (await tool('fdisk', '-b', '4096', ...columns, '-l', image)).toLowerCase();
  expect(listing).toContain(`disk identifier: ${layout.diskGuid}`);
  for (const { start, size, type, guid, name } of layout.partitions) {
    expect(listing.replace(/ +/g, ' ')).toContain(`${start / 4096} ${size / 4096} ${type} ${guid} ${name}`);
  }
  expect((await ours(image)).sectorSize).toBe(4096);
});

test.skipIf(!sfdisk)(`the partition types are those sfdisk knows by name${without('sfdisk', sfdisk)}`, async () => {
  const names = new Map<string, string>();
  for (const line of (await tool('sfdisk', '--label', 'gpt', '--list-types')).split('\n')) {
    const match = /^([0-9A-F-]{36})\s+(.+)$/.exec(line);
    if (match) names.set(match[1]!.toLowerCase(), match[2]!);
  }
  const found = Object.fromEntries(Object.entries(GPT_TYPE).map(([name, type]) => [name, names.get(type)]));
  expect(found).toMatchObject({
    efiSystem: 'EFI System',
    biosBoot: 'BIOS boot',
    prepBoot: 'PowerPC PReP boot',
    extendedBoot: 'Linux extended boot',
    linux: 'Linux filesystem',
    linuxRootX86_64: expect.stringMatching(/^Linux root \(x86-64\)/),
    linuxRootArm64: expect.stringMatching(/^Linux root \(ARM-64\)/),
    linuxRootRiscv64: expect.stringMatching(/^Linux root \(RISC-V-64\)/),
    linuxRootPpc64le: expect.stringMatching(/^Linux root \(PPC64LE\)/),
    linuxRootS390x: expect.stringMatching(/^Linux root \(S390X\)/),
    linuxHome: 'Linux home',
    linuxSwap: 'Linux swap',
    linuxLvm: 'Linux LVM',
    linuxRaid: 'Linux RAID',
    microsoftReserved: 'Microsoft reserved',
    microsoftBasicData: 'Microsoft basic data',
    windowsRecovery: 'Windows recovery environment',
  });
});
