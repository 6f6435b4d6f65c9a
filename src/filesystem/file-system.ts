import type { BlockSource } from '../disk/block-source.ts';
import type { FileTree } from './file-tree.ts';
import type { DirectoryReader } from './walk.ts';

/** An open file system of any kind that compose reads. */
export interface FileSystem extends FileTree {
  /** Which reader it is: `ext4` also for ext2 and ext3. */
  readonly kind: 'ext4' | 'xfs' | 'vfat';
  /** As blkid prints it. */
  readonly uuid: string | undefined;
  readonly label: string | undefined;
  /** False when it has to be repaired or replayed before it can be trusted; `unclean` says why. */
  readonly clean: boolean;
  readonly unclean: string | undefined;
  /** The bytes it is in. */
  readonly source: BlockSource;
  /** Bytes. */
  readonly blockSize: number;
  readonly reader: DirectoryReader;
}
