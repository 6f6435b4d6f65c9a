import { setU32, u32, wide } from './bytes.ts';
import { xattrBlockChecksum } from './checksum.ts';
import { isFastSymlink } from './content.ts';
import { FLAG, type Inode, readAnyInode } from './inode.ts';
import { readMapping } from './mapping.ts';
import { damaged } from './problems.ts';
import type { Workspace } from './workspace.ts';
import { inodeXattrs, type RawXattr, XATTR_BLOCK, xattrBlock } from './xattrs.ts';

/** The reference count of an inode that holds an attribute's value: upper half in its ctime, lower in its version. */
const VALUE_REFERENCES_HIGH = 0x0c;
const VALUE_REFERENCES_LOW = 0x24;

/** Frees an inode and all that only it uses. */
export async function releaseInode(work: Workspace, inode: Inode): Promise<void> {
  await releaseBlocks(work, inode);
  await releaseValues(work, inodeXattrs(inode));
  if (inode.xattrBlock !== 0) await releaseXattrBlock(work, inode);
  await work.freeInode(inode.number, inode.kind === 'directory');
}

/** Frees the content of an inode, its map included. Answers how many blocks of the file system that was. */
export async function releaseBlocks(work: Workspace, inode: Inode): Promise<number> {
  const mapped = inode.kind === 'file' || inode.kind === 'directory' || inode.kind === 'symlink';
  if (!mapped || (inode.flags & FLAG.inlineData) !== 0 || isFastSymlink(inode)) return 0;
  const { clusterRatio, firstDataBlock } = work.volume.superblock;
  const { runs, mapBlocks } = await readMapping(work.volume, inode);
  // With bigalloc several runs can lie in one cluster, which is freed once.
  const seen = new Set<number>();
  let freed = 0;
  const release = async (block: number): Promise<void> => {
    if (clusterRatio > 1) {
      const cluster = Math.floor((block - firstDataBlock) / clusterRatio);
      if (seen.has(cluster)) return;
      seen.add(cluster);
    }
    await work.freeCluster(block);
    freed++;
  };
  for (const run of runs) {
    let block = run.physical;
    const end = run.physical + run.count;
    while (block < end) {
      await release(block);
      block += clusterRatio - ((block - firstDataBlock) % clusterRatio);
    }
  }
  for (const block of mapBlocks) {
    await release(block);
    work.blocks.delete(block);
  }
  return freed * clusterRatio;
}

async function releaseXattrBlock(work: Workspace, inode: Inode): Promise<void> {
  const raw = await xattrBlock(work.volume, inode);
  const number = inode.xattrBlock;
  const block = await work.block(number);
  const references = u32(block, XATTR_BLOCK.references);
  if (references === 0) {
    throw damaged(`attribute block ${number}`, 'more inodes use it than it counts', { block: number });
  }
  if (references > 1) {
    setU32(block, XATTR_BLOCK.references, references - 1);
    if (!work.volume.superblock.metadataCsum) return;
    const seed = work.volume.superblock.checksumSeed;
    setU32(block, XATTR_BLOCK.checksum, xattrBlockChecksum(seed, number, block, XATTR_BLOCK.checksum));
    return;
  }
  work.blocks.delete(number);
  await work.freeCluster(number);
  await releaseValues(work, raw);
}

/** Drops a reference to every inode that holds a value; those nobody refers to any more are freed. */
async function releaseValues(work: Workspace, xattrs: readonly RawXattr[]): Promise<void> {
  for (const { valueInode } of xattrs) {
    if (valueInode === 0) continue;
    const inode = await readAnyInode(work.volume, valueInode);
    if ((inode.flags & FLAG.eaInode) === 0) {
      throw damaged(`inode ${valueInode}`, 'it does not hold the value of the attribute that names it');
    }
    let left = 0;
    await work.changeInode(valueInode, (bytes) => {
      left = wide(u32(bytes, VALUE_REFERENCES_LOW), u32(bytes, VALUE_REFERENCES_HIGH)) - 1;
      if (left < 0) throw damaged(`inode ${valueInode}`, 'more attributes use it than it counts');
      setU32(bytes, VALUE_REFERENCES_LOW, left % 0x1_0000_0000);
      setU32(bytes, VALUE_REFERENCES_HIGH, Math.floor(left / 0x1_0000_0000));
    });
    if (left === 0) {
      await releaseBlocks(work, inode);
      await work.freeInode(valueInode, false);
    }
  }
}
