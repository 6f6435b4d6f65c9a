import { FormatError } from '../errors.ts';
import { hasGptSignature } from '../formats/gpt.ts';
import { MBR_LENGTH, MBR_TYPE_PROTECTIVE, parseMbr } from '../formats/mbr.ts';
import { type BlockSource, readBytes } from './block-source.ts';
import type { PartitionTable } from './partition-table.ts';
import { readGpt } from './partitions-gpt.ts';
import { readMbr } from './partitions-mbr.ts';

export type { Partition, PartitionTable } from './partition-table.ts';

const NONE: PartitionTable = { scheme: 'none', partitions: [] };

/**
 * The partitions of `disk`. A disk without a table, or with an empty MBR, has the scheme `none`. An MBR counts in blocks
 * of 512 bytes; a GPT tells by its place whether its blocks have 512 or 4096.
 * @throws FormatError `gpt.damaged`, `mbr.damaged`, `partitions.disk-truncated`, `partitions.outside-disk`,
 *   `partitions.overlap` or `partitions.no-protective-mbr`
 */
export async function readPartitions(disk: BlockSource): Promise<PartitionTable> {
  if (disk.size < MBR_LENGTH) return NONE;
  const mbr = parseMbr(await readBytes(disk, 0, MBR_LENGTH));
  if (mbr?.entries.some((entry) => entry.type === MBR_TYPE_PROTECTIVE)) return checked(disk, await readGpt(disk));
  if (mbr !== undefined && mbr.entries.length > 0) return checked(disk, await readMbr(disk, mbr));
  if (await hasStrayGpt(disk)) {
    throw new FormatError(
      'partitions.no-protective-mbr',
      'Cannot read the partition table: there is a GPT, but no protective MBR, so neither Linux nor firmware uses it',
      { hint: 'Write one with `gdisk DISK` (command w); or, if the GPT is a leftover, `wipefs -a -t gpt DISK`.' },
    );
  }
  return NONE;
}

async function hasStrayGpt(disk: BlockSource): Promise<boolean> {
  if (disk.size < 2 * MBR_LENGTH) return false;
  return hasGptSignature(await readBytes(disk, MBR_LENGTH, MBR_LENGTH));
}

/** Every partition is on the disk, and none on another. */
function checked(disk: BlockSource, table: PartitionTable): PartitionTable {
  const sorted = table.partitions.toSorted((a, b) => a.start - b.start);
  for (const [index, partition] of sorted.entries()) {
    const end = partition.start + partition.size;
    if (end > disk.size) {
      throw new FormatError(
        'partitions.outside-disk',
        `Cannot use the partition table: partition ${partition.number} ends at byte ${end}, the disk at ${disk.size}`,
        {
          hint: 'The disk was cut short, or copied incompletely; compare its size with that of the original.',
          evidence: { partition: partition.number, start: partition.start, end, size: disk.size },
        },
      );
    }
    const next = sorted[index + 1];
    if (next !== undefined && next.start < end) {
      throw new FormatError(
        'partitions.overlap',
        `Cannot use the partition table: partitions ${partition.number} and ${next.number} overlap (byte ${next.start})`,
        {
          hint: 'It is damaged, or the hybrid table of an installation medium; `sfdisk --dump DISK` shows it.',
          evidence: { partitions: [String(partition.number), String(next.number)], position: next.start },
        },
      );
    }
  }
  return table;
}
