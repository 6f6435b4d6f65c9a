import { FormatError } from '../errors.ts';
import {
  GPT_ATTRIBUTE,
  GPT_PRIMARY_LBA,
  type GptEntry,
  type GptHeader,
  gptEntriesLength,
  hasGptSignature,
  parseGptEntries,
  parseGptHeader,
} from '../formats/gpt.ts';
import { NIL_GUID } from '../formats/guid.ts';
import { type BlockSource, readBytes } from './block-source.ts';
import type { Partition, PartitionTable } from './partition-table.ts';

const SECTOR_SIZES = [512, 4096];

/** One of the two copies of a GPT, its checksums verified. */
interface Copy {
  readonly sectorSize: number;
  readonly header: GptHeader;
  readonly entries: readonly GptEntry[];
}

/** A copy, or why there is none. */
type Attempt = Copy | string;

/**
 * The GPT of a disk that has a protective MBR: from the primary header, or from the backup in the last block.
 * @throws FormatError `gpt.damaged` when neither is whole, `partitions.disk-truncated` when the disk is shorter than it
 *   was when the table was written
 */
export async function readGpt(disk: BlockSource): Promise<PartitionTable> {
  const primary = await firstWhole(disk, () => GPT_PRIMARY_LBA);
  if (typeof primary !== 'string') {
    requireWholeDisk(disk, primary);
    return tableOf(primary, await compareBackup(disk, primary));
  }
  const backup = await firstWhole(disk, (sectorSize) => Math.floor(disk.size / sectorSize) - 1);
  if (typeof backup !== 'string') {
    requireWholeDisk(disk, backup);
    return tableOf(backup, [`The primary GPT is damaged and the backup was used: ${primary}`]);
  }
  throw new FormatError('gpt.damaged', 'Cannot use the GUID partition table: primary and backup are both damaged', {
    hint: 'Look at the disk with `gdisk -l DISK`; its recovery menu can rebuild what is left.',
    evidence: { primary, backup },
  });
}

async function firstWhole(disk: BlockSource, lbaOf: (sectorSize: number) => number): Promise<Attempt> {
  const failures: string[] = [];
  for (const sectorSize of SECTOR_SIZES) {
    const copy = await readCopy(disk, sectorSize, lbaOf(sectorSize));
    if (typeof copy !== 'string') return copy;
    failures.push(copy);
  }
  // Where only one place has a header at all, what is wrong with that one is the news.
  return failures.find((why) => !why.includes(NO_SIGNATURE)) ?? failures[0]!;
}

const NO_SIGNATURE = 'has no "EFI PART" signature';

async function readCopy(disk: BlockSource, sectorSize: number, lba: number): Promise<Attempt> {
  if (lba < GPT_PRIMARY_LBA || (lba + 1) * sectorSize > disk.size) return `block ${lba} is not on the disk`;
  const sector = await readBytes(disk, lba * sectorSize, sectorSize);
  if (!hasGptSignature(sector)) return `block ${lba} of ${sectorSize} bytes ${NO_SIGNATURE}`;
  try {
    const header = parseGptHeader(sector, lba);
    const start = header.entriesLba * sectorSize;
    const length = gptEntriesLength(header.entryCount, header.entrySize, sectorSize);
    if (header.entriesLba <= GPT_PRIMARY_LBA || start + length > disk.size) {
      return `its entries in block ${header.entriesLba} are not on the disk`;
    }
    return { sectorSize, header, entries: parseGptEntries(await readBytes(disk, start, length), header) };
  } catch (error) {
    if (!(error instanceof FormatError) || error.code !== 'gpt.damaged') throw error;
    return error.message;
  }
}

/** Linux refuses a GPT whose usable blocks end past the disk (block/partitions/efi.c); its backup is lost as well. */
function requireWholeDisk(disk: BlockSource, { header, sectorSize }: Copy): void {
  const last = Math.max(header.lastUsableLba, header.alternateLba);
  if ((last + 1) * sectorSize <= disk.size) return;
  throw new FormatError(
    'partitions.disk-truncated',
    `Cannot use the GUID partition table: it was made for a disk of at least ${(last + 1) * sectorSize} bytes, this one has ${disk.size}`,
    {
      hint: 'The disk was cut short, or copied incompletely; get the whole image. If it was shrunk on purpose, `sgdisk -e DISK` moves the table.',
      evidence: { lastBlock: last, sectorSize, size: disk.size },
    },
  );
}

async function compareBackup(disk: BlockSource, primary: Copy): Promise<string[]> {
  const { header, sectorSize } = primary;
  const backup = await readCopy(disk, sectorSize, header.alternateLba);
  if (typeof backup === 'string') return [`The backup GPT is damaged: ${backup}`];
  if (backup.header.entriesCrc !== header.entriesCrc || backup.header.diskGuid !== header.diskGuid) {
    return ['The backup GPT describes other partitions than the primary, which was used'];
  }
  const last = Math.floor(disk.size / sectorSize) - 1;
  if (header.alternateLba < last) {
    return ['The backup GPT is not at the end of the disk: the disk has grown since it was partitioned'];
  }
  return [];
}

function tableOf(copy: Copy, notes: readonly string[]): PartitionTable {
  return {
    scheme: 'gpt',
    uuid: copy.header.diskGuid,
    sectorSize: copy.sectorSize,
    partitions: copy.entries.map((entry) => partitionOf(entry, copy.sectorSize)),
    ...(notes.length > 0 ? { notes } : {}),
  };
}

function partitionOf(entry: GptEntry, sectorSize: number): Partition {
  if (entry.lastLba < entry.firstLba || entry.firstLba <= GPT_PRIMARY_LBA) {
    throw new FormatError(
      'gpt.damaged',
      `Cannot use the GUID partition table: partition ${entry.number} lies in blocks ${entry.firstLba} to ${entry.lastLba}`,
      { hint: 'Look at the disk with `sgdisk -v DISK`.', evidence: { partition: entry.number } },
    );
  }
  return {
    number: entry.number,
    start: entry.firstLba * sectorSize,
    size: (entry.lastLba - entry.firstLba + 1) * sectorSize,
    type: entry.type,
    ...(entry.name === '' ? {} : { name: entry.name }),
    ...(entry.guid === NIL_GUID ? {} : { uuid: entry.guid }),
    ...((entry.attributes & GPT_ATTRIBUTE.legacyBoot) !== 0n ? { bootable: true } : {}),
  };
}
