import { type BlockSource, readBytes } from '../../disk/block-source.ts';
import { FormatError } from '../../errors.ts';
import { MetadataCache } from '../metadata-cache.ts';
import { uuidText } from '../uuid.ts';
import { type Xfs, xfsTree } from './filesystem.ts';
import { whyLogDirty } from './log.ts';
import { MAX_SECTOR, parseSuperblock } from './superblock.ts';
import type { Volume } from './volume.ts';

export type { Xfs } from './filesystem.ts';

/**
 * Opens the XFS file system, version 4 or 5, that fills `source`. One that was not cleanly unmounted opens too, with
 * `clean` false; what it shows may then be older than what its log holds.
 * @throws FormatError `xfs.not-xfs`, `xfs.checksum`, `xfs.damaged`, `xfs.needs-repair`, `xfs.truncated`, `xfs.unsupported`
 */
export async function openXfs(source: BlockSource): Promise<Xfs> {
  const superblock = parseSuperblock(await readBytes(source, 0, Math.min(source.size, MAX_SECTOR)));
  const needed = superblock.blocksCount * superblock.blockSize;
  if (needed > source.size) {
    throw new FormatError(
      'xfs.truncated',
      `Cannot read the XFS file system: it is ${needed} bytes long, its partition or image only ${source.size}`,
      { hint: 'The image was cut off, or its partition shrunk below the file system; copy it again.' },
    );
  }
  const volume: Volume = { source, superblock, cache: new MetadataCache(source) };
  return xfsTree(volume, {
    uuid: uuidText(superblock.uuid),
    label: superblock.label,
    unclean: await whyLogDirty(volume),
  });
}
