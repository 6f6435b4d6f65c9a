import { readBytes } from '../../disk/block-source.ts';
import { be32 } from './bytes.ts';
import { BASIC_BLOCK } from './header.ts';
import { blockPosition, type Volume } from './volume.ts';

/**
 * The log inside the file system (kernel: fs/xfs/xfs_log_recover.c). It is a ring of 512-byte blocks. Each begins with
 * the number of the round it was written in, its cycle; a record's first block with a magic and then that number.
 */

const RECORD_MAGIC = 0xfeedbabe;
const RECORD = { cycle: 4, version: 8, length: 12, operations: 40, headerSize: 320 } as const;
/** Bytes of a record that one block of header describes, in version 2. */
const PER_HEADER_BLOCK = 32768;
const VERSION_2 = 0x2;
/** Of an operation: its flags, and the one that only an unmount writes. */
const OPERATION_FLAGS = 9;
const UNMOUNT = 0x20;
/** Blocks of the longest record: 256 KiB of log buffer, and a header for every 32 KiB of it. */
const LONGEST_RECORD = 512 + 8;

/**
 * Why the log has to be replayed before what the file system holds can be trusted, or undefined when it was unmounted
 * last. A log on a device of its own cannot be seen and counts as replayed.
 * @throws FormatError `xfs.damaged` when the log lies outside the file system
 */
export async function whyLogDirty(volume: Volume): Promise<string | undefined> {
  const { logStart, logBlocks, blockSize } = volume.superblock;
  if (logStart === 0 || logBlocks === 0) return undefined;
  const start = blockPosition(volume, logStart, logBlocks, 'the log');
  const log: Log = { volume, start, blocks: (logBlocks * blockSize) / BASIC_BLOCK };
  const head = await findHead(log);
  if (head === undefined) return undefined;
  return (await endsWithUnmount(log, head)) ? undefined : 'its log holds changes that were not written back';
}

interface Log {
  readonly volume: Volume;
  /** Byte position. */
  readonly start: number;
  /** Blocks of 512 bytes. */
  readonly blocks: number;
}

/** Where the next record would go: the first block that is older than the one before. Undefined in an empty log. */
async function findHead(log: Log): Promise<number | undefined> {
  const first = await cycleAt(log, 0);
  if (first === 0) return undefined;
  const last = await cycleAt(log, log.blocks - 1);
  if (first === last) return 0;
  let newer = 0;
  let older = log.blocks - 1;
  while (older - newer > 1) {
    const middle = (newer + older) >>> 1;
    if ((await cycleAt(log, middle)) === first) newer = middle;
    else older = middle;
  }
  return older;
}

async function cycleAt(log: Log, block: number): Promise<number> {
  const bytes = await readBytes(log.volume.source, log.start + block * BASIC_BLOCK, 2 * 4);
  const word = be32(bytes, 0);
  return word === RECORD_MAGIC ? be32(bytes, 4) : word;
}

/** True when the last record before `head` is the one an unmount writes, and reaches to `head` exactly. */
async function endsWithUnmount(log: Log, head: number): Promise<boolean> {
  const count = Math.min(LONGEST_RECORD, log.blocks);
  const bytes = await readRing(log, head - count, count);
  for (let block = count - 1; block >= 0; block--) {
    const at = block * BASIC_BLOCK;
    if (be32(bytes, at) !== RECORD_MAGIC) continue;
    const headers = headerBlocks(bytes, at);
    const data = Math.ceil(be32(bytes, at + RECORD.length) / BASIC_BLOCK);
    const operation = at + headers * BASIC_BLOCK;
    return (
      block + headers + data === count &&
      data > 0 &&
      be32(bytes, at + RECORD.operations) === 1 &&
      (bytes[operation + OPERATION_FLAGS]! & UNMOUNT) !== 0
    );
  }
  return false;
}

function headerBlocks(bytes: Uint8Array, at: number): number {
  const size = be32(bytes, at + RECORD.headerSize);
  const long = (be32(bytes, at + RECORD.version) & VERSION_2) !== 0 && size > PER_HEADER_BLOCK;
  return long ? Math.ceil(size / PER_HEADER_BLOCK) : 1;
}

/** `count` blocks from `first` on, which may be negative: before the first block comes the last one. */
async function readRing(log: Log, first: number, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count * BASIC_BLOCK);
  const wrapped = Math.max(0, -first);
  const read = (block: number, into: Uint8Array): Promise<void> =>
    log.volume.source.read(log.start + block * BASIC_BLOCK, into);
  if (wrapped > 0) await read(log.blocks - wrapped, bytes.subarray(0, wrapped * BASIC_BLOCK));
  await read(first + wrapped, bytes.subarray(wrapped * BASIC_BLOCK));
  return bytes;
}
