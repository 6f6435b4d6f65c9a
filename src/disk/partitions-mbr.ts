import { FormatError } from '../errors.ts';
import { isExtended, MBR_LENGTH, type Mbr, type MbrEntry, parseExtendedBootRecord, parseMbr } from '../formats/mbr.ts';
import { type BlockSource, readBytes } from './block-source.ts';
import type { Partition, PartitionTable } from './partition-table.ts';

/** An MBR does not say how long its blocks are. Disks with longer ones carry a GPT. */
const SECTOR = 512;
const FIRST_LOGICAL = 5;
/** Linux gives a disk no more partitions (DISK_MAX_PARTS). */
const PARTITIONS_LIMIT = 256;

/**
 * The primary partitions of `mbr`, and the logical ones in the order of their chain, which is how Linux numbers them.
 * @throws FormatError `mbr.damaged` when the chain of logical partitions is broken, leaves the disk or goes in a loop
 */
export async function readMbr(disk: BlockSource, mbr: Mbr): Promise<PartitionTable> {
  const signature = mbr.diskSignature === 0 ? undefined : mbr.diskSignature.toString(16).padStart(8, '0');
  const partition = (number: number, entry: MbrEntry): Partition => ({
    number,
    start: entry.firstLba * SECTOR,
    size: entry.sectors * SECTOR,
    type: entry.type.toString(16).padStart(2, '0'),
    ...(signature === undefined ? {} : { uuid: `${signature}-${number.toString(16).padStart(2, '0')}` }),
    ...(entry.active ? { bootable: true } : {}),
  });
  const partitions: Partition[] = [];
  const logical: MbrEntry[] = [];
  for (const entry of mbr.entries) {
    if (isExtended(entry)) logical.push(...(await readChain(disk, entry)));
    else partitions.push(partition(entry.slot, entry));
  }
  for (const [index, entry] of logical.entries()) partitions.push(partition(FIRST_LOGICAL + index, entry));
  return {
    scheme: 'mbr',
    sectorSize: SECTOR,
    partitions,
    ...(signature === undefined ? {} : { uuid: signature }),
  };
}

async function readChain(disk: BlockSource, extended: MbrEntry): Promise<MbrEntry[]> {
  const found: MbrEntry[] = [];
  const seen = new Set<number>();
  for (let lba: number | undefined = extended.firstLba; lba !== undefined; ) {
    if (seen.has(lba)) throw damaged(`its logical partitions lead back to block ${lba}`, lba);
    if (seen.size >= PARTITIONS_LIMIT) throw damaged(`it has over ${PARTITIONS_LIMIT} logical partitions`, lba);
    if ((lba + 1) * SECTOR > disk.size)
      throw damaged(`the extended boot record in block ${lba} is not on the disk`, lba);
    seen.add(lba);
    const sector = await readBytes(disk, lba * SECTOR, MBR_LENGTH);
    // An extended partition nobody put anything into may have no record at all, and Linux does not mind.
    if (seen.size === 1 && parseMbr(sector) === undefined) break;
    const record = parseExtendedBootRecord(sector, lba, extended.firstLba);
    if (record.logical !== undefined) found.push(record.logical);
    lba = record.nextLba;
  }
  return found;
}

function damaged(why: string, block: number): FormatError {
  return new FormatError('mbr.damaged', `Cannot use the MBR partition table: ${why}`, {
    hint: 'Look at the disk with `fdisk -l DISK`; if it was copied, compare its size with that of the original.',
    evidence: { block },
  });
}
