import { type BlockSource, readBytes } from '../../disk/block-source.ts';
import { FormatError } from '../../errors.ts';
import { MetadataCache } from '../metadata-cache.ts';
import { uuidText } from '../uuid.ts';
import { u32 } from './bytes.ts';
import { COMPAT, INCOMPAT, RO_COMPAT } from './features.ts';
import { type Ext4, ext4Tree } from './filesystem.ts';
import { readGroups } from './groups.ts';
import { journalHasData } from './journal.ts';
import { parseSuperblock, STATE_ERROR, STATE_VALID, SUPERBLOCK_POSITION, SUPERBLOCK_SIZE } from './superblock.ts';
import { readBlock, type Volume } from './volume.ts';

export type { Ext4 } from './filesystem.ts';

/** Bytes of metadata that are read at a time: directories lie scattered, inodes 64 together. */
const PIECE = 16 * 1024;

const MMP_SEQUENCE = 4;
const MMP_CLEAN = 0xff4d4d50;

/**
 * Opens the ext2, ext3 or ext4 file system that fills `source`. One that was not cleanly unmounted opens too, with
 * `clean` false; what it shows may then be older than what its journal holds.
 * @throws FormatError `ext4.not-ext4`, `ext4.checksum`, `ext4.damaged`, `ext4.truncated`, `ext4.unsupported`
 */
export async function openExt4(source: BlockSource): Promise<Ext4> {
  const end = Math.min(source.size, SUPERBLOCK_POSITION + SUPERBLOCK_SIZE);
  const head = await readBytes(source, 0, end);
  const superblock = parseSuperblock(head.subarray(SUPERBLOCK_POSITION));
  const needed = superblock.blocksCount * superblock.blockSize;
  if (needed > source.size) {
    throw new FormatError(
      'ext4.truncated',
      `Cannot read the ext4 file system: it is ${needed} bytes long, its partition or image only ${source.size}`,
      { hint: 'The image was cut off, or its partition shrunk below the file system; copy it again.' },
    );
  }
  const groups = await readGroups(source, superblock);
  const cache = new MetadataCache(source, Math.max(PIECE, superblock.blockSize));
  const volume: Volume = { source, superblock, groups, cache };
  return ext4Tree(volume, {
    uuid: uuidText(superblock.uuid),
    label: superblock.label,
    unclean: await whyUnclean(volume),
  });
}

async function whyUnclean(volume: Volume): Promise<string | undefined> {
  const { superblock } = volume;
  if ((superblock.incompat & INCOMPAT.recover) !== 0) return 'its journal holds changes that were not written back';
  if ((superblock.state & STATE_ERROR) !== 0) return 'the kernel found errors in it';
  if ((superblock.state & STATE_VALID) === 0) return 'it was not unmounted';
  if (superblock.lastOrphan !== 0) return 'deleted files that were still open wait to be released';
  if ((superblock.compat & COMPAT.orphanFile) !== 0 && (superblock.roCompat & RO_COMPAT.orphanPresent) !== 0) {
    return 'deleted files that were still open wait to be released';
  }
  if (await journalHasData(volume)) return 'its journal is not empty';
  if ((superblock.incompat & INCOMPAT.mmp) !== 0 && superblock.mmpBlock !== 0) {
    const block = await readBlock(volume, superblock.mmpBlock, 'the multiple-mount protection');
    if (u32(block, MMP_SEQUENCE) !== MMP_CLEAN) return 'another machine may have it mounted';
  }
  return undefined;
}
